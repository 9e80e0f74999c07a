"""The lab cloud itself: it says what it is, takes no nonsense, and keeps a truthful record."""

import http.client
import json
import socket
import subprocess
import sys
import urllib.parse
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provisioners.lab import wire
from tests.backends.site import INSTALLATION, ROOT, LabCloud, Site


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """The lab cloud's program, to its end."""
    command = [sys.executable, "-m", "provisioners.lab.cloud", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT)


def test_every_answer_says_that_no_guest_runs_in_it(cloud: LabCloud) -> None:
    assert cloud.ready["banner"] == wire.BANNER
    assert "no guest runs" in cloud.call("GET", "/")["banner"]
    connection = http.client.HTTPConnection("127.0.0.1", cloud.port, timeout=30)
    for path in ("/", "/v1/hosts", "/v1/guests/none", "/nowhere"):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert "no guest runs" in answer.headers["X-Lab-Banner"]
        assert "no guest runs" in answer.headers["Server"]
    connection.close()


@pytest.mark.parametrize("where", ["0.0.0.0:0", "192.0.2.1:80", "127.0.0.1:99999", "127.0.0.1:x"])
def test_it_listens_on_loopback_only(where: str, cloud: LabCloud) -> None:
    ended = run("--file", str(cloud.file) + ".2", "--socket", where)
    assert ended.returncode == 2
    assert "loopback only" in ended.stderr


def test_an_unreadable_script_is_refused_at_start(cloud: LabCloud) -> None:
    for text in (b"{", b'{"rules":[{"do":"explode"}]}', b'{"sede":1}', b'{"build_s":[-1,0]}', b"\xff"):
        path = cloud.file.with_name("script.json")
        path.write_bytes(text)
        ended = run("--file", str(cloud.file) + ".2", "--script", str(path))
        assert ended.returncode == 2
        assert "script" in ended.stderr
        assert "Traceback" not in ended.stderr


GUEST: dict[str, Any] = {
    "kind": "VirtualMachine", "name": "vm", "installation": INSTALLATION, "tenant": "tax", "project": "p", "resource_id": "vm-1",
    "amounts": {"cpu_milli": 1000},
}  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"[" * 5000,
        json.dumps(GUEST | {"colour": "red"}).encode(),
        json.dumps(GUEST | {"kind": "Mainframe"}).encode(),
        json.dumps(GUEST | {"amounts": {"cpu_milli": -1}}).encode(),
        json.dumps(GUEST | {"amounts": {"cpu_milli": 10**16}}).encode(),
        json.dumps(GUEST | {"amounts": {"cpu_milli": 1.5}}).encode(),
        json.dumps(GUEST | {"name": "x" * 256}).encode(),
        json.dumps(GUEST | {"ticket_id": "../../etc"}).encode(),
        json.dumps(GUEST | {"ticket_id": "ticket-nobody-made"}).encode(),
        json.dumps(GUEST | {"power": "maybe"}).encode(),
        json.dumps(GUEST | {"metadata": {str(n): "" for n in range(65)}}).encode(),
    ],
)
def test_a_body_out_of_bounds_is_a_clear_400_and_makes_nothing(tagged: Site, body: bytes) -> None:
    status, answer = tagged.cloud.answer("POST", "/v1/guests", body)
    assert status == 400
    assert answer["code"]
    assert answer["message"]
    assert tagged.cloud.call("GET", "/v1/inventory")["guests"] == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/inventory?limit=0", 400),
        ("GET", "/v1/inventory?limit=99999999999999999999999", 400),
        ("GET", "/v1/events?after=-1", 400),
        ("GET", "/v1/events?after=0000000000000000000099999999999999999999", 400),
        ("GET", "/v1/events?after=%D9%A1", 400),
        ("GET", "/v1/guests/%27%20OR%201=1", 404),
        ("GET", "/v1/nowhere", 404),
        ("PUT", "/v1/tenants/a/b%2Fc", 400),
        ("DELETE", "/v1/guests/none?revision=x", 400),
        ("DELETE", "/v1/guests/none", 404),
        ("DELETE", "/v1/tickets/none", 404),
        ("POST", "/lab/hosts/none/disable", 404),
        ("DELETE", "/lab/guests/none", 404),
        ("PUT", "/lab/script", 400),
        ("GET", "/lab/requests?limit=many", 400),
    ],
)
def test_a_path_or_query_out_of_bounds_is_a_4xx(cloud: LabCloud, method: str, path: str, status: int) -> None:
    assert cloud.answer(method, path, b"{not json" if method == "PUT" else None)[0] == status


@pytest.mark.parametrize("length", ["-1", "999999999", "many"])
def test_a_length_that_is_a_lie_or_too_large_is_413(cloud: LabCloud, length: str) -> None:
    with socket.create_connection(("127.0.0.1", cloud.port), timeout=30) as raw:
        raw.sendall(f"POST /v1/guests HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode())
        assert b" 413 " in raw.recv(200)


def test_the_same_script_brings_the_same_faults_in_any_order_of_calls(cloud: LabCloud) -> None:
    def fates(names: list[str]) -> dict[str, list[str]]:
        cloud.script({"do": "lose", "on": ["tenant.set"], "percent": 40, "how": "502"}, seed=11)
        found: dict[str, list[str]] = {name: [] for name in names}
        for name in names * 3:
            found[name].append(str(cloud.answer("PUT", f"/v1/tenants/city/{name}", {"name": name})[0]))
        return found

    names = [f"d{n}" for n in range(20)]
    first = fates(names)
    assert first == fates(names[::-1])
    assert {"200", "502"} == {status for several in first.values() for status in several}


def test_a_script_goes_on_where_it_was_after_a_kill(cloud: LabCloud) -> None:
    cloud.script({"do": "lose", "on": ["tenant.set"], "times": 1, "how": "502"})
    assert cloud.answer("PUT", "/v1/tenants/city/a", {"name": "a"})[0] == 502
    cloud.kill()
    cloud.start()
    assert cloud.answer("PUT", "/v1/tenants/city/a", {"name": "a"})[0] == 200


def test_the_record_dates_every_change_of_a_life(site: Site) -> None:
    wanted = site.wanted(name="不动产登记")
    known = site.act(wanted, site.made(wanted), "stop")
    site.removed(wanted, known)
    record = site.cloud.call("GET", "/v1/events")["events"]
    assert [line["verb"] for line in record] == ["created", "built", "stopped", "deleted"]
    assert all(line["guest"]["resource_id"] == wanted.resource_id and line["at"].endswith("Z") for line in record)
    assert [line["at"] for line in record] == sorted(line["at"] for line in record)


def test_guests_vanish_by_script_behind_their_owners_back(site: Site) -> None:
    site.cloud.script({"do": "vanish", "on": ["guest.create"], "name": "会消失*", "after_s": [0.05, 0.1]})
    gone, kept = site.wanted(name="会消失-01"), site.wanted(name="留下-01")
    site.made(gone)
    site.made(kept)
    while site.cloud.pending():
        pass
    assert site.cloud.guests(gone.resource_id) == []
    assert len(site.cloud.guests(kept.resource_id)) == 1


def test_an_image_that_is_not_listed_is_missing(site: Site) -> None:
    site.cloud.script(images=["debian-12"])
    assert site.made(site.wanted()).cloud_id
    body = GUEST | {"resource_id": "vm-2", "image": "windows-3.11"}
    assert site.cloud.answer("POST", "/v1/guests", body)[1]["code"] == "image_missing"


def test_a_disabled_host_takes_nothing_new_and_keeps_what_it_has(site: Site) -> None:
    known = site.made(site.wanted())
    site.cloud.call("POST", f"/lab/hosts/{known.host}/disable")
    assert site.made(site.wanted()).host != known.host
    assert site.cloud.call("GET", f"/v1/guests/{known.cloud_id}")["host"] == known.host


def test_a_stopped_process_ends_clean_and_frees_its_file(cloud: LabCloud) -> None:
    cloud.process.terminate()
    assert cloud.process.wait(timeout=60) == 0
    cloud.kill()  # closes the pipe of what has ended
    cloud.start()
    assert cloud.call("GET", "/v1/hosts")["hosts"]


SEGMENTS = st.sampled_from(
    ["v1", "lab", "guests", "tickets", "tenants", "limits", "inventory", "events", "hosts", "script", "actions"]
)
PATHS = st.lists(SEGMENTS | st.text(max_size=8).map(urllib.parse.quote), max_size=6).map(lambda parts: "/" + "/".join(parts))
KNOWN = ["/v1/guests", "/v1/tickets", f"/v1/tenants/{INSTALLATION}/tax", f"/v1/tenants/{INSTALLATION}/tax/limits", "/lab/guests"]
QUERIES = st.dictionaries(
    st.sampled_from(["after", "limit", "revision", "installation", "resource_id"]), st.text(max_size=24), max_size=3
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GUEST, "revision", "action", "limits"]), inner),
    max_leaves=8,
)
BODIES = st.binary(max_size=64) | VALUES.map(lambda value: json.dumps(value).encode()) | st.fixed_dictionaries(
    {}, optional={name: st.just(value) | VALUES for name, value in GUEST.items()}
).map(lambda value: json.dumps(value).encode())  # fmt: skip


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["GET", "PUT", "POST", "DELETE"]), st.sampled_from(KNOWN) | PATHS, QUERIES, BODIES)
def test_no_call_whatever_makes_a_5xx(tagged: Site, method: str, path: str, query: dict[str, str], body: bytes) -> None:
    if path == "/lab/script" and method == "PUT":
        return  # a script may ask for them
    status, _ = tagged.cloud.answer(method, f"{path}?{urllib.parse.urlencode(query)}", body)
    assert status < 500
