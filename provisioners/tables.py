"""The tables of the room.  What must never be: two open attempts of one resource, two living resources of one name, an end without a time."""

from typing import Final

from store import columns

RESOURCES: Final = columns.table(
    "resources",
    columns.text("id", primary_key=True),
    columns.text("kind"),
    columns.text("name"),
    columns.text("tenant_id"),
    columns.text("tenant"),
    columns.text("project_id"),
    columns.text("project"),
    columns.text("pool_id"),
    columns.text("pool"),
    columns.text("zone"),
    columns.text("service_class"),
    columns.text("amounts"),
    columns.text("spec"),
    columns.text("labels"),
    columns.integer("protected"),
    columns.text("desired"),
    columns.text("power"),
    columns.text("action"),
    columns.integer("generation"),
    columns.integer("observed_generation"),
    columns.text("before", null=True),
    columns.text("order_id"),
    columns.text("superseded"),
    columns.integer("failing"),
    columns.text("state"),
    columns.text("reason", null=True),
    columns.text("facts"),
    columns.integer("facts_at", null=True),
    columns.integer("built"),
    columns.integer("limited"),
    columns.integer("disputed"),
    columns.text("strays"),
    columns.integer("look"),
    columns.integer("fence_epoch"),
    columns.integer("fence_n"),
    columns.text("leased_by"),
    columns.integer("leased_until_at", null=True),
    columns.integer("next_at", null=True),
    columns.integer("failures"),
    columns.integer("attempts_made"),
    columns.integer("usage_sequence"),
    columns.integer("usage_at", null=True),
    columns.integer("bin_until_at", null=True),
    columns.integer("created_at"),
    columns.integer("state_since_at"),
    columns.integer("ended_at", null=True),
    columns.check("resources_desired_known", "desired IN ('up', 'bin', 'down')"),
    columns.check("resources_power_known", "power IN ('running', 'stopped')"),
    columns.check(
        "resources_state_known",
        "state IN ('creating', 'running', 'stopped', 'changing', 'bin', 'releasing', 'lost', 'gone', 'failed', 'written_off')",
    ),
    columns.check("resources_ended_has_time", "(state IN ('gone', 'failed', 'written_off')) = (ended_at IS NOT NULL)"),
    columns.check("resources_ended_unwanted", "ended_at IS NULL OR desired = 'down'"),
    columns.check("resources_bin_has_end", "desired <> 'bin' OR bin_until_at IS NOT NULL"),
    columns.check("resources_generations", "observed_generation BETWEEN 0 AND generation"),
    columns.check("resources_lease_whole", "(leased_by = '') = (leased_until_at IS NULL)"),
    columns.index("resources_living_name", "project_id", "kind", "name", unique=True, where="ended_at IS NULL"),
    columns.index("resources_due", "next_at", where="next_at IS NOT NULL"),
    columns.index("resources_tenant", "tenant_id", "id"),
    columns.index("resources_pool_living", "pool_id", "tenant_id", where="ended_at IS NULL"),
    columns.index("resources_name", "name"),
    columns.index("resources_creating", "created_at", where="state = 'creating'"),
)
columns.forbid(RESOURCES, "DELETE")  # ids are never used again, and statements point here

ADDRESSES: Final = columns.table(
    "resource_addresses",
    columns.text("address", primary_key=True),
    columns.text("resource_id", primary_key=True, references="resources.id"),
    columns.index("resource_addresses_resource", "resource_id"),
)

ATTEMPTS: Final = columns.table(
    "attempts",
    columns.text("id", primary_key=True),
    columns.text("resource_id", references="resources.id"),
    columns.integer("number"),
    columns.text("verb"),
    columns.text("action"),
    columns.integer("fence_epoch"),
    columns.integer("fence_n"),
    columns.integer("epoch"),
    columns.text("worker_id"),
    columns.text("known"),
    columns.text("cloud_id"),  # the guest that its answer named; '' = none
    columns.integer("opened_at"),
    columns.integer("returned_at", null=True),
    columns.integer("closed_at", null=True),
    columns.text("outcome"),
    columns.text("detail"),
    columns.unique("attempts_number_key", "resource_id", "number"),
    columns.check("attempts_verb_known", "verb IN ('advance', 'act', 'remove')"),
    columns.check("attempts_closed_has_outcome", "(closed_at IS NULL) = (outcome = '')"),
    columns.index("attempts_one_open", "resource_id", unique=True, where="closed_at IS NULL"),
)
columns.forbid(ATTEMPTS, "DELETE")
columns.forbid(ATTEMPTS, "UPDATE", "OLD.closed_at IS NOT NULL")

WORKERS: Final = columns.table(
    "workers",
    columns.text("id", primary_key=True),
    columns.text("host"),
    columns.text("boot"),
    columns.text("pid_space"),
    columns.integer("pid"),
    columns.integer("started_ticks"),
    columns.integer("threads"),
    columns.integer("started_at"),
    columns.integer("seen_at"),
    columns.integer("stopped_at", null=True),
    columns.index("workers_seen", "seen_at"),
)

CLOUD_TENANTS: Final = columns.table(
    "cloud_tenants",  # what a cloud was told about a department
    columns.text("pool_id", primary_key=True),
    columns.text("tenant_id", primary_key=True),
    columns.text("cloud_id"),
    columns.integer("epoch"),
    columns.text("limits"),
    columns.integer("told_at"),
)

SWEEPS: Final = columns.table(
    "sweeps",
    columns.text("id", primary_key=True),
    columns.text("pool_id"),
    columns.text("pool"),
    columns.integer("started_at"),
    columns.integer("ended_at", null=True),
    columns.integer("observed"),
    columns.integer("ours"),
    columns.integer("foreign_items"),
    columns.integer("drifted"),
    columns.integer("missing"),
    columns.integer("strays"),
    columns.integer("quarantined"),
    columns.integer("report_only"),
    columns.text("error"),
    columns.index("sweeps_pool", "pool_id", "started_at"),
)

QUARANTINE: Final = columns.table(
    "quarantine",
    columns.text("pool_id", primary_key=True),
    columns.text("cloud_id", primary_key=True),
    columns.text("pool"),
    columns.text("origin"),
    columns.text("kind"),
    columns.text("name"),
    columns.text("tenant"),
    columns.text("resource_id"),
    columns.integer("epoch"),
    columns.text("facts"),
    columns.text("why"),
    columns.text("decision"),
    columns.text("decided_by"),
    columns.integer("found_at"),
    columns.integer("seen_at"),
    columns.integer("gone_at", null=True),
    columns.check("quarantine_origin_known", "origin IN ('ours', 'foreign')"),
    columns.check("quarantine_decision_known", "decision IN ('', 'adopt', 'release', 'delete')"),
)

WRITE_OFFS: Final = columns.table(
    "write_offs",  # asked by one person, agreed to by another; kept for the report
    columns.text("resource_id", primary_key=True, references="resources.id"),
    columns.text("asked_by"),
    columns.integer("asked_at"),
    columns.text("reason"),
    columns.text("agreed_by"),
    columns.integer("agreed_at", null=True),
    columns.check("write_offs_two_persons", "asked_by <> agreed_by"),
)
