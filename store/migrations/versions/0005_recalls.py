"""Migration 0005: lenders that want their own quota back."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To 0005."""
    op.create_table(
        "quota_recalls",
        sa.Column("id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("name", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("amount", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("lent_before", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("lending_before", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=True),
        sa.Column("lending_target", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("reason", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("started_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("due_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("reminded_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=True),
        sa.Column("ended_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=True),
        sa.Column("outcome", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("came_back", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.CheckConstraint("amount BETWEEN 1 AND lent_before", name="quota_recalls_amount_range"),
        sa.CheckConstraint("lending_target = lent_before - amount", name="quota_recalls_target"),
        sa.CheckConstraint("came_back BETWEEN 0 AND amount", name="quota_recalls_came_back_range"),
        sa.CheckConstraint("outcome IN ('', 'returned', 'ended')", name="quota_recalls_outcome_known"),
        sa.CheckConstraint("(outcome = '') = (ended_at IS NULL)", name="quota_recalls_end"),
        sa.PrimaryKeyConstraint("id", name="quota_recalls_pkey"),
        sqlite_strict=True,
    )
    op.create_index(
        "quota_recalls_going_on",
        "quota_recalls",
        ["name", "tenant_id"],
        unique=True,
        sqlite_where=sa.text("ended_at IS NULL"),
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index("quota_recalls_tenant", "quota_recalls", ["tenant_id", "id"], unique=False)
