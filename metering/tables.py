"""The tables of the room.  Events, price books and lines are only ever appended; what is complete or issued cannot be changed, by trigger."""

from typing import Final

from store import columns

EVENTS: Final = columns.table(
    "usage_events",
    columns.text("source", primary_key=True),
    columns.text("id", primary_key=True),
    columns.text("import_id", primary_key=True),  # '' = appended by govpool itself; an event of an unfinished import does not count
    columns.text("subject"),
    columns.integer("event_at"),
    columns.integer("sequence"),
    columns.text("tenant"),
    columns.text("project"),
    columns.text("kind"),
    columns.text("state"),
    columns.text("amounts"),
    columns.text("dimensions"),
    columns.text("labels"),
    columns.text("digest"),  # SHA-256 of the public form: what tells a repetition from a contradiction
    columns.integer("recorded_at"),
    columns.check("usage_events_state_known", "state IN ('running', 'stopped', 'deleted')"),
    columns.check("usage_events_sequence_range", "sequence BETWEEN 0 AND 1000000000000000"),
    columns.index("usage_events_by_subject", "subject", "event_at"),
    columns.index("usage_events_by_time", "event_at"),
    columns.index("usage_events_by_tenant", "tenant", "subject"),
    columns.index("usage_events_by_import", "import_id"),
)
columns.append_only(EVENTS)

IMPORTS: Final = columns.table(
    "usage_imports",
    columns.text("id", primary_key=True),
    columns.text("account_id"),
    columns.text("key"),
    columns.text("sha256"),
    columns.integer("events"),  # in the file
    columns.integer("done"),  # of them, in order
    columns.integer("begun_at"),
    columns.integer("completed_at", null=True),
    columns.check("usage_imports_done_range", "done BETWEEN 0 AND events"),
    columns.check("usage_imports_whole", "completed_at IS NULL OR done = events"),
    columns.index("usage_imports_open", "account_id", "key", unique=True, where="completed_at IS NULL"),
)
columns.forbid(IMPORTS, "UPDATE", "OLD.completed_at IS NOT NULL")
columns.forbid(IMPORTS, "DELETE")

BOOKS: Final = columns.table(
    "price_books",  # a changed book is a new generation
    columns.text("name", primary_key=True),
    columns.integer("generation", primary_key=True),
    columns.integer("valid_from_at"),
    columns.text("spec"),
    columns.integer("recorded_at"),
    columns.check("price_books_generation_range", "generation >= 1"),
)
columns.append_only(BOOKS)

CLOSES: Final = columns.table(
    "statement_closes",
    columns.text("id", primary_key=True),
    columns.text("month"),
    columns.text("account_id"),
    columns.text("key"),
    columns.text("person_id"),
    columns.integer("cut_at"),  # events and books known by then are in it
    columns.text("excluded"),  # resources in dispute, a JSON list
    columns.text("digest"),  # of all lines; '' until they are known
    columns.integer("lines"),
    columns.integer("done"),  # lines written, in order
    columns.integer("completed_at", null=True),
    columns.integer("abandoned_at", null=True),
    columns.check("statement_closes_done_range", "done BETWEEN 0 AND lines"),
    columns.check("statement_closes_whole", "completed_at IS NULL OR (done = lines AND abandoned_at IS NULL)"),
    columns.index("statement_closes_open", "account_id", "key", unique=True, where="completed_at IS NULL AND abandoned_at IS NULL"),
    columns.index("statement_closes_by_month", "month", "completed_at"),
)
columns.forbid(CLOSES, "UPDATE", "OLD.completed_at IS NOT NULL OR OLD.abandoned_at IS NOT NULL")
columns.forbid(CLOSES, "DELETE")

STATEMENTS: Final = columns.table(
    "statements",
    columns.text("id", primary_key=True),
    columns.text("close_id", references="statement_closes.id"),
    columns.text("month"),
    columns.text("tenant_id"),
    columns.text("tenant"),
    columns.text("path"),  # codes of the month, root first, a JSON list
    columns.text("path_ids"),
    columns.text("name"),  # of the month
    columns.text("payer_id"),
    columns.integer("lines"),
    columns.integer("total_micro"),
    columns.text("digest"),  # of its lines
    columns.text("state"),
    columns.integer("issued_at", null=True),
    columns.text("issued_by", null=True),  # person
    columns.check("statements_state_known", "state IN ('Open', 'Issued')"),
    columns.check("statements_issued", "(state = 'Issued') = (issued_at IS NOT NULL AND issued_by IS NOT NULL)"),
    columns.unique("statements_tenant_key", "close_id", "tenant_id"),
    columns.index("statements_issued_once", "month", "tenant_id", unique=True, where="state = 'Issued'"),
)
columns.forbid(STATEMENTS, "UPDATE", "OLD.state = 'Issued'")
columns.forbid(STATEMENTS, "DELETE")

LINES: Final = columns.table(
    "statement_lines",
    columns.text("close_id", primary_key=True, references="statement_closes.id"),
    columns.integer("number", primary_key=True),
    columns.text("tenant"),
    columns.text("project"),
    columns.text("resource"),
    columns.text("kind"),
    columns.text("sku"),
    columns.text("unit"),
    columns.integer("unit_seconds"),
    columns.integer("unit_price_micro"),
    columns.text("price_version"),
    columns.integer("start_at"),
    columns.integer("end_at"),
    columns.integer("amount_micro"),
    columns.check("statement_lines_order", "start_at < end_at"),
    columns.check("statement_lines_amount_range", "amount_micro BETWEEN 0 AND 1000000000000000"),
    columns.check("statement_lines_whole_fen", "amount_micro % 10000 = 0"),
    columns.index("statement_lines_by_tenant", "close_id", "tenant", "number"),
)
columns.append_only(LINES)
