"""The trail's table: neither updated nor deleted, ever."""

from typing import Final

from store import columns

TRAIL: Final = columns.table(
    "audit_trail",
    columns.integer("seq", primary_key=True),
    columns.integer("at"),
    columns.text("actor"),
    columns.text("tenant_id"),
    columns.text("object_id"),
    columns.text("action"),
    columns.text("outcome"),
    columns.blob("content"),
    columns.blob("leaf_hash"),
    columns.blob("chain_hash"),
    columns.check("audit_trail_seq_positive", "seq > 0"),
    columns.index("audit_trail_by_actor", "actor", "seq"),
    columns.index("audit_trail_by_tenant", "tenant_id", "seq"),
    columns.index("audit_trail_by_object", "object_id", "seq"),
)
columns.append_only(TRAIL)
