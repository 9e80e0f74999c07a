"""Migration 0002: budgets."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """To 0002."""
    op.create_table(
        "budget_expenses",
        sa.Column("tenant_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("month", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("node_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("amount_micro", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.CheckConstraint("amount_micro BETWEEN 1 AND 1000000000000000", name="budget_expenses_range"),
        sa.PrimaryKeyConstraint("tenant_id", "month", "node_id", name=op.f("budget_expenses_pkey")),
        sqlite_strict=True,
    )
    op.create_index(
        "budget_expenses_by_node", "budget_expenses", ["node_id", "month"], unique=False, sqlite_where=None, postgresql_where=None
    )
    op.create_table(
        "budget_holds",
        sa.Column("holder", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("tenant_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("year", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("monthly_micro", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("start_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("end_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("open_ended", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("amount_micro", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.CheckConstraint("amount_micro BETWEEN 0 AND 1000000000000000", name="budget_holds_amount_range"),
        sa.CheckConstraint("monthly_micro BETWEEN 0 AND 10000000000000", name="budget_holds_monthly_range"),
        sa.CheckConstraint("open_ended IN (0, 1)", name="budget_holds_open_known"),
        sa.CheckConstraint("start_at < end_at", name="budget_holds_order"),
        sa.PrimaryKeyConstraint("holder", "number", name=op.f("budget_holds_pkey")),
        sqlite_strict=True,
    )
    op.create_index(
        "budget_holds_by_tenant", "budget_holds", ["tenant_id", "year"], unique=False, sqlite_where=None, postgresql_where=None
    )
    op.create_index(
        "budget_holds_by_year", "budget_holds", ["year", "end_at"], unique=False, sqlite_where=None, postgresql_where=None
    )
    op.create_table(
        "budget_settlements",
        sa.Column("tenant_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("settled_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", name=op.f("budget_settlements_pkey")),
        sqlite_strict=True,
    )
    op.create_table(
        "budget_years",
        sa.Column("year", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("begun_at", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("year", name=op.f("budget_years_pkey")),
        sqlite_strict=True,
    )
    op.create_table(
        "budgets",
        sa.Column("tenant_id", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("year", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("appropriated_micro", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("carried_over_micro", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("hard", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("thresholds", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("told", sa.Text(), autoincrement=False, nullable=False),
        sa.Column("encumbered_micro", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("spent_micro", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("over_micro", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("generation", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.CheckConstraint("appropriated_micro BETWEEN 1 AND 1000000000000000", name="budgets_appropriated_range"),
        sa.CheckConstraint("carried_over_micro BETWEEN 0 AND 1000000000000000", name="budgets_carried_range"),
        sa.CheckConstraint(
            "encumbered_micro + spent_micro <= appropriated_micro + carried_over_micro + over_micro", name="budgets_within"
        ),
        sa.CheckConstraint("encumbered_micro BETWEEN 0 AND 1000000000000000000", name="budgets_encumbered_range"),
        sa.CheckConstraint("hard IN (0, 1)", name="budgets_hard_known"),
        sa.CheckConstraint("over_micro BETWEEN 0 AND 2000000000000000000", name="budgets_over_range"),
        sa.CheckConstraint("spent_micro BETWEEN 0 AND 1000000000000000000", name="budgets_spent_range"),
        sa.CheckConstraint("year BETWEEN 2000 AND 2100", name="budgets_year_range"),
        sa.PrimaryKeyConstraint("tenant_id", "year", name=op.f("budgets_pkey")),
        sqlite_strict=True,
    )
    op.create_index("budgets_by_year", "budgets", ["year"], unique=False, sqlite_where=None, postgresql_where=None)
