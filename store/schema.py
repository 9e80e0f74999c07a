"""Triggers and the whole schema of one release.

`create_all` makes today's schema from the declarations; tests use it, and compare it with what the migrations make.  `restore_triggers` makes all
triggers again: Alembic's batch operations drop them silently on SQLite.
"""

from collections.abc import Iterator

from sqlalchemy import schema

from store import columns, engines

_REFUSE_FUNCTION = (
    "CREATE OR REPLACE FUNCTION govpool_refuse() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'govpool: % is forbidden', TG_NAME USING ERRCODE = 'integrity_constraint_violation'; END $$"
)


def create_all(connection: engines.Connection) -> None:
    """Make every declared table, index and trigger in an empty database."""
    dialect = engines.DIALECTS[connection.dialect]
    for table in columns.METADATA.sorted_tables:
        connection.rows(str(schema.CreateTable(table).compile(dialect=dialect)), {})  # not None: a compiled % is doubled
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            connection.rows(str(schema.CreateIndex(index).compile(dialect=dialect)), {})
    restore_triggers(connection)


def restore_triggers(connection: engines.Connection) -> None:
    """Make every declared trigger, replacing one of the same name."""
    for statement in trigger_statements(connection.dialect):
        connection.rows(statement, None)


def trigger_statements(dialect: str) -> Iterator[str]:
    """The statements that make all triggers, and on PostgreSQL what they and the lane need."""
    if dialect == engines.POSTGRESQL:
        yield _REFUSE_FUNCTION
        yield f"CREATE SEQUENCE IF NOT EXISTS {engines.LANE_TURN}"
    for trigger in columns.TRIGGERS.values():
        yield f"DROP TRIGGER IF EXISTS {trigger.name}" + (f" ON {trigger.table}" if dialect == engines.POSTGRESQL else "")
        when = f" WHEN ({trigger.when})" if trigger.when else ""
        if dialect == engines.POSTGRESQL:
            yield f"CREATE TRIGGER {trigger.name} BEFORE {trigger.event} ON {trigger.table} FOR EACH ROW{when} EXECUTE FUNCTION govpool_refuse()"
        else:
            yield (
                f"CREATE TRIGGER {trigger.name} BEFORE {trigger.event} ON {trigger.table}{when} "
                f"BEGIN SELECT RAISE(ABORT, 'govpool: {trigger.name} is forbidden'); END"
            )
