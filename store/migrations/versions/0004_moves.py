"""Migration 0004: moves."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_LIVING_ELSEWHERE = "home_tenant_id IS NOT NULL AND ended_at IS NULL"


def upgrade() -> None:
    """To 0004."""
    for name in ("home_tenant_id", "home_tenant", "home_project"):
        op.add_column("resources", sa.Column(name, sa.Text(), autoincrement=False, nullable=True))
    _index("resources_home", "resources", ["pool_id", "home_tenant_id"], _LIVING_ELSEWHERE)
    op.add_column("orders", sa.Column("taker_id", sa.Text(), autoincrement=False, nullable=True))
    _index("orders_by_taker", "orders", ["taker_id", "number"], "taker_id IS NOT NULL")
    op.create_table(
        "quota_incoming",
        _text("order_id"),
        _text("name"),
        _text("from_id"),
        _text("tenant_id"),
        _integer("amount"),
        sa.CheckConstraint("amount BETWEEN 1 AND 1000000000000000", name="quota_incoming_range"),
        sa.PrimaryKeyConstraint("order_id", "name", name=op.f("quota_incoming_pkey")),
        sqlite_strict=True,
    )
    op.create_table(
        "tenant_merges",
        _text("tenant_id"),
        _text("into_id"),
        _text("terms"),
        _text("asked_by"),
        _integer("asked_at"),
        _text("agreed_by"),
        _integer("valid_from_at", null=True),
        _integer("merged_at", null=True),
        sa.CheckConstraint("asked_by <> agreed_by", name="tenant_merges_two_persons"),
        sa.CheckConstraint("tenant_id <> into_id", name="tenant_merges_two_tenants"),
        sa.CheckConstraint("(merged_at IS NULL) = (agreed_by = '')", name="tenant_merges_agreed"),
        sa.ForeignKeyConstraint(["into_id"], ["tenants.id"], name=op.f("tenant_merges_into_id_fkey")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("tenant_merges_tenant_id_fkey")),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("tenant_merges_pkey")),
        sqlite_strict=True,
    )


def _text(name: str) -> "sa.Column[str]":
    return sa.Column(name, sa.Text(), autoincrement=False, nullable=False)


def _integer(name: str, *, null: bool = False) -> "sa.Column[int]":
    return sa.Column(name, sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=null)


def _index(name: str, table: str, columns: list[str], where: str) -> None:
    op.create_index(name, table, columns, unique=False, sqlite_where=sa.text(where), postgresql_where=sa.text(where))
