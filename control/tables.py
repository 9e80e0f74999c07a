"""Tables of `control` itself: notices, who has read them, where they were sent; who accepted a restored state."""

from typing import Final

from store import columns

NOTICES: Final = columns.table(
    "notices",
    columns.text("id", primary_key=True),
    columns.text("address"),  # 'person:<id>' | '<tenant id>/<role>' | '<tenant id>/' (any role bound right there)
    columns.text("tenant_id"),
    columns.text("code"),
    columns.text("values_json"),  # canonical JSON
    columns.text("object_id"),
    columns.integer("planned"),  # 1 once its deliveries are written
    columns.integer("recorded_at"),
    columns.check("notices_planned_flag", "planned IN (0, 1)"),
    columns.index("notices_by_address", "address", "id"),
    columns.index("notices_unplanned", "id", where="planned = 0"),
)
READS: Final = columns.table(
    "notice_reads",
    columns.text("notice_id", primary_key=True, references="notices.id"),
    columns.text("account_id", primary_key=True),
    columns.integer("read_at"),
)
DELIVERIES: Final = columns.table(
    "notice_deliveries",
    columns.text("notice_id", primary_key=True, references="notices.id"),
    columns.text("channel", primary_key=True),  # 'mail' | 'webhook'
    columns.text("recipient", primary_key=True),  # person id of a mail, '' of the webhook: addresses are looked up when sending
    columns.text("state"),  # 'waiting' | 'sent' | 'failed'
    columns.integer("tries"),
    columns.integer("due_at"),
    columns.integer("sent_at", null=True),
    columns.text("answer"),  # what the other side said last
    columns.check("notice_deliveries_state_known", "state IN ('waiting', 'sent', 'failed')"),
    columns.check("notice_deliveries_tries_positive", "tries >= 0"),
    columns.index("notice_deliveries_due", "due_at", where="state = 'waiting'"),
)
ACCEPTANCES: Final = columns.table(
    "restore_acceptances",
    columns.integer("epoch", primary_key=True),
    columns.text("person_id", primary_key=True),
    columns.text("account_id"),
    columns.text("role"),
    columns.integer("accepted_at"),
    columns.unique("restore_acceptances_role_unique", "epoch", "role"),
)
columns.append_only(ACCEPTANCES)
STRANGERS: Final = columns.table(
    "stranger_requests",
    columns.text("source", primary_key=True),
    columns.integer("minute_at", primary_key=True),
    columns.integer("requests"),
    columns.check("stranger_requests_requests_positive", "requests > 0"),
)
