"""Compares what the database says with what the lab cloud holds.  Shares no code with the product: raw SQL on one side, the lab's file on the other.

    findings = checker.check("sqlite:///...", pathlib.Path("lab.db"))     # [] when everything agrees

It looks for: two guests of one resource, guests and tickets that nobody owns, resources without a guest, quota, room and native limits that are
not the living resources, attempts left open, orders that neither ended nor wait, use that contradicts what is there.
"""

import collections
import contextlib
import json
import pathlib
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

Row = dict[str, Any]
Read = Callable[[str], list[Row]]
ENDS = ("gone", "failed", "written_off")
COUNTED = ("instances", "pods")


class Picture:
    """Both sides, read whole."""

    def __init__(self, url: str, lab_file: pathlib.Path) -> None:
        with snapshot(url) as read, snapshot(f"sqlite://{lab_file}") as lab:
            self._read(read, lab)

    def _read(self, read: Read, lab: Read) -> None:
        self.installation = read("SELECT * FROM installation")[0]["id"]
        self.resources = {row["id"]: row for row in read("SELECT * FROM resources")}
        for row in self.resources.values():
            row["amounts"], row["facts"] = json.loads(row["amounts"]), json.loads(row["facts"])
            bounded = json.loads(row["spec"]).get("max_replicas")  # the cloud chooses how many; `amounts` are those of the most
            row["uses"] = row["facts"].get("amounts", row["amounts"]) if bounded else row["amounts"]
        self.open_attempts = read("SELECT * FROM attempts WHERE closed_at IS NULL")
        self.reserved = read(
            "SELECT a.holder, a.name, a.amount, r.tenant_id, r.state FROM quota_amounts a JOIN quota_reservations r ON r.holder = a.holder"
        )
        self.tenants = read("SELECT * FROM tenants")
        self.drawn = read("SELECT tenant_id, name, drawn FROM grants")
        self.held = read("SELECT * FROM pool_holds")
        self.hold_amounts = read("SELECT * FROM pool_amounts")
        self.orders = {row["id"]: row for row in read("SELECT * FROM orders")}
        self.lines = read("SELECT * FROM order_lines")
        self.events = read("SELECT subject, sequence, event_at, state, amounts FROM usage_events ORDER BY subject, sequence")
        self.guests = lab("SELECT * FROM guests WHERE deleted_at IS NULL")
        self.tickets = lab("SELECT * FROM tickets WHERE state <> 'deleted'")
        self.lab_tenants = {row["id"]: row for row in lab("SELECT * FROM tenants")}
        self.lab_used = lab("SELECT * FROM used WHERE holder LIKE 'tenant:%' AND amount > 0")
        self.quarantined = {row["cloud_id"] for row in read("SELECT cloud_id FROM quarantine WHERE gone_at IS NULL")}

    @property
    def living(self) -> dict[str, Row]:
        """Resources that have not ended."""
        return {key: row for key, row in self.resources.items() if row["state"] not in ENDS}


def check(url: str, lab_file: pathlib.Path) -> list[str]:
    """Every disagreement, as a sentence."""
    picture = Picture(url, lab_file)
    return [
        finding
        for judge in (_guests, _tickets, _ghosts, _quota, _drawn, _room, _limits, _attempts, _orders, _use)
        for finding in judge(picture)
    ]


def _guests(seen: Picture) -> Iterator[str]:
    owned = collections.Counter(guest["resource_id"] for guest in seen.guests if guest["installation"] == seen.installation)
    for resource_id, count in owned.items():
        if count > 1:
            yield f"duplicate: {count} guests of {resource_id}"
    for guest in seen.guests:
        if guest["installation"] != seen.installation:
            continue
        row = seen.living.get(guest["resource_id"])
        if row is None:
            yield f"orphan: guest {guest['id']} of {guest['resource_id']}, which is {_state(seen, guest['resource_id'])}"
        elif row["facts"].get("cloud_id") != guest["id"]:
            yield f"orphan: guest {guest['id']} beside {row['facts'].get('cloud_id')} of {row['id']} ({row['state']})"


def _tickets(seen: Picture) -> Iterator[str]:
    owned = {row["facts"].get("ticket_id") for row in seen.living.values()}
    for ticket in seen.tickets:
        if ticket["installation"] == seen.installation and ticket["id"] not in owned:
            yield f"orphan: ticket {ticket['id']} ({ticket['state']}) of {ticket['resource_id']}"


def _ghosts(seen: Picture) -> Iterator[str]:
    there = {guest["id"]: guest for guest in seen.guests}
    for row in seen.living.values():
        guest = there.get(row["facts"].get("cloud_id", ""))
        if row["state"] == "lost":
            if guest is not None:
                yield f"{row['id']} is called lost, but its guest is there"
        elif guest is None:
            yield f"ghost: {row['id']} is {row['state']} and has no guest"
        elif json.loads(guest["amounts"]) != row["uses"]:
            yield f"{row['id']} has {guest['amounts']} in the cloud and {row['uses']} here"
        elif any(amount > row["amounts"].get(name, 0) for name, amount in row["uses"].items()):
            yield f"{row['id']} uses {row['uses']}, more than the {row['amounts']} that are counted for it"
        elif guest["surge"] != "{}":
            yield f"{row['id']} rests, and still has {guest['surge']} on top in the cloud"
        elif (row["state"] in ("stopped", "bin")) != (guest["state"] == "stopped") and row["kind"] != "Volume":
            yield f"{row['id']} is {row['state']} here and {guest['state']} in the cloud"


def _quota(seen: Picture) -> Iterator[str]:
    """What each resource holds."""
    held: dict[str, dict[str, int]] = collections.defaultdict(dict)
    for row in seen.reserved:
        held[row["holder"]][row["name"]] = row["amount"]
    expected = {key: row["amounts"] for key, row in seen.living.items()}
    for line in seen.lines:
        if seen.orders[line["order_id"]]["state"] == "waiting_for_approval" and line["action"] == "create":
            expected[line["resource_id"]] = json.loads(line["spec"])["amounts"]
    for holder in sorted({*held, *expected}):
        if held.get(holder, {}) != _positive(expected.get(holder, {})):
            yield f"quota: {holder} ({_state(seen, holder)}) holds {held.get(holder)} and should hold {expected.get(holder)}"
    for row in seen.reserved:
        if row["holder"] in seen.living and row["state"] != "confirmed":
            yield f"quota: {row['holder']} is delivered and its {row['name']} is only {row['state']}"


def _drawn(seen: Picture) -> Iterator[str]:
    """What each department draws."""
    own: collections.Counter[tuple[str, str]] = collections.Counter()
    for row in seen.reserved:
        own[row["tenant_id"], row["name"]] += row["amount"]
    parents = {row["parent_id"] for row in seen.tenants}
    for row in seen.drawn:
        if row["tenant_id"] not in parents and row["drawn"] != own[row["tenant_id"], row["name"]]:
            yield f"quota: {row['tenant_id']} draws {row['drawn']} {row['name']}, its reservations are {own[row['tenant_id'], row['name']]}"


def _room(seen: Picture) -> Iterator[str]:
    held: dict[str, dict[str, int]] = {row["holder"]: {} for row in seen.held}
    for row in seen.hold_amounts:
        held.setdefault(row["holder"], {})[row["name"]] = row["amount"]
    waiting = {line["resource_id"] for line in seen.lines if seen.orders[line["order_id"]]["state"] == "waiting_for_approval"}
    for holder in sorted({*held, *seen.living} - waiting):
        living = seen.living.get(holder)
        wanted = (
            {} if living is None else {name: n for name, n in living["amounts"].items() if name not in COUNTED and "." not in name}
        )
        if held.get(holder, {}) != _positive(wanted):
            yield f"room: {holder} ({_state(seen, holder)}) holds {held.get(holder)} and should hold {wanted}"


def _limits(seen: Picture) -> Iterator[str]:
    used = collections.defaultdict(dict)  # type: ignore[var-annotated]
    for row in seen.lab_used:
        used[row["holder"].removeprefix("tenant:")][row["name"]] = row["amount"]
    expected: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    there: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for row in seen.living.values():
        if row["state"] != "lost":
            expected[row["home_tenant"] or row["tenant"]].update(row["amounts"])
            there[row["home_tenant"] or row["tenant"]].update(row["uses"])
    for tenant_id, tenant in seen.lab_tenants.items():
        limits = json.loads(tenant["limits"])
        living = _positive(expected[tenant["code"]])
        if used.get(tenant_id, {}) != _positive(there[tenant["code"]]):
            yield f"cloud: {tenant['code']} uses {used.get(tenant_id)} there, and its living resources are {there[tenant['code']]}"
        if limits != living and not any(row["state"] == "lost" for row in seen.living.values()):
            yield f"cloud: the native limit of {tenant['code']} is {limits}, and its living resources are {living}"


def _attempts(seen: Picture) -> Iterator[str]:
    for row in seen.open_attempts:
        yield f"attempt {row['id']} ({row['verb']} {row['action']}) of {row['resource_id']} is still open"
    for row in seen.resources.values():
        if row["state"] in ("creating", "changing", "releasing"):
            yield f"{row['id']} is still {row['state']}: {row['reason']}"


def _orders(seen: Picture) -> Iterator[str]:
    by_order = collections.defaultdict(list)
    for line in seen.lines:
        by_order[line["order_id"]].append(line)
    for order in seen.orders.values():
        lines = by_order[order["id"]]
        outcomes = {line["outcome"] for line in lines}
        fitting = {
            "delivered": outcomes == {"delivered"},
            "partly_delivered": outcomes == {"delivered", "failed"},
            "failed": outcomes == {"failed"},
            "waiting_for_approval": outcomes == {"open"},
            "refused": True,
            "withdrawn": True,
            "ended": True,
        }
        if not fitting.get(order["state"], False):
            yield f"order {order['number']} is {order['state']} with lines {sorted(outcomes)}"
        for line in lines:
            if line["outcome"] == "failed" and not line["reason"]:
                yield f"order {order['number']}: {line['action']} of {line['name']} failed without a reason"
            yield from _line(seen, order, line)


def _line(seen: Picture, order: Row, line: Row) -> Iterator[str]:
    if line["outcome"] != "delivered" or line["kind"] == "Project":
        return
    row = seen.resources.get(line["resource_id"])
    if row is None:
        yield f"order {order['number']} delivered {line['name']}, of which there is no resource"
    elif line["action"] == "create" and row["state"] == "failed":
        yield f"order {order['number']} delivered {line['name']}, which failed"
    elif line["action"] == "delete" and row["state"] not in ("bin", *ENDS):
        yield f"order {order['number']} deleted {line['name']}, which is {row['state']}"


def _use(seen: Picture) -> Iterator[str]:
    last = {row["subject"]: row for row in seen.events}
    sequences = collections.defaultdict(list)
    for row in seen.events:
        sequences[row["subject"]].append(row["sequence"])
    for subject, numbers in sequences.items():
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"use: events of {subject} are numbered {numbers}"
    said = {"running": "running", "stopped": "stopped", "bin": "stopped", "lost": "deleted"}
    for row in seen.resources.values():
        event = last.get(row["id"])
        if row["state"] in ENDS:
            if event is not None and event["state"] != "deleted":
                yield f"use: {row['id']} is {row['state']} and was last said to be {event['state']}"
        elif event is None:
            yield f"use: nothing was ever said of {row['id']}, which is {row['state']}"
        elif row["kind"] != "Volume" and (event["state"] != said.get(row["state"]) or json.loads(event["amounts"]) != row["uses"]):
            yield f"use: {row['id']} is {row['state']} {row['uses']} and was last said to be {event['state']} {event['amounts']}"


def _state(seen: Picture, resource_id: str) -> str:
    row = seen.resources.get(resource_id)
    return "unknown" if row is None else str(row["state"])


def _positive(amounts: Any) -> dict[str, int]:
    return {name: amount for name, amount in amounts.items() if amount}


@contextlib.contextmanager
def snapshot(url: str) -> Iterator[Read]:
    """Raw SQL on one moment of a database."""
    if url.startswith("sqlite"):
        file = sqlite3.connect(f"file:{url.removeprefix('sqlite://')}?mode=ro", uri=True, isolation_level=None)
        file.row_factory = sqlite3.Row
        try:
            file.execute("BEGIN")
            yield lambda sql: [dict(row) for row in file.execute(sql)]
        finally:
            file.close()
        return
    import psycopg
    from psycopg import rows

    with psycopg.connect(url, row_factory=rows.dict_row, autocommit=True) as connection:
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield lambda sql: connection.execute(sql).fetchall()
