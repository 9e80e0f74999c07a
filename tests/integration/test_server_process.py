"""`govpool serve` as a process: starts, refuses what is unsafe, stops cleanly, keeps what it answered, and speaks TLS."""

import json
import pathlib
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator

import pytest

from tests.conftest import Cluster
from tests.integration.process import Command, initialised, serving


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[list[str]]:
    """The options that name an empty database, once on each kind."""
    if request.param == "sqlite":
        yield ["--data", str(tmp_path / "data")]
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    name = f"t{uuid.uuid4().hex}"
    with cluster.connect("postgres") as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield ["--database", cluster.url(name)]
    cluster.drop(cluster.url(name))


def test_a_newcomer_starts_a_server_signs_in_and_finds_everything_after_a_restart(place: list[str], tmp_path: pathlib.Path) -> None:
    codes = initialised(tmp_path / "server", *place)
    with serving(tmp_path / "server", *place) as server:
        system = Command(tmp_path / "system", server.url)
        assert "system-admin" in system.ok("login", "--code", codes["system_admin"])
        assert "one-use" not in system.run("login", "--code", codes["system_admin"]).stdout
        assert (tmp_path / "system" / "contexts.json").stat().st_mode & 0o777 == 0o600
        status = json.loads(system.ok("status", "-o", "json"))
        assert all(one["state"] == "well" for one in status["services"]) and status["services"]
        system.ok("tenant", "create", "tax", "--name", "税务局", "--parent", "root")
        assert server.stop() == 0
    with serving(tmp_path / "server", *place) as server:
        assert Command(tmp_path / "system", server.url).ok("tenant", "list", "-o", "name").split() == ["root", "tax"]
        token = json.loads((tmp_path / "system" / "contexts.json").read_text(encoding="utf-8"))["contexts"]["default"]["token"]
        log = server.log.read_text(encoding="utf-8")
        assert token not in log and not any(code in log for code in codes.values()), "no secret in the log"
        for line in log.splitlines():
            assert line.startswith("govpool serves") or json.loads(line)["event"]


def test_a_second_server_on_the_same_file_refuses_with_a_sentence(tmp_path: pathlib.Path) -> None:
    place = ["--data", str(tmp_path / "data")]
    initialised(tmp_path, *place)
    with serving(tmp_path, *place) as server:
        second = Command(tmp_path).run("serve", "--port", "0", *place)
        assert second.returncode == 7
        assert f"pid {server.process.pid}" in second.stderr and second.stderr.count("\n") == 4
    with serving(tmp_path, *place) as third:
        assert third.stop() == 0, "a server that was killed leaves no lock behind"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--data", "{data}", "--host", "0.0.0.0"], 2, "serve.tls"),
        (["--data", "{data}", "--host", "::"], 2, "serve.tls"),
        (["--data", "{data}", "--tls-cert", "a.pem"], 2, "settings.invalid"),
        (["--data", "{data}", "--port", "99999"], 2, "settings.invalid"),
        (["--data", "{data}", "--set", "colour=red"], 2, "settings.invalid"),
        (["--data", "{data}"], 7, "store.not_initialised"),
        (["--data", "{data}", "--database", "sqlite:///x"], 2, "name one database"),
        ([], 2, "name one database"),
        (["--database", "mysql://x"], 1, "store.unreachable"),
        (["--database", "postgresql://127.0.0.1:1/x"], 1, "store.unreachable"),
    ],
)
def test_what_is_unsafe_or_wrong_is_refused_at_the_start(
    tmp_path: pathlib.Path, arguments: list[str], code: int, words: str
) -> None:
    filled = [word.replace("{data}", str(tmp_path / "data")) for word in arguments]
    done = Command(tmp_path).run("serve", *(filled if "--port" in filled else [*filled, "--port", "0"]))
    assert done.returncode == code and words in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert len(done.stderr.splitlines()) >= 4


def test_tls_with_a_certificate_of_ones_own(tmp_path: pathlib.Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(["openssl", *made.split(), *names], check=True, capture_output=True)
    place = ["--data", str(tmp_path / "data")]
    codes = initialised(tmp_path, *place)
    with serving(tmp_path, *place, "--tls-cert", str(certificate), "--tls-key", str(key), "--host", "0.0.0.0") as server:
        url = server.url.replace("0.0.0.0", "127.0.0.1")
        assert url.startswith("https://")
        trusting = Command(tmp_path / "a", url)
        trusting.ok("login", "--code", codes["audit_admin"], "--ca-file", str(certificate))
        assert "audit_admin" in trusting.ok("whoami")
        stranger = Command(tmp_path / "b", url).run("status")
        assert stranger.returncode == 1 and "certificate" in stranger.stderr.lower()


def test_requests_under_way_end_before_the_server_does(tmp_path: pathlib.Path) -> None:
    place = ["--data", str(tmp_path / "data")]
    codes = initialised(tmp_path, *place)
    with serving(tmp_path, *place) as server:
        system = Command(tmp_path / "s", server.url)
        system.ok("login", "--code", codes["system_admin"])
        waiting = [
            subprocess.Popen(
                [sys.executable, "-m", "cli.main", "tenant", "create", f"t{n}", "--name", f"部门{n}", "--parent", "root"],
                env=system.environment,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for n in range(4)
        ]
        assert waiting[0].wait(60) == 0
        server.process.send_signal(signal.SIGINT)
        made = sum(one.wait(60) == 0 for one in waiting)
        assert server.process.wait(60) == 0
    with serving(tmp_path, *place) as server:
        system = Command(tmp_path / "s", server.url)
        listed = [name for name in system.ok("tenant", "list", "-o", "name").split() if name != "root"]
        assert len(listed) >= made, "what was answered 2xx is there"
