"""Imports each room's declaration of tables, by file name, so that the metadata is whole.  The store itself knows no room."""

import importlib
import pathlib

ROOT = pathlib.Path(__file__).parent.parent.parent


def all_tables() -> None:
    """Import `<room>/tables.py` and `<room>/<folder>/tables.py` of every package beside this one."""
    for path in sorted([*ROOT.glob("*/tables.py"), *ROOT.glob("*/*/tables.py")]):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if (ROOT / parts[0] / "__init__.py").exists():
            importlib.import_module(".".join(parts))
