"""Fixtures of all tests: `database`, a fresh database with today's schema, once on SQLite and once on a real PostgreSQL."""

import contextlib
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator

import pytest

from control import schema as control_schema
from store import database as store_database
from store import schema

POSTGRESQL_BIN = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), default=pathlib.Path("/usr/lib/postgresql/15/bin"))


def _end_orphans() -> None:
    """Stop clusters whose test process was killed before it could do so; the folder's name tells whose it is."""
    for folder in pathlib.Path(tempfile.gettempdir()).glob("govpool-pg-[0-9]*-*"):
        owner = folder.name.split("-")[2]
        if not pathlib.Path(f"/proc/{owner}").exists():
            with contextlib.suppress(OSError, ValueError):
                os.kill(int((folder / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)
            shutil.rmtree(folder, ignore_errors=True)


class Cluster:
    """A PostgreSQL of our own on a unix socket; as root it runs as the user 'postgres', who alone may start one."""

    def __init__(self) -> None:
        _end_orphans()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix=f"govpool-pg-{os.getpid()}-"))
        self._as_user: list[str] = []
        if os.geteuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self._as_user = ["runuser", "-u", "postgres", "--"]
        self._run(
            "initdb",
            "--pgdata",
            str(self.folder / "data"),
            "--auth",
            "trust",
            "--username",
            "govpool",
            "--encoding",
            "UTF8",
            "--locale",
            "C.UTF-8",
        )
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder} -c fsync=off -c max_connections=200"
        self._run(
            "pg_ctl",
            "--pgdata",
            str(self.folder / "data"),
            "--options",
            options,
            "--log",
            str(self.folder / "log"),
            "--wait",
            "start",
        )
        with self.connect("postgres") as connection:
            connection.execute("CREATE DATABASE template_govpool")
        made = store_database.connect(self.url("template_govpool"))
        schema.create_all(made)
        made.close()

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [*self._as_user, str(POSTGRESQL_BIN / program), *arguments], check=True, capture_output=True, cwd=self.folder
        )

    def url(self, name: str) -> str:
        """The URL of a database of this cluster."""
        return f"postgresql://govpool@/{name}?host={self.folder}"

    def connect(self, name: str):  # type: ignore[no-untyped-def]  # psycopg is imported late
        """A raw connection for the tests themselves."""
        import psycopg

        return psycopg.connect(self.url(name), autocommit=True)

    def fresh(self) -> str:
        """The URL of a new database with today's schema."""
        name = f"t{uuid.uuid4().hex}"
        with self.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template_govpool")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drop a database that `fresh` made."""
        name = url.removeprefix("postgresql://govpool@/").partition("?")[0]
        with self.connect("postgres") as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def stop(self) -> None:
        """Stop and remove the cluster."""
        self._run("pg_ctl", "--pgdata", str(self.folder / "data"), "--mode", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A running PostgreSQL with a template of today's schema."""
    control_schema.declare_tables()
    running = Cluster()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A SQLite file with today's schema, copied for each test."""
    control_schema.declare_tables()
    path = tmp_path_factory.mktemp("template") / "govpool.db"
    connection = store_database.connect(f"sqlite://{path}")
    schema.create_all(connection)
    connection.close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[str]:
    """The URL of a fresh database, once on each kind.  Processes of a test may open it."""
    if request.param == "sqlite":
        path = tmp_path / "govpool.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite://{path}"
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    url = cluster.fresh()
    yield url
    cluster.drop(url)


@pytest.fixture
def database(database_url: str) -> Iterator[store_database.Database]:
    """An open database with today's schema, once on each kind."""
    opened = store_database.open_database(database_url)
    yield opened
    opened.close()
