"""Tables of the room: orders, their lines, decisions (append-only) and approval rules."""

from typing import Final

from store import columns

ORDERS: Final = columns.table(
    "orders",
    columns.text("id", primary_key=True),
    columns.integer("number"),
    columns.text("tenant_id"),
    columns.text("project_id"),
    columns.text("state"),
    columns.text("account_id"),
    columns.text("person_id"),
    columns.text("reason"),
    columns.text("document_no"),
    columns.integer("monthly_micro"),
    columns.text("approval"),
    columns.integer("submitted_at"),
    columns.integer("decide_by", null=True),
    columns.integer("ended_at", null=True),
    columns.integer("generation"),
    columns.text("taker_id", null=True),  # of a move: the tenant that takes, and decides
    columns.unique("orders_number_unique", "number"),
    columns.check("orders_deadline_while_waiting", "(state = 'waiting_for_approval') = (decide_by IS NOT NULL)"),
    columns.index("orders_by_tenant", "tenant_id", "number"),
    columns.index("orders_by_taker", "taker_id", "number", where="taker_id IS NOT NULL"),
    columns.index("orders_by_deadline", "decide_by", where="decide_by IS NOT NULL"),
)
LINES: Final = columns.table(
    "order_lines",
    columns.text("order_id", primary_key=True, references="orders.id"),
    columns.integer("position", primary_key=True),
    columns.text("action"),
    columns.text("kind"),
    columns.text("resource_id"),
    columns.text("name"),
    columns.text("spec"),
    columns.text("outcome"),
    columns.text("reason"),
    columns.text("held_name", null=True),  # '<project>/<kind>/<name>' while a waiting order holds the name there
    columns.index("order_lines_by_resource", "resource_id"),
    columns.index("order_lines_held_name_unique", "held_name", unique=True, where="held_name IS NOT NULL"),
)
DECISIONS: Final = columns.table(
    "order_decisions",
    columns.text("id", primary_key=True),
    columns.text("order_id", references="orders.id"),
    columns.text("verdict"),
    columns.text("account_id"),
    columns.text("person_id"),
    columns.text("reason"),
    columns.text("document_no"),
    columns.integer("decided_at"),
    columns.index("order_decisions_by_order", "order_id", "decided_at"),
)
columns.append_only(DECISIONS)
RULES: Final = columns.table(
    "approval_rules",
    columns.text("id", primary_key=True),
    columns.text("name"),
    columns.text("tenant_id"),
    columns.text("spec"),
    columns.integer("generation"),
    columns.integer("retired_at", null=True),
    columns.index("approval_rules_name_unique", "name", unique=True, where="retired_at IS NULL"),
)
