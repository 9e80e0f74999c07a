"""`make bench`: all benchmarks in one run, their tables on standard output, every round in benchmarks/out/*.json.

What each figure means and what to hold it against: docs/reference/benchmarks.md.  `python -m benchmarks.run --quick` runs each for a moment,
to see that it works.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import sys
from collections.abc import Iterable
from typing import Any, Final

from benchmarks import cli, memory, orders

OUT: Final = pathlib.Path(__file__).parent / "out"


def main() -> None:
    """Run what was asked for, print, save."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("what", nargs="*", choices=["orders", "cli", "memory", []], help="all of them by default")
    parser.add_argument("--quick", action="store_true", help="one short round of each; its figures mean little")
    options = parser.parse_args()
    what = options.what or ["cli", "memory", "orders"]
    machine = this_machine()
    print(json.dumps(machine, ensure_ascii=False))
    for name in what:
        if name == "cli":
            found: dict[str, Any] = cli.measured(turns=2 if options.quick else cli.TURNS)
            rows: Iterable[list[str]] = cli.table(found)
        elif name == "memory":
            found = memory.measured(after_s=5 if options.quick else memory.AFTER_S)
            rows = memory.table(found)
        else:
            found = orders.measured(rounds=1, seconds=0.5) if options.quick else orders.measured()
            rows = orders.table(found)
        printed(rows)
        OUT.mkdir(exist_ok=True)
        report = {"machine": machine, "quick": options.quick, "load_after": os.getloadavg(), "found": found}
        (OUT / f"{name}.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if "cli" in what and not cli.OPENSTACK.exists():
        sys.stderr.write("benchmarks: the openstack client is not installed (make bench does it), so its ratios are missing\n")


def this_machine() -> dict[str, Any]:
    """What the figures were seen on."""
    return {
        "at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "processors": len(os.sched_getaffinity(0)),
        "processor": _processor(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def _processor() -> str:
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def printed(rows: Iterable[list[str]]) -> None:
    """A table with columns aligned, numbers to the right."""
    lines = [list(row) for row in rows]
    widths = [max(len(row[column]) for row in lines) for column in range(len(lines[0]))]
    print()
    for row in lines:
        first, *others = (
            text.ljust(width) if not column else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *others]).rstrip())
    sys.stdout.flush()


if __name__ == "__main__":
    main()
