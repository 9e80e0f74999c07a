"""The file of requests for `quota simulate`: read whole, with every finding and its line.  Pure; docs/reference/requests-csv.md.

UTF-8 (a byte order mark is allowed), comma separated, the first line names the columns in any order.  A row is units (`name`, `amount`; a negative
amount gives back) or a resource of the catalogue (`kind`, and `size`, `size_gib`, `disk_class`, `replicas`, `count`).
"""

import csv
import dataclasses
import datetime
import io
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from control import plan
from primitives import clock, errors, money, quantity
from quotas import names
from templates import catalog

BYTES_MAX: Final = 16 << 20
ROWS_MAX: Final = 100_000
FINDINGS_MAX: Final = 200
"""More are counted, not listed."""
COLUMNS: Final = (
    "order",
    "time",
    "tenant",
    "name",
    "amount",
    "kind",
    "size",
    "size_gib",
    "disk_class",
    "replicas",
    "count",
    "pool",
    "zone",
    "class",
    "monthly_price",
)
_OF_RESOURCES: Final = COLUMNS[6:-1]
_WHOLE: Final = re.compile(r"-?[0-9]{1,18}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One sound line: what it asks of its tenant, or gives back."""

    line: int
    order: str
    at: datetime.datetime | None
    tenant: str
    amounts: Mapping[str, int]  # of one; negative where it gives back
    kind: str = ""  # '' for plain units, which need no room
    count: int = 1
    pool: str = ""
    zone: str = ""
    service_class: str = ""
    monthly_micro: int | None = None  # of one, yuan x 10^6; None: of the price book for a resource, nothing for plain units


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


def read(content: bytes, findings: Findings) -> list[Row]:
    """The rows of a file in the order in which they are played: by `time` where it is given, else as they stand."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        findings.add(content[: error.start].count(b"\n") + 1, "requests.encoding", "it is not UTF-8")
        return []
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    try:
        header = next(lines, [])
        if not _sound(header, findings):
            return []
        for fields in lines:
            if fields and (row := _row(header, fields, lines.line_num, findings)) is not None:
                rows.append(row)
            if len(rows) > ROWS_MAX:
                findings.add(lines.line_num, "requests.count", f"a file has at most {ROWS_MAX} rows; split it")
                return []
    except csv.Error as error:
        findings.add(lines.line_num, "requests.line", f"not a CSV line: {error}")
    if not rows and not findings.count:
        findings.add(2, "requests.empty", "there is no request")
    return _ordered(rows, findings)


def _sound(header: Collection[str], findings: Findings) -> bool:
    unknown = [name for name in header if name not in COLUMNS]
    if unknown:
        findings.add(1, "requests.header", f"unknown column {unknown[0][:40]!r}; known: {', '.join(COLUMNS)}")
    if len(set(header)) < len(header):
        findings.add(1, "requests.header", "a column stands there twice")
    if "tenant" not in header or not ({"name", "amount"} <= set(header) or "kind" in header):
        findings.add(1, "requests.header", "the first line must name tenant, and name and amount, or kind")
    return not findings.count


def _ordered(rows: list[Row], findings: Findings) -> list[Row]:
    timed = [row for row in rows if row.at is not None]
    if timed and len(timed) < len(rows):
        findings.add(next(row.line for row in rows if row.at is None), "requests.time", "all rows have a time, or none")
    tenants: dict[str, str] = {}
    for row in rows:
        if row.order and tenants.setdefault(row.order, row.tenant) != row.tenant:
            findings.add(
                row.line, "requests.order", f"order {row.order[:40]!r} began for {tenants[row.order]}; it is of one tenant"
            )
    return sorted(rows, key=lambda row: clock.to_us(row.at)) if len(timed) == len(rows) and timed else rows  # type: ignore[arg-type]


def _row(header: list[str], fields: list[str], line: int, findings: Findings) -> Row | None:
    if len(fields) != len(header):
        findings.add(line, "requests.line", f"{len(fields)} fields instead of {len(header)}")
        return None
    given = dict(zip(header, fields, strict=True))
    before = findings.count
    long = [name for name in header if len(given[name]) > 64]
    if long:
        findings.add(line, "requests.line", f"{long[0]} is longer than 64 characters")
        return None
    try:
        at = clock.parse(given["time"], "time") if given.get("time") else None
        tenant = given["tenant"]
        if not tenant:
            findings.add(line, "requests.tenant", "no tenant")
        asked = _resource(given) if given.get("kind") else _units(given)
        if given.get("monthly_price"):
            asked["monthly_micro"] = _price(given["monthly_price"], asked["amounts"])
    except errors.GovpoolError as error:
        findings.add(line, error.code, error.text("en"))
        return None
    return Row(line=line, order=given.get("order", ""), at=at, tenant=tenant, **asked) if findings.count == before else None


def _units(given: Mapping[str, str]) -> dict[str, Any]:
    """What a row of plain units asks."""
    for name in _OF_RESOURCES:
        if given.get(name):
            raise errors.INVALID(field=name, reason="goes with a kind; a row is units (name, amount) or a resource (kind)")
    name = given.get("name", "")
    names.of(name)
    amount = _whole("amount", given.get("amount", ""))
    if not 1 <= abs(amount) <= quantity.BOUND:
        raise errors.INVALID(field="amount", reason=f"{amount} is not between 1 and {quantity.BOUND}, or as much given back")
    return {"amounts": {name: amount}}


def _resource(given: Mapping[str, str]) -> dict[str, Any]:
    """What a row of the catalogue asks, by the rule of orders."""
    for name in ("name", "amount"):
        if given.get(name):
            raise errors.INVALID(field=name, reason="goes without a kind; a row is units (name, amount) or a resource (kind)")
    kind = given["kind"]
    if kind not in plan.PREFIX:
        raise errors.INVALID(field="kind", reason=f"{kind!r} is none of {', '.join(plan.PREFIX)}")
    count, size_gib, replicas = (
        _whole(name, given[name]) if given.get(name) else None for name in ("count", "size_gib", "replicas")
    )
    count = 1 if count is None else count
    if not 1 <= count <= 100:
        raise errors.INVALID(
            field="count", reason=f"{count} is not between 1 and 100; to give back write name and a negative amount"
        )
    image = "" if kind == plan.VOLUME else "any"
    wish = plan.Wish(
        size=given.get("size", ""), disk_class=given.get("disk_class", ""), image=image, size_gib=size_gib, replicas=replicas
    )
    amounts, _ = plan.created(kind, wish, _AnyImage())
    return {
        "amounts": amounts,
        "kind": kind,
        "count": count,
        "pool": given.get("pool", ""),
        "zone": given.get("zone", ""),
        "service_class": given.get("class", ""),
    }


class _AnyImage:
    """The catalogue, for rows that name no image: every kind starts from the one there is."""

    size: Callable[[str], dict[str, int]] = staticmethod(catalog.size)

    def image(self, name: str) -> Any:
        """An image from which every kind starts."""
        return catalog.Image(name=name, title_en="", title_zh="", kinds=tuple(plan.PREFIX), login="")


def _price(text: str, amounts: Mapping[str, int]) -> int:
    """Micro-yuan a month; a row that gives back frees no money, since nobody knows of which resource."""
    if min(amounts.values()) < 0:
        raise errors.INVALID(field="monthly_price", reason="a row that gives back has none")
    return money.parse(text, "monthly_price")


def _whole(field: str, text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise errors.INVALID(field=field, reason=f"{text[:40]!r} is not a whole number")
    return int(text)
