"""The tables of the room.  Raw readings and swaps are append-only and kept for ever; the ledger, its events and checkpoints are derived from them."""

from typing import Final

from store import columns

HALLS: Final = columns.table(
    "halls",
    columns.text("id", primary_key=True),
    columns.text("code"),
    columns.text("name"),
    columns.text("site"),
    columns.text("boundary"),
    columns.integer("category"),
    columns.integer("generation"),
    columns.integer("created_at"),
    columns.unique("halls_code_key", "code"),
    columns.check("halls_boundary_known", "boundary IN ('whole', 'part')"),
    columns.check("halls_category_range", "category BETWEEN 1 AND 3"),
)

METERS: Final = columns.table(
    "meters",
    columns.text("id", primary_key=True),
    columns.text("code"),
    columns.text("hall_id", references="halls.id"),
    columns.text("side"),
    columns.text("name"),
    columns.integer("rating_w"),
    columns.text("host"),  # '' = not polled
    columns.integer("port"),
    columns.integer("unit"),
    columns.integer("poll_s"),  # 0 = the server's setting
    columns.integer("installed_at", null=True),
    columns.integer("removed_at", null=True),
    columns.integer("calibrated_until_at", null=True),
    columns.text("registers"),  # canonical JSON, exact numbers as text
    columns.integer("generation"),
    columns.integer("created_at"),
    columns.unique("meters_code_key", "code"),
    columns.check("meters_side_known", "side IN ('facility', 'it')"),
    columns.check("meters_rating_w_range", "rating_w BETWEEN 1 AND 1000000000"),
    columns.index("meters_hall", "hall_id"),
)

READINGS: Final = columns.table(
    "meter_readings",  # two values at one moment are both kept: the rule lets neither count
    columns.text("meter_id", primary_key=True, references="meters.id"),
    columns.text("register", primary_key=True),
    columns.integer("read_at", primary_key=True),
    columns.text("value", primary_key=True),  # decimal text in the register's raw unit
    columns.text("source", primary_key=True),  # an import id, or 'poll'
    columns.integer("recorded_at"),
)
columns.append_only(READINGS)

IMPORTS: Final = columns.table(
    "reading_imports",
    columns.text("id", primary_key=True),
    columns.text("account_id"),
    columns.text("key"),
    columns.text("file_hash"),
    columns.integer("readings"),
    columns.integer("done"),
    columns.integer("started_at"),
    columns.integer("completed_at", null=True),
    columns.unique("reading_imports_key", "account_id", "key"),
    columns.check("reading_imports_done_range", "done BETWEEN 0 AND readings"),
    columns.index("reading_imports_open", "id", where="completed_at IS NULL"),
)

SWAPS: Final = columns.table(
    "meter_swaps",
    columns.text("meter_id", primary_key=True, references="meters.id"),
    columns.text("register", primary_key=True),
    columns.integer("swapped_at", primary_key=True),
    columns.text("final_value"),
    columns.text("first_value"),
    columns.text("scale"),  # of the new meter
    columns.text("modulus"),
    columns.integer("rating_w"),
    columns.text("work_order"),
    columns.integer("recorded_at", primary_key=True),
    columns.integer("withdrawn_at", null=True),  # declared wrongly; counts no more, stays on record
    columns.text("withdrawal"),
    columns.index("meter_swaps_one", "meter_id", "register", "swapped_at", unique=True, where="withdrawn_at IS NULL"),
)
columns.forbid(SWAPS, "DELETE")
columns.forbid(
    SWAPS,
    "UPDATE",
    "OLD.withdrawn_at IS NOT NULL OR NEW.swapped_at <> OLD.swapped_at OR NEW.final_value <> OLD.final_value"
    " OR NEW.first_value <> OLD.first_value OR NEW.scale <> OLD.scale OR NEW.modulus <> OLD.modulus",
)

PROGRESS: Final = columns.table(
    "register_progress",  # from which moment on the ledger of a register is behind its readings
    columns.text("meter_id", primary_key=True, references="meters.id"),
    columns.text("register", primary_key=True),
    columns.integer("behind_from_at", null=True),
    columns.index("register_progress_behind", "meter_id", where="behind_from_at IS NOT NULL"),
)

CHECKPOINTS: Final = columns.table(
    "register_checkpoints",  # where the register rule stood: one a day, and the head
    columns.text("meter_id", primary_key=True, references="meters.id"),
    columns.text("register", primary_key=True),
    columns.integer("seen_at", primary_key=True),
    columns.text("state"),
)

LEDGER: Final = columns.table(
    "energy_ledger",  # quarters of an hour; no row is quality X
    columns.text("meter_id", primary_key=True, references="meters.id"),
    columns.text("register", primary_key=True),
    columns.integer("start_at", primary_key=True),
    columns.integer("wh", null=True),
    columns.text("quality"),
    columns.check("energy_ledger_quality_known", "quality IN ('M', 'R', 'P', 'E', 'Q')"),
    columns.check("energy_ledger_wh_range", "wh BETWEEN 0 AND 1000000000000000"),
    columns.check("energy_ledger_wh_known", "(wh IS NULL) = (quality = 'Q')"),
)

EVENTS: Final = columns.table(
    "register_events",
    columns.text("meter_id", primary_key=True, references="meters.id"),
    columns.text("register", primary_key=True),
    columns.integer("read_at", primary_key=True),
    columns.text("happening", primary_key=True),
    columns.text("value"),
    columns.integer("about_at"),
)

LIVE: Final = columns.table(
    "meter_live",  # what the poller saw last
    columns.text("meter_id", primary_key=True, references="meters.id"),
    columns.integer("seen_at"),
    columns.integer("power_w", null=True),
    columns.text("problem"),
)
