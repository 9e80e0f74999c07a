"""The store's own two tables: which installation this is, and the answers already given."""

from typing import Final

from store import columns

INSTALLATION: Final = columns.table(
    "installation",
    columns.integer("one", primary_key=True),
    columns.text("id"),
    columns.integer("epoch"),
    columns.integer("accepted_epoch"),
    columns.integer("created_at"),
    columns.check("installation_one_is_one", "one = 1"),
    columns.check("installation_epochs", "accepted_epoch BETWEEN 1 AND epoch"),
)
ANSWERS: Final = columns.table(
    "answers",
    columns.text("account_id", primary_key=True),
    columns.text("method", primary_key=True),
    columns.text("path", primary_key=True),
    columns.text("key", primary_key=True),
    columns.text("request_hash"),
    columns.integer("status"),
    columns.text("body", null=True),
    columns.text("etag", null=True),
    columns.integer("recorded_at"),
    columns.index("answers_by_age", "recorded_at"),
)
