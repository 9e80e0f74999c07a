"""Backups through a real server process: whole or not there, checked to the last byte, restored onto either database."""

import contextlib
import hashlib
import json
import pathlib
import random
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from apiclient import client as api
from audit import service as audit
from control import backup as control_backup
from control import schema
from primitives import errors
from store import backup, columns
from store import database as store_database
from tests.integration import places
from tests.integration.process import Command, initialised, serving
from tests.integration.reconciler_world import wait
from tests.integration.tenants_server import refused
from tests.integration.town import IDLE, Town


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[str]:
    """An empty database, once on each kind."""
    with places.empty_database(request, tmp_path) as made:
        yield made


# -- the file ------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A backup of a small town on SQLite, made through the API of a server process."""
    schema.declare_tables()
    folder = tmp_path_factory.mktemp("town")
    town = Town(f"sqlite://{folder / 'govpool.db'}", folder)
    with town.served() as city:
        city.department("tax", "税务局")
        city.department("audit-branch", "稽查分局", "tax")
        city.person("tax", "li.na", "李娜", "approver")
        answer = city.system.post("/v1/backups", key="k1")
        again = city.system.post("/v1/backups", key="k1")
        assert again == answer and len(city.system.get("/v1/backups")) == 1, "the same request again is the same file"
        assert refused(city.security.post, "/v1/backups") == (403, "role.forbidden")
    path: pathlib.Path = town.backups / answer["file"]
    assert path.stat().st_mode & 0o77 == 0, "it holds what nobody else may read"
    return path


def test_a_backup_is_verified_to_the_last_byte(made: pathlib.Path, tmp_path: pathlib.Path) -> None:
    report = json.loads(Command(tmp_path).ok("backup", "verify", str(made), "-o", "json"))
    assert report["tables"] == len(columns.METADATA.tables) and report["audit_lines"] > 5
    generator = random.Random(20261124)
    whole = made.read_bytes()
    with zipfile.ZipFile(made) as archive:
        spots = [
            member.header_offset + 30 + len(member.filename) + generator.randrange(member.compress_size)
            for member in archive.infolist()
        ]
    for spot in [*spots, *(generator.randrange(len(whole)) for _ in range(200))]:
        broken = bytearray(whole)
        broken[spot] ^= 1 << generator.randrange(8)
        path = tmp_path / "broken.backup"
        path.write_bytes(broken)
        assert refusal(path) == "backup.broken", f"byte {spot} of {len(whole)}"
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        (tmp_path / "cut.backup").write_bytes(whole[:length])
        with pytest.raises(errors.GovpoolError):
            control_backup.verify(tmp_path / "cut.backup")
    done = Command(tmp_path).run("restore", "run", str(tmp_path / "cut.backup"), "--database", f"sqlite://{tmp_path}/x.db")
    assert done.returncode == 2 and "backup.broken" in done.stderr and not (tmp_path / "x.db").exists()


def test_a_manifest_that_leaves_a_table_out_or_ends_the_trail_early_is_refused(made: pathlib.Path, tmp_path: pathlib.Path) -> None:
    def without_tenants(manifest: dict[str, Any]) -> None:
        del manifest["tables"]["tenants"]

    def shorter_trail(manifest: dict[str, Any]) -> None:
        manifest["extra"]["audit"][0] -= 1

    def other_format(manifest: dict[str, Any]) -> None:
        manifest["format"] = "govpool-backup/9"

    def no_sums(manifest: dict[str, Any]) -> None:
        manifest["tables"]["tenants"] = {}

    for change in (without_tenants, shorter_trail, other_format, no_sums):
        with pytest.raises(errors.GovpoolError) as caught:
            control_backup.verify(rewritten(made, tmp_path / "changed.backup", change))
        assert caught.value.code == "backup.broken", change


def test_a_backup_goes_from_either_database_to_either(
    made: pathlib.Path, request: pytest.FixtureRequest, tmp_path: pathlib.Path
) -> None:
    """SQLite to PostgreSQL, PostgreSQL to PostgreSQL, back to SQLite: the same rows each time, but for what each restore adds itself."""
    source, truth = made, contents(made)
    with contextlib.ExitStack() as stack:
        for number, kind in enumerate(("postgresql", "postgresql", "sqlite", "sqlite"), 1):
            target = stack.enter_context(places.empty_database(request, tmp_path, kind))
            report = control_backup.restore(target, source, replace=False)
            assert report["epoch"] == 1 + number
            opened = store_database.open_database(target)
            source = tmp_path / f"{number}.backup"
            opened.read(lambda tx, path=source: backup.write(tx, path, {"audit": list(audit.head(tx))}))  # type: ignore[misc]
            opened.close()
            assert control_backup.verify(source)["audit_lines"] == len(truth["audit_trail"]) + number
            present = contents(source)
            for table in truth.keys() - {"installation", "login_codes", "tokens", "audit_trail"}:
                assert present[table] == truth[table], table
            assert set(truth["audit_trail"]) <= set(present["audit_trail"])


def test_a_restore_voids_all_tokens_and_codes_and_gives_the_administrators_new_ones(url: str, tmp_path: pathlib.Path) -> None:
    town = Town(url, tmp_path)
    with town.served() as city:
        city.department("tax", "税务局")
        unused = city.system.post("/v1/tenants/tax/members", {"account": "li.na", "name": "李娜"})["code"]
        path = town.backups / city.system.post("/v1/backups")["file"]
        old = city.system.token
        city.department("made-after", "之后")
        assert town.server.stop() == 0
    done = Command(tmp_path).run("restore", "run", str(path), "--database", url, "--yes")
    assert done.returncode == 7 and "restore.not_empty" in done.stderr, "what is there is not replaced unasked"
    town.restore(path, "--replace")
    assert set(town.codes) == {"system_admin", "security_admin", "audit_admin"}
    with town.served() as city:
        assert refused(city.client(old).get, "/v1/whoami") == (401, "token.revoked")
        assert refused(city.client().post, "/v1/login", {"code": unused})[0] == 401
        assert [one["metadata"]["name"] for one in city.system.pages("/v1/tenants")] == ["nanhai", "tax"]
        status = city.system.get("/v1/status")
        assert (status["epoch"], status["restore_accepted"]) == (2, False)
        busy = Command(tmp_path).run("restore", "run", str(path), "--database", url, "--replace", "--yes")
        assert busy.returncode == 7 and "store.locked" in busy.stderr, "not under a server that works"
    town.restore(path, "--replace")
    with town.served() as city:
        assert city.system.get("/v1/status")["epoch"] == 3, "no epoch is used twice, though the backup knows only the first"


# -- kill -9 -------------------------------------------------------------------------------------------------------------------------


def test_a_backup_that_is_killed_half_way_is_no_backup(tmp_path: pathlib.Path) -> None:
    town = Town(f"sqlite://{tmp_path / 'govpool.db'}", tmp_path)
    fill(tmp_path / "govpool.db")
    with (
        town.served() as city,
        subprocess.Popen(
            [sys.executable, "-m", "cli.main", "backup", "create"],
            env=Command(tmp_path, city.url).environment | {"GOVPOOL_TOKEN": city.system.token},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as asking,
    ):
        wait(lambda: any(town.backups.glob("*.partial")))
        town.server.process.kill()
        asking.kill()
    assert not list(town.backups.glob("*.backup"))
    token = city.system.token
    with serving(tmp_path, "--database", town.url, "--set", f"backup_folder={town.backups}", *IDLE) as server:
        client = api.Client(server.url, token)
        assert client.get("/v1/backups") == []
        answer = client.post("/v1/backups")
        client.close()
    assert control_backup.verify(town.backups / answer["file"])["rows"] == answer["rows"] > 100_000
    assert not list(town.backups.glob("*.partial")), "what a killed one left is taken away by the next"


@pytest.mark.parametrize("replace", [False, True])
def test_a_restore_that_is_killed_half_way_does_not_start(url: str, tmp_path: pathlib.Path, replace: bool) -> None:
    source = tmp_path / "source"
    source.mkdir()
    Town(f"sqlite://{source / 'govpool.db'}", source)
    opened = store_database.open_database(f"sqlite://{source / 'govpool.db'}")
    path = tmp_path / "whole.backup"
    opened.read(lambda tx: backup.write(tx, path, {"audit": list(audit.head(tx))}))
    opened.close()
    if replace:
        initialised(tmp_path, "--database", url, "--code", "old-one")
    command = ["restore", "run", str(path), "--database", url, "--yes", *(["--replace"] if replace else [])]
    doomed = Command(tmp_path).environment | {"GOVPOOL_KILLPOINT": "restore.commit.before"}  # every row is written
    killed = subprocess.run([sys.executable, "-m", "cli.main", *command], env=doomed, capture_output=True, timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    started = Command(tmp_path).run("serve", "--port", "0", "--database", url)
    assert started.returncode == 7 and "store.not_initialised" in started.stderr
    town = Town.__new__(Town)
    town.url, town.folder, town.backups = url, tmp_path, tmp_path / "backups"
    town.restore(path)
    with town.served() as city:
        assert [one["metadata"]["name"] for one in city.system.pages("/v1/tenants")] == ["nanhai"]
    if replace:
        assert old_tenant(url) == "old-one", "what was replaced stays aside"


# -- inside --------------------------------------------------------------------------------------------------------------------------


def refusal(path: pathlib.Path) -> str:
    """The code with which a file is refused; '' for a sound one."""
    try:
        control_backup.verify(path)
    except errors.GovpoolError as error:
        return error.code
    return ""


def contents(path: pathlib.Path) -> dict[str, list[str]]:
    """The lines of each table of a backup."""
    with zipfile.ZipFile(path) as archive:
        return {
            name.removesuffix(".jsonl"): archive.read(name).decode().splitlines()
            for name in archive.namelist()
            if name.endswith(".jsonl")
        }


def rewritten(source: pathlib.Path, target: pathlib.Path, change: Callable[[dict[str, Any]], None]) -> pathlib.Path:
    """The same backup with another manifest, as somebody would who knows what he does."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as written:
        for name in archive.namelist():
            content = archive.read(name)
            if name == "manifest.json":
                manifest = json.loads(content)
                change(manifest)
                content = json.dumps(manifest).encode()
            written.writestr(name, content)
        written.comment = b"0" * 64
    content = target.read_bytes()[:-64]
    target.write_bytes(content + hashlib.sha256(content).hexdigest().encode())
    return target


def fill(file: pathlib.Path) -> None:
    """Enough rows that a backup and a restore of them take their time."""
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.executemany(
            "INSERT INTO answers VALUES ('acc', 'POST', '/v1/x', ?, ?, 200, ?, NULL, ?)",
            ((f"k{n:07}", f"{n:064x}", f'{{"名": "{n * 7919:080x}"}}', int(time.time()) * 10**6) for n in range(120_000)),
        )


def old_tenant(url: str) -> str:
    """The code of the root tenant in what a replacing restore put aside."""
    if url.startswith("sqlite"):
        path = pathlib.Path(url.removeprefix("sqlite://"))
        (aside,) = [one for one in path.parent.glob(f"{path.name}.replaced-*") if not one.name.endswith(("-wal", "-shm"))]
        with contextlib.closing(sqlite3.connect(aside)) as connection:
            return str(connection.execute("SELECT code FROM tenants").fetchone()[0])
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'replaced_%'").fetchone()
        assert found is not None
        row = connection.execute(f"SELECT code FROM {found[0]}.tenants").fetchone()
        assert row is not None
        return str(row[0])
