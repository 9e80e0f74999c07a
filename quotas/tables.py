"""The tables of the room.  What a guard must never let through is forbidden here a second time, by CHECKs."""

from typing import Final

from store import columns

GRANTS: Final = columns.table(
    "grants",
    columns.text("tenant_id", primary_key=True),
    columns.text("name", primary_key=True),
    columns.integer("granted"),
    columns.integer("lending_limit", null=True),  # NULL: all
    columns.integer("borrowing_limit"),
    columns.integer("subtree_quota"),
    columns.integer("local_quota"),
    columns.integer("drawn"),
    columns.integer("over_by"),
    columns.integer("generation"),
    columns.check("grants_granted_range", "granted BETWEEN 0 AND 1000000000000000"),
    columns.check("grants_lending_range", "lending_limit BETWEEN 0 AND 1000000000000000"),
    columns.check("grants_borrowing_range", "borrowing_limit BETWEEN 0 AND 1000000000000000"),
    columns.check("grants_subtree_range", "subtree_quota BETWEEN 0 AND granted"),
    columns.check("grants_local_range", "local_quota BETWEEN 0 AND subtree_quota"),
    columns.check("grants_over_range", "over_by BETWEEN 0 AND 2000000000000000"),
    columns.check("grants_drawn_range", "drawn BETWEEN 0 AND subtree_quota + borrowing_limit + over_by"),
)

RESERVATIONS: Final = columns.table(
    "quota_reservations",
    columns.text("holder", primary_key=True),
    columns.text("tenant_id"),
    columns.text("state"),
    columns.integer("expires_at", null=True),
    columns.check("quota_reservations_state_known", "state IN ('reserved', 'confirmed')"),
    columns.check("quota_reservations_confirmed_stays", "state = 'reserved' OR expires_at IS NULL"),
    columns.index("quota_reservations_tenant", "tenant_id"),
    columns.index("quota_reservations_expiry", "expires_at", where="expires_at IS NOT NULL"),
)

AMOUNTS: Final = columns.table(
    "quota_amounts",  # what a reservation takes at its own tenant, a class on both names
    columns.text("holder", primary_key=True, references="quota_reservations.holder"),
    columns.text("name", primary_key=True),
    columns.integer("amount"),
    columns.check("quota_amounts_range", "amount BETWEEN 1 AND 1000000000000000"),
)

INCOMING: Final = columns.table(
    "quota_incoming",  # what a waiting order will move from one tenant to another; drawn nowhere yet
    columns.text("order_id", primary_key=True),
    columns.text("name", primary_key=True),
    columns.text("from_id"),
    columns.text("tenant_id"),
    columns.integer("amount"),
    columns.check("quota_incoming_range", "amount BETWEEN 1 AND 1000000000000000"),
)

DEFAULTS: Final = columns.table(
    "grant_defaults",  # what a new tenant is granted, as far as its parent has it
    columns.text("name", primary_key=True),
    columns.integer("granted"),
    columns.integer("generation"),
    columns.check("grant_defaults_range", "granted BETWEEN 0 AND 1000000000000000"),
)

RECALLS: Final = columns.table(
    "quota_recalls",  # lenders that want their own back; one at a time for a tenant and name
    columns.text("id", primary_key=True),
    columns.text("tenant_id"),
    columns.text("name"),
    columns.integer("amount"),
    columns.integer("lent_before"),
    columns.integer("lending_before", null=True),
    columns.integer("lending_target"),
    columns.text("reason"),
    columns.integer("started_at"),
    columns.integer("due_at"),
    columns.integer("reminded_at", null=True),
    columns.integer("ended_at", null=True),
    columns.text("outcome"),
    columns.integer("came_back"),  # of `amount`, when it ended
    columns.check("quota_recalls_amount_range", "amount BETWEEN 1 AND lent_before"),
    columns.check("quota_recalls_target", "lending_target = lent_before - amount"),
    columns.check("quota_recalls_came_back_range", "came_back BETWEEN 0 AND amount"),
    columns.check("quota_recalls_outcome_known", "outcome IN ('', 'returned', 'ended')"),
    columns.check("quota_recalls_end", "(outcome = '') = (ended_at IS NULL)"),
    columns.index("quota_recalls_going_on", "name", "tenant_id", unique=True, where="ended_at IS NULL"),
    columns.index("quota_recalls_tenant", "tenant_id", "id"),
)
