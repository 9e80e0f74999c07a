"""The schema of all rooms together: whoever brings a database up to date must have declared every table first."""

import importlib
import pathlib
from typing import Final

from store import migrate

ROOMS: Final = (
    "store",
    "audit",
    "tenants",
    "orders",
    "quotas",
    "pools",
    "provisioners",
    "metering",
    "pue_monitor",
    "control",
)


def declare_tables() -> None:
    """Import each room's `tables` (and those of its folders)."""
    for room in ROOMS:
        folder = pathlib.Path(__file__).parent.parent / room
        for path in sorted([*folder.glob("tables.py"), *folder.glob("*/tables.py")]):
            importlib.import_module(".".join(path.relative_to(folder.parent).with_suffix("").parts))


def upgrade(url: str) -> bool:
    """Make or upgrade the schema of a database; False if there was nothing to do."""
    declare_tables()
    return migrate.upgrade(url)
