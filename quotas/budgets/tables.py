"""The tables of money.  What the guard must never let through is forbidden here a second time, by CHECKs; amounts are micro-yuan."""

from typing import Final

from store import columns

BUDGETS: Final = columns.table(
    "budgets",
    columns.text("tenant_id", primary_key=True),
    columns.integer("year", primary_key=True),  # the calendar year in Asia/Shanghai
    columns.integer("appropriated_micro"),
    columns.integer("carried_over_micro"),
    columns.integer("hard"),  # 1: an order that does not fit is refused
    columns.text("thresholds"),  # a JSON list such as ["committed:80", "forecast:100"]
    columns.text("told"),  # those of them that are crossed, and were told
    columns.integer("encumbered_micro"),  # the sum of all holds of the year at and below the tenant
    columns.integer("spent_micro"),  # the sum of all expenses of the year at and below the tenant, in the tree of each month
    columns.integer("over_micro"),  # how far both reach over what is appropriated and carried over; no order ever raises it
    columns.integer("generation"),
    columns.check("budgets_year_range", "year BETWEEN 2000 AND 2100"),
    columns.check("budgets_appropriated_range", "appropriated_micro BETWEEN 1 AND 1000000000000000"),
    columns.check("budgets_carried_range", "carried_over_micro BETWEEN 0 AND 1000000000000000"),
    columns.check("budgets_hard_known", "hard IN (0, 1)"),
    columns.check("budgets_encumbered_range", "encumbered_micro BETWEEN 0 AND 1000000000000000000"),
    columns.check("budgets_spent_range", "spent_micro BETWEEN 0 AND 1000000000000000000"),
    columns.check("budgets_over_range", "over_micro BETWEEN 0 AND 2000000000000000000"),
    columns.check("budgets_within", "encumbered_micro + spent_micro <= appropriated_micro + carried_over_micro + over_micro"),
    columns.index("budgets_by_year", "year"),
)

HOLDS: Final = columns.table(
    "budget_holds",  # one stretch of time of one resource at one price, in one year; use before start_at is expense already
    columns.text("holder", primary_key=True),
    columns.integer("number", primary_key=True),
    columns.text("tenant_id"),
    columns.integer("year"),
    columns.integer("monthly_micro"),  # for 730 hours
    columns.integer("start_at"),
    columns.integer("end_at"),
    columns.integer("open_ended"),  # 1: goes on in the next year
    columns.integer("amount_micro"),
    columns.check("budget_holds_order", "start_at < end_at"),
    columns.check("budget_holds_open_known", "open_ended IN (0, 1)"),
    columns.check("budget_holds_monthly_range", "monthly_micro BETWEEN 0 AND 10000000000000"),
    columns.check("budget_holds_amount_range", "amount_micro BETWEEN 0 AND 1000000000000000"),
    columns.index("budget_holds_by_tenant", "tenant_id", "year"),
    columns.index("budget_holds_by_year", "year", "end_at"),
)

EXPENSES: Final = columns.table(
    "budget_expenses",  # what a tenant's use of a month cost, once for every level it counts at
    columns.text("tenant_id", primary_key=True),
    columns.text("month", primary_key=True),
    columns.text("node_id", primary_key=True),  # the tenant and each above it, in the tree of the month
    columns.integer("amount_micro"),
    columns.check("budget_expenses_range", "amount_micro BETWEEN 1 AND 1000000000000000"),
    columns.index("budget_expenses_by_node", "node_id", "month"),
)

SETTLEMENTS: Final = columns.table(
    "budget_settlements",  # up to when the use of a tenant is among its expenses
    columns.text("tenant_id", primary_key=True),
    columns.integer("settled_at"),
)

YEARS: Final = columns.table(
    "budget_years",  # years that have begun: what ran on was rolled into them
    columns.integer("year", primary_key=True),
    columns.integer("begun_at"),
)
