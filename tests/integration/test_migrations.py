"""What the migrations make is what the code declares, on both databases; a foreign schema is refused."""

import pathlib
from collections.abc import Iterator

import pytest
from alembic import autogenerate, migration

from control import schema as control_schema
from primitives import errors
from store import columns, engines, migrate
from store import database as store_database
from tests.conftest import Cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[str]:
    """The URL of an empty database, once on each kind."""
    control_schema.declare_tables()
    if request.param == "sqlite":
        yield f"sqlite://{tmp_path}/empty.db"
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    url = cluster.fresh()
    connection = store_database.connect(url)
    connection.rows("DROP SCHEMA public CASCADE; CREATE SCHEMA public", None)
    connection.close()
    yield url
    cluster.drop(url)


def test_the_newest_migration_is_the_one_the_release_asks_for() -> None:
    assert migrate.revision_files()[-1].name.partition("_")[0] == migrate.HEAD


def test_migrations_make_what_the_code_declares(empty_url: str) -> None:
    assert control_schema.upgrade(empty_url)
    engine = migrate.engine_of(empty_url)
    with engine.connect() as connection:
        context = migration.MigrationContext.configure(connection, opts={"compare_type": True})
        differences = autogenerate.compare_metadata(context, columns.METADATA)
    engine.dispose()
    assert differences == []
    assert _triggers(empty_url) == set(columns.TRIGGERS)


def test_a_second_upgrade_does_nothing(empty_url: str) -> None:
    control_schema.upgrade(empty_url)
    assert not control_schema.upgrade(empty_url)
    assert migrate.revision(empty_url) == migrate.HEAD


def test_a_schema_of_another_release_is_refused_and_not_touched(empty_url: str) -> None:
    control_schema.upgrade(empty_url)
    connection = store_database.connect(empty_url)
    connection.rows("UPDATE alembic_version SET version_num = '9999'", None)
    connection.close()
    with pytest.raises(errors.GovpoolError) as caught:
        control_schema.upgrade(empty_url)
    assert caught.value.code == "store.schema_foreign"
    assert migrate.revision(empty_url) == "9999"


def test_every_column_is_of_one_of_three_types_and_every_constraint_has_a_name() -> None:
    control_schema.declare_tables()
    for table in columns.METADATA.tables.values():
        assert {str(column.type) for column in table.columns} <= {"BIGINT", "TEXT", "BLOB"}, table.name
        assert all(constraint.name for constraint in table.constraints), table.name
        assert table.primary_key.columns, table.name


def _triggers(url: str) -> set[str]:
    connection = store_database.connect(url)
    found = connection.rows(
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if connection.dialect == engines.SQLITE
        else "SELECT tgname AS name FROM pg_trigger WHERE NOT tgisinternal",
        None,
    )
    connection.close()
    return {row["name"] for row in found}
