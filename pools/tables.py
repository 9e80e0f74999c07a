"""The tables of the room.  Lists and mappings are canonical JSON text; what is guarded stands in rows of its own."""

from typing import Final

from store import columns

POOLS: Final = columns.table(
    "pools",
    columns.text("id", primary_key=True),
    columns.text("code"),
    columns.text("name"),
    columns.text("driver"),
    columns.text("driver_settings"),
    columns.text("kinds"),
    columns.text("zones"),
    columns.text("service_classes"),
    columns.text("halls"),
    columns.integer("protection_level"),
    columns.text("overcommit_permille"),
    columns.integer("paused"),
    columns.integer("generation"),
    columns.unique("pools_code_key", "code"),
    columns.check("pools_protection_level_range", "protection_level BETWEEN 1 AND 4"),
    columns.check("pools_paused_flag", "paused IN (0, 1)"),
)

HOSTS: Final = columns.table(
    "pool_hosts",  # as the cloud last reported them
    columns.text("pool_id", primary_key=True, references="pools.id"),
    columns.text("name", primary_key=True),
    columns.text("zone"),
    columns.text("service_class"),
    columns.text("hall"),
    columns.integer("enabled"),
    columns.text("physical"),
    columns.text("usable"),
    columns.text("used"),
    columns.check("pool_hosts_enabled_flag", "enabled IN (0, 1)"),
)

PLACES: Final = columns.table(
    "pool_places",
    columns.text("pool_id", primary_key=True, references="pools.id"),
    columns.text("zone", primary_key=True),
    columns.text("service_class", primary_key=True),
    columns.text("blocks"),  # the largest free blocks, JSON
)

ROOMS: Final = columns.table(
    "pool_rooms",
    columns.text("pool_id", primary_key=True, references="pools.id"),
    columns.text("zone", primary_key=True),
    columns.text("service_class", primary_key=True),
    columns.text("name", primary_key=True),
    columns.integer("physical"),
    columns.integer("capacity"),
    columns.integer("used"),
    columns.integer("held"),
    columns.integer("over_by"),
    columns.check("pool_rooms_capacity_range", "capacity BETWEEN 0 AND 1000000000000000"),
    columns.check("pool_rooms_over_range", "over_by BETWEEN 0 AND 1000000000000000"),
    columns.check("pool_rooms_held_range", "held BETWEEN 0 AND capacity + over_by"),
)

HOLDS: Final = columns.table(
    "pool_holds",
    columns.text("holder", primary_key=True),
    columns.text("pool_id", references="pools.id"),
    columns.text("zone"),
    columns.text("service_class"),
    columns.text("state"),
    columns.check("pool_holds_state_known", "state IN ('reserved', 'confirmed')"),
    columns.index("pool_holds_place", "pool_id", "zone", "service_class"),
)

AMOUNTS: Final = columns.table(
    "pool_amounts",
    columns.text("holder", primary_key=True, references="pool_holds.holder"),
    columns.text("name", primary_key=True),
    columns.integer("amount"),
    columns.check("pool_amounts_range", "amount BETWEEN 1 AND 1000000000000000"),
)
