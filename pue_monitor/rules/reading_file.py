"""The import file of readings, `meter,register,read_at,value`: read whole, with every finding and its line.  Pure; docs/reference/reading-csv.md.

UTF-8 (a byte order mark is allowed), comma separated, LF or CRLF; times with an offset; values in the register's own raw unit.
"""

import csv
import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Final

from primitives import clock, errors
from pue_monitor import model
from pue_monitor.rules import raw

COLUMNS: Final = ["meter", "register", "read_at", "value"]
READINGS_MAX: Final = 500_000
FINDINGS_MAX: Final = 200
"""More are counted, not listed."""
EARLIEST_US: Final = clock.to_us(datetime.datetime(2000, 1, 1, tzinfo=clock.UTC))
AHEAD: Final = datetime.timedelta(minutes=15)
"""A reading may carry a clock this much ahead of ours."""


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One sound line."""

    line: int
    meter_id: str
    register: str
    read_us: int
    value_micro: int


class Findings:
    """All findings of a file; the first ones with their place."""

    def __init__(self) -> None:
        self.count = 0
        self.listed: list[errors.Finding] = []

    def add(self, line: int, code: str, detail: str) -> None:
        """One finding."""
        self.count += 1
        if len(self.listed) < FINDINGS_MAX:
            self.listed.append(errors.Finding(f"line {line}", code, detail))


def read(content: bytes, meters: Mapping[str, model.Meter], now: datetime.datetime, findings: Findings) -> list[Row]:
    """The rows of a file; a line said twice counts once, the same moment with another value is a finding."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        findings.add(content[: error.start].count(b"\n") + 1, "reading.encoding", "it is not UTF-8")
        return []
    lines = text.splitlines()
    if not lines or lines[0].split(",") != COLUMNS:
        findings.add(1, "reading.header", f"the first line must be {','.join(COLUMNS)}")
        return []
    if len(lines) > READINGS_MAX + 1:
        findings.add(READINGS_MAX + 2, "reading.count", f"a file has at most {READINGS_MAX} readings; split it")
        return []
    latest_us = clock.to_us(now + AHEAD)
    rows: dict[tuple[str, str, int], Row] = {}
    for number, line in enumerate(lines[1:], 2):
        if line and (row := _row(line, number, meters, latest_us, findings)) is not None:
            known = rows.setdefault((row.meter_id, row.register, row.read_us), row)
            if known.value_micro != row.value_micro:
                findings.add(number, "reading.conflict", f"line {known.line} has another value for the same moment")
    if not rows and not findings.count:
        findings.add(2, "reading.empty", "there is no reading")
    return list(rows.values())


def _row(line: str, number: int, meters: Mapping[str, model.Meter], latest_us: int, findings: Findings) -> Row | None:
    try:
        fields = _fields(line)
        meter = meters.get(fields[0])
        if meter is None:
            raise raw.RefusedError("meter.unknown", f"there is no meter {fields[0][:40]!r}")
        register = meter.register(fields[1])
        if register is None or register.quantity != "energy":
            raise raw.RefusedError("register.unknown", f"meter {meter.code} has no energy register {fields[1][:40]!r}")
        read_us = clock.to_us(clock.parse(fields[2], "read_at"))
        if not EARLIEST_US <= read_us <= latest_us:
            raise raw.RefusedError("reading.time", f"{fields[2][:40]} is before 2000 or in the future")
        return Row(number, meter.id, register.code, read_us, raw.parse(fields[3], register))
    except raw.RefusedError as error:
        findings.add(number, error.code, str(error))
    except errors.GovpoolError as error:
        findings.add(number, "reading.time", error.text("en"))
    return None


def _fields(line: str) -> Sequence[str]:
    fields = line.split(",")
    if '"' in line:
        try:
            fields = next(csv.reader([line], strict=True))
        except csv.Error as error:
            raise raw.RefusedError("reading.line", f"not a CSV line: {error}") from error
    if len(fields) != len(COLUMNS):
        raise raw.RefusedError("reading.line", f"{len(fields)} fields instead of {len(COLUMNS)}")
    return fields
