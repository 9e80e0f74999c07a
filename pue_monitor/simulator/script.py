"""The script of faults: a CSV file `at_s,fault,meter,for_s`, seconds from the start of the simulator; `for_s` 0 is for good.

wrap (the register passes its modulus at that moment), zero (shows 0, as after a restart), swap (a new meter starts at 0), stuck (stands still and
then catches up), dead (no answer), exception (Modbus exception 11), late (answers after 2 s), word_swap (the words the other way round).
"""

import csv
import dataclasses
import io
from collections.abc import Collection
from typing import Final

from primitives import errors

KINDS: Final = ("wrap", "zero", "swap", "stuck", "dead", "exception", "late", "word_swap")
COLUMNS: Final = ["at_s", "fault", "meter", "for_s"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault of one meter; `for_us` 0 is for good."""

    kind: str
    meter: str
    at_us: int
    for_us: int


def read(text: str, meters: Collection[str]) -> list[Fault]:
    """The faults of a script.  Raises input.invalid naming the line."""
    rows = list(csv.reader(io.StringIO(text)))
    if not rows or rows[0] != COLUMNS:
        raise errors.INVALID(field="script line 1", reason=f"the columns are {','.join(COLUMNS)}")
    return [_fault(row, number, meters) for number, row in enumerate(rows[1:], 2) if row]


def _fault(row: list[str], number: int, meters: Collection[str]) -> Fault:
    where = f"script line {number}"
    if len(row) != len(COLUMNS) or not all(text.isdecimal() and len(text) < 9 for text in (row[0], row[3])):
        raise errors.INVALID(field=where, reason="seconds, fault, meter, seconds are needed")
    if row[1] not in KINDS:
        raise errors.INVALID(field=where, reason=f"a fault is one of {', '.join(KINDS)}")
    if row[2] not in meters:
        raise errors.INVALID(field=where, reason=f"there is no meter {row[2]!r}; there are {', '.join(sorted(meters))}")
    return Fault(kind=row[1], meter=row[2], at_us=int(row[0]) * 1_000_000, for_us=int(row[3]) * 1_000_000)
