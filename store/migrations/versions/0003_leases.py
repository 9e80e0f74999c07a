"""Migration 0003: leases."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To 0003."""
    for name in ("end_at", "end_told_at", "end_due_at", "end_reached_at"):
        kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
        op.add_column("resources", sa.Column(name, kind, autoincrement=False, nullable=True))
    op.add_column("resources", sa.Column("end_power", sa.Text(), autoincrement=False, nullable=True))
    _index("resources_end", ["end_at", "id"], "end_at IS NOT NULL AND ended_at IS NULL")
    _index("resources_end_due", ["end_due_at"], "end_due_at IS NOT NULL")


def _index(name: str, columns: list[str], where: str) -> None:
    op.create_index(name, "resources", columns, unique=False, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
