"""CPU of whole `govpool` commands: help and version beside bare Python and beside the `openstack` client, a list of 20 machines beside its list.

The `openstack` client is installed in an environment of its own (benchmarks/requirements-peers.txt) and asks a stub cloud on loopback, so that
only the client's own work shows.  Commands run in turns and a ratio is of the runs of one turn.  `python -m benchmarks.cli` prints the figures.
"""

import contextlib
import http.server
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

from benchmarks import city
from control import case, order, settings, wiring
from store import database as store_database

TURNS: Final = 11
MACHINES: Final = 20
GOVPOOL: Final = pathlib.Path(sys.executable).with_name("govpool")
OPENSTACK: Final = pathlib.Path(__file__).resolve().parents[1] / ".venv-bench" / "bin" / "openstack"
BARE: Final = "python -I -c pass"
PEERS: Final = {
    "govpool --help": "openstack --help",
    "govpool --version": "openstack --version",
    "govpool vm list": "openstack server list",
}


def measured(*, turns: int = TURNS) -> dict[str, Any]:
    """Command -> medians of CPU and wall milliseconds, and the runs; commands of `openstack` only where the client is installed."""
    with tempfile.TemporaryDirectory(prefix="govpool-bench-") as name, contextlib.ExitStack() as stack:
        home = pathlib.Path(name)
        commands: dict[str, list[str]] = {
            BARE: [sys.executable, "-I", "-c", "pass"],
            "govpool --help": [str(GOVPOOL), "--help"],
            "govpool --version": [str(GOVPOOL), "--version"],
            "govpool vm list": [str(GOVPOOL), "vm", "list"],
        }
        environment = {"PATH": "/usr/bin:/bin", "HOME": name, "LANG": "C.UTF-8"} | stack.enter_context(_govpool(home))
        if OPENSTACK.exists():
            commands |= {peer: [str(OPENSTACK), *peer.split()[1:]] for peer in PEERS.values()}
            environment |= stack.enter_context(_stub_cloud())
        return _in_turns(commands, environment, turns)


def _in_turns(commands: dict[str, list[str]], environment: dict[str, str], turns: int) -> dict[str, Any]:
    runs: dict[str, list[tuple[float, float]]] = {command: [] for command in commands}
    for turn in range(turns + 1):  # the first one warms up: byte code, disk cache
        for command, words in commands.items():
            before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            done = subprocess.run(words, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            wall = time.perf_counter() - began
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            if done.returncode:
                raise SystemExit(f"benchmarks: {command} ended with {done.returncode}\n{done.stderr[-2000:]}")
            if " list" in command and len(done.stdout.splitlines()) < MACHINES:
                raise SystemExit(f"benchmarks: {command} showed fewer than {MACHINES} machines\n{done.stdout[-2000:]}")
            if turn:
                cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
                runs[command].append((cpu * 1e3, wall * 1e3))
    return {
        command: {
            "cpu_ms": statistics.median(cpu for cpu, _ in made),
            "wall_ms": statistics.median(wall for _, wall in made),
            "runs": made,
        }
        for command, made in runs.items()
    }


def ratio(found: dict[str, Any], command: str, other: str) -> float | None:
    """Median over the turns of CPU of `command` : CPU of `other`; None where one did not run."""
    if command not in found or other not in found:
        return None
    pairs = zip(found[command]["runs"], found[other]["runs"], strict=True)
    return float(statistics.median(mine[0] / theirs[0] for mine, theirs in pairs))


@contextlib.contextmanager
def _govpool(home: pathlib.Path) -> Iterator[dict[str, str]]:
    """A server with 20 machines ordered; the environment of a person signed in to it."""
    with city.sqlite() as url:
        department = city.found(url)[0]
        opened = store_database.open_database(url)
        shared = wiring.Wiring(opened, settings.Settings())
        for number in range(MACHINES):
            use_case = order.submit(city.machine(department.tenant, f"vm{number:02}"), bin_days=7)
            key = f"order-{number}"
            context = case.Context(request_id=key, method="POST", path="/v1/orders", token=department.token, idempotency_key=key)
            case.perform(shared, use_case, case.with_body(context, b""))
        opened.close()
        with city.serving(url, home, "workers=0", "meters=false", "log_level=warning") as (address, _):
            yield {"GOVPOOL_SERVER": address, "GOVPOOL_TOKEN": department.token, "GOVPOOL_CONFIG": str(home / "contexts.json")}


# -- the stub cloud ----------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _stub_cloud() -> Iterator[dict[str, str]]:
    """A stub of Keystone, Nova and Glance that answers at once; the environment that points `openstack` to it."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Stub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield {
            "OS_AUTH_URL": f"http://127.0.0.1:{server.server_address[1]}/v3",
            "OS_USERNAME": "someone",
            "OS_PASSWORD": "nothing",
            "OS_PROJECT_NAME": "project",
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default",
            "OS_IDENTITY_API_VERSION": "3",
            "PYTHONWARNINGS": "ignore",
        }
    finally:
        server.shutdown()
        server.server_close()


class _Stub(http.server.BaseHTTPRequestHandler):
    """The few paths that `openstack server list` asks for."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """POST /v3/auth/tokens."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        domain = {"id": "default", "name": "Default"}
        kinds = {"identity": "/v3", "compute": "/compute/v2.1", "image": "/image"}
        catalog = [
            {
                "type": kind,
                "name": kind,
                "id": kind,
                "endpoints": [{"id": kind, "interface": "public", "region": "R", "region_id": "R", "url": self._base + path}],
            }
            for kind, path in kinds.items()
        ]
        token = {
            "methods": ["password"],
            "user": {"id": "u", "name": "someone", "domain": domain},
            "project": {"id": "p", "name": "project", "domain": domain},
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "expires_at": "2036-01-01T00:00:00.000000Z",
            "roles": [{"id": "r", "name": "member"}],
            "catalog": catalog,
        }
        self._answer({"token": token}, 201, {"X-Subject-Token": "token"})

    def do_GET(self) -> None:
        """Version documents, servers, images."""
        path = self.path.partition("?")[0].rstrip("/")
        link = [{"rel": "self", "href": f"{self._base}{path}/"}]
        if path == "/v3":
            self._answer({"version": {"id": "v3.14", "status": "stable", "links": link, "media-types": []}})
        elif path == "/compute/v2.1":
            version = {"id": "v2.1", "status": "CURRENT", "version": "2.96", "min_version": "2.1", "links": link}
            self._answer({"version": version})
        elif path in ("/image", "/image/v2"):
            links = [{"rel": "self", "href": f"{self._base}/image/v2/"}]
            self._answer({"versions": [{"id": "v2.9", "status": "CURRENT", "links": links}]})
        elif path.endswith("/images"):
            self._answer({"images": [{"id": "i1", "name": "debian-12", "status": "active"}]})
        elif path.endswith("/servers/detail"):
            self._answer({"servers": [_server(number) for number in range(MACHINES)]})
        else:
            self._answer({}, 404)

    @property
    def _base(self) -> str:
        return f"http://{self.headers['Host']}"

    def _answer(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", "Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


def _server(number: int) -> dict[str, Any]:
    return {
        "id": f"{number:08x}-0000-4000-8000-000000000000",
        "name": f"vm{number:02}",
        "status": "ACTIVE",
        "addresses": {"net": [{"addr": f"10.0.0.{number}", "version": 4}]},
        "image": {"id": "i1"},
        "flavor": {"original_name": "medium", "vcpus": 4, "ram": 8192, "disk": 100},
        "links": [],
        "tenant_id": "p",
        "user_id": "u",
        "metadata": {},
    }


def table(found: dict[str, Any]) -> Iterator[list[str]]:
    """Rows to print: CPU, wall time and the ratios."""
    yield ["command", "CPU ms", "wall ms", "CPU : bare Python", "CPU : openstack", "openstack's is"]
    for command, made in found.items():
        bare = ratio(found, command, BARE)
        peer = ratio(found, command, PEERS.get(command, ""))
        yield [
            command,
            f"{made['cpu_ms']:.1f}",
            f"{made['wall_ms']:.1f}",
            "" if bare is None else f"{bare:.2f}",
            "" if peer is None else f"{peer:.3f}",
            "" if peer is None else f"{1 / peer:.1f} times",
        ]


def main() -> None:
    """Print the figures."""
    for row in table(measured(turns=int(os.environ.get("TURNS", TURNS)))):
        print(json.dumps(row))


if __name__ == "__main__":
    main()
