"""Writes a migration from the difference between a database at the newest revision and the tables that the code declares.

    python deploy/draw_migration.py 0002 "budgets"

Read what it writes: Alembic sees tables, columns, indexes and constraints, not data and not triggers (`store.migrate` makes all
triggers again after each upgrade).  Expand first; contract in a later release.
"""

import pathlib
import sys
import tempfile

from alembic import autogenerate, migration
from alembic.operations import ops as alembic_ops

from control import schema
from store import columns, migrate


def draw(number: str, title: str) -> pathlib.Path:
    """Write `versions/<number>_<title>.py` and return its path."""
    schema.declare_tables()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite://{folder}/draw.db"
        previous = migrate.HEAD if migrate.revision_files() else None
        if previous is not None:
            migrate.upgrade(url)
        engine = migrate.engine_of(url)
        with engine.connect() as connection:
            context = migration.MigrationContext.configure(connection, opts={"target_metadata": columns.METADATA})
            script = autogenerate.produce_migrations(context, columns.METADATA)
            body = autogenerate.render_python_code(
                script.upgrade_ops or alembic_ops.UpgradeOps([]), migration_context=context, render_as_batch=False
            )
        engine.dispose()
    path = migrate.FOLDER / "versions" / f"{number}_{title.replace(' ', '_')}.py"
    lines = "\n".join(line if line.strip() else "" for line in body.splitlines())
    path.write_text(
        f'"""Migration {number}: {title}."""\n\nimport sqlalchemy as sa\nfrom alembic import op\n\n'
        f'revision = "{number}"\ndown_revision = {previous!r}\nbranch_labels = None\ndepends_on = None\n\n\n'
        f'def upgrade() -> None:\n    """To {number}."""\n    {lines.strip()}\n',
        encoding="utf-8",
    )
    return path


if __name__ == "__main__":
    print(draw(sys.argv[1], sys.argv[2]))
