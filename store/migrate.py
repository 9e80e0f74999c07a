"""Bringing a database to the schema of this release, in one transaction; Alembic is loaded only when there is something to do.

The server refuses a schema that it does not know (store.schema_foreign).  On SQLite a copy of the file is made before an existing schema is changed.
"""

import pathlib
from typing import Any, Final

import sqlalchemy as sa

from primitives import clock
from store import columns, engines, faults, schema
from store import database as store_database

HEAD: Final = "0005"
"""The revision of this release; a test holds it against the newest file of `migrations/versions`."""

FOLDER: Final = pathlib.Path(__file__).parent / "migrations"


def upgrade(url: str) -> bool:
    """Make or upgrade the schema; False if there was nothing to do.  Raises store.schema_foreign, store.unreachable."""
    found = revision(url)
    if found == HEAD:
        return False
    if found is not None and found not in _known():
        raise faults.BEHIND(found=found, known=HEAD)
    if found is not None:
        _keep_copy(url, found)
    engine = engine_of(url)
    try:
        with engine.begin() as connection:
            _run(connection)
    finally:
        engine.dispose()
    return True


def revision(url: str) -> str | None:
    """The revision that a database is at; None for an empty one."""
    connection = store_database.connect(url)
    try:
        name = (
            "sqlite_master WHERE type = 'table' AND name"
            if connection.dialect == engines.SQLITE
            else "pg_tables WHERE schemaname = current_schema() AND tablename"  # a schema put aside by a restore has one too
        )
        if not connection.rows(f"SELECT 1 AS one FROM {name} = 'alembic_version'", None):
            return None
        rows = connection.rows("SELECT version_num FROM alembic_version", None)
        return str(rows[0]["version_num"]) if rows else None
    finally:
        connection.close()


def revision_files() -> list[pathlib.Path]:
    """The files of all migrations, in order."""
    return sorted(FOLDER.glob("versions/[0-9]*.py"))


def engine_of(url: str) -> sa.Engine:
    """An SQLAlchemy engine over our own kind of connection, for Alembic and for comparing schemas; never for use cases."""
    if store_database.dialect_of(url) == engines.SQLITE:
        made = sa.create_engine(
            "sqlite://", creator=lambda: engines.SqliteConnection(store_database.sqlite_path(url)).raw(), poolclass=sa.NullPool
        )
        # pysqlite would open transactions only before DML; DDL must be inside as well.
        sa.event.listen(made, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        return made

    def connect() -> Any:
        import psycopg

        return psycopg.connect(url)

    return sa.create_engine("postgresql+psycopg://", creator=connect, poolclass=sa.NullPool)


def config(connection: sa.Connection | None = None) -> Any:
    """Alembic's configuration, without an ini file."""
    from alembic import config as alembic_config

    made = alembic_config.Config()
    made.set_main_option("script_location", str(FOLDER))
    made.attributes["connection"] = connection
    return made


def _run(connection: sa.Connection) -> None:
    from alembic import command

    if connection.dialect.name == engines.POSTGRESQL:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({engines.LANE_LOCK})")
    command.upgrade(config(connection), "head")
    undeclared = set(sa.inspect(connection).get_table_names()) - set(columns.METADATA.tables) - {"alembic_version"}
    if undeclared:  # its triggers would be missing: whoever upgrades must have imported every room
        raise RuntimeError(f"tables that no imported module declares: {', '.join(sorted(undeclared))}")
    for statement in schema.trigger_statements(connection.dialect.name):
        # psycopg reads a lone % as a placeholder; '%%' reaches PostgreSQL as '%'
        connection.exec_driver_sql(statement.replace("%", "%%") if connection.dialect.name == engines.POSTGRESQL else statement)
    if connection.dialect.name == engines.POSTGRESQL:  # a turn of the lane: whoever runs beside it reads anew
        connection.exec_driver_sql(f"SELECT nextval('{engines.LANE_TURN}')")


def _known() -> set[str]:
    return {path.name.partition("_")[0] for path in revision_files()}


def _keep_copy(url: str, found: str) -> None:
    if store_database.dialect_of(url) != engines.SQLITE:
        return
    path = store_database.sqlite_path(url)
    copy = path.with_name(f"{path.name}.before-{found}-{clock.now():%Y%m%dT%H%M%S}")
    connection = engines.SqliteConnection(path)
    try:
        connection.raw().execute("VACUUM INTO ?", (str(copy),))
    finally:
        connection.close()
