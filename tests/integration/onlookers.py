"""Who looks on while customers order: one asks the API what has come and gone, one reads the database and the cloud at any instant.

Neither uses anything of the product; the second judges each instant by the definition of `kueue_model`.
"""

import collections
import pathlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.integration import checker
from tests.integration.city import City, District, Thing
from tests.integration.customers import Line
from tests.integration.kueue_model import Grant, View

LOOK_S = 0.1


class Onlooker:
    """Looks again and again on a thread of its own; what it finds wrong, and what broke it, is told at the end."""

    def __init__(self, look: Callable[[], None], pause_s: float = LOOK_S) -> None:
        self.look, self.pause_s = look, pause_s
        self.ending = threading.Event()
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def end(self) -> None:
        """Stop looking; raises what went wrong."""
        self.ending.set()
        self.thread.join()
        if self.error is not None:
            raise self.error

    def _run(self) -> None:
        try:
            while not self.ending.wait(self.pause_s):
                self.look()
        except BaseException as error:
            self.error = error


class Watcher:
    """Notes in the history of a district when units went back: when a resource is seen to be gone, or a resize to have ended."""

    def __init__(self, city: City, district: District, line: Line) -> None:
        self.city, self.district, self.line = city, district, line

    def look(self) -> None:
        """At all that lives in the district."""
        watched = [thing for thing in list(self.district.things.values()) if thing.state not in ("gone", "asked")]
        if not watched:
            return
        known = {thing.id: (thing.state, thing.asked) for thing in watched}
        rows: dict[str, Any] = {}
        cursor = ""
        while True:
            path = f"/v1/resources?tenant={self.district.codes[0]}&limit=500&cursor={cursor}"
            reply = self.line.ask("GET", path, self.city.operator)
            assert not reply.code, reply.body
            rows |= {row["metadata"]["id"]: row for row in reply.body["items"]}
            cursor = reply.body["next"] or ""
            if not cursor:
                break
        for thing in watched:
            if (thing.state, thing.asked) == known[thing.id]:
                self._note(thing, rows.get(thing.id), reply.answered)

    def _note(self, thing: Thing, row: Any, when: tuple[float, float]) -> None:
        """What a look at a thing says: what has not come about then comes about later than the look began."""
        history, (began, now) = self.district.history, when
        if row is None:
            back = {name: -amount for name, amount in thing.held.items()}
            history.held((thing.asked, now), thing.node, back, f"{thing.id} is gone")
            thing.state = "gone"
        elif thing.state == "leaving" or row["status"]["state"] not in ("running", "stopped"):
            thing.asked = max(thing.asked, began)
        elif thing.state == "ordered":
            thing.state = "there"
        elif thing.state == "changing":
            there = row["spec"]["amounts"]
            assert there in (thing.becomes, thing.before), f"{thing.id} became {there}"
            back = {name: amount - thing.held[name] for name, amount in there.items() if amount != thing.held[name]}
            history.held((thing.asked, now), thing.node, back, f"{thing.id} has become {there}")
            thing.held, thing.state = there, "there"


class Auditor:
    """Reads one instant of database and cloud after the other: who holds what, and whether anybody holds more than he may."""

    def __init__(self, url: str, lab_file: pathlib.Path) -> None:
        self.url, self.lab = url, f"sqlite://{lab_file}"
        self.found: dict[str, list[str]] = collections.defaultdict(list)
        self.instants = 0

    def look(self) -> None:
        """At one instant; of each kind of finding the first few are enough."""
        self.instants += 1
        for kind, finding in self.instant():
            if len(self.found[kind]) < 20:
                self.found[kind].append(f"{time.monotonic():.3f} {kind}: {finding}")

    @property
    def findings(self) -> list[str]:
        """All that was found."""
        return [finding for several in self.found.values() for finding in several]

    def instant(self) -> Iterator[tuple[str, str]]:
        """What is wrong with it."""
        before = self._guests()
        with checker.snapshot(self.url) as read:
            tenants = read("SELECT id, parent_id, code FROM tenants ORDER BY id")
            grants = {(row["tenant_id"], row["name"]): row for row in read("SELECT * FROM grants")}
            held = read(
                "SELECT r.tenant_id, a.name, a.holder, a.amount FROM quota_amounts a JOIN quota_reservations r ON r.holder = a.holder"
            )
            rooms = read("SELECT zone, service_class, name, capacity, held FROM pool_rooms")  # there is one pool
            room_held = read(
                "SELECT h.zone, h.service_class, a.name, a.amount FROM pool_amounts a JOIN pool_holds h ON h.holder = a.holder"
            )
            living = read("SELECT id, state FROM resources WHERE state NOT IN ('gone', 'failed', 'written_off')")
            budgets = read("SELECT * FROM budgets")
            money = read("SELECT holder, tenant_id, year, amount_micro, end_at FROM budget_holds")
            now_us = time.time_ns() // 1000
        yield from self._quota(tenants, grants, held)
        yield from self._money(tenants, budgets, money)
        yield from self._room(rooms, room_held)
        holders = {row["holder"] for row in held}
        yield from (
            ("unheld", f"money is held for {row['holder']}")
            for row in money
            if row["end_at"] > now_us and row["holder"] not in holders
        )
        yield from (("unheld", f"{row['id']} is {row['state']} and holds nothing") for row in living if row["id"] not in holders)
        for resource_id in before & self._guests():  # there before and after the look, so there at it
            if resource_id not in holders:
                yield "unheld", f"{resource_id} is in the cloud and holds nothing"

    def _quota(self, tenants: Sequence[Any], grants: dict[tuple[str, str], Any], held: Sequence[Any]) -> Iterator[tuple[str, str]]:
        node = {row["id"]: number for number, row in enumerate(tenants)}
        parents = tuple(node.get(row["parent_id"], -1) for row in tenants)
        own: collections.Counter[tuple[str, str]] = collections.Counter()
        for row in held:
            own[row["tenant_id"], row["name"]] += row["amount"]
        for name in sorted({name for _, name in grants}):
            rows = [grants.get((row["id"], name)) for row in tenants]
            given = tuple(
                Grant() if row is None else Grant(row["granted"], row["lending_limit"], row["borrowing_limit"]) for row in rows
            )
            view = View(parents, given, tuple(own[row["id"], name] for row in tenants))
            for x, row in enumerate(rows):
                if view.over(x):
                    yield "over-admission", f"{tenants[x]['code']} is over by {view.over(x)} {name}"
                stored = (0, 0, 0) if row is None else (row["drawn"], row["subtree_quota"], row["local_quota"])
                derived = (view.drawn(x), view.t_empty(x), view.kept(x))
                if stored != derived:
                    yield "wrong", f"{tenants[x]['code']} {name} is written as {stored} and is {derived}"

    def _room(self, rooms: Sequence[Any], held: Sequence[Any]) -> Iterator[tuple[str, str]]:
        taken: collections.Counter[tuple[str, str, str]] = collections.Counter()
        for row in held:
            taken[row["zone"], row["service_class"], row["name"]] += row["amount"]
        for row in rooms:
            sum_held = taken[row["zone"], row["service_class"], row["name"]]
            if row["held"] != sum_held or row["held"] > row["capacity"]:
                yield "room", f"{row['held']} {row['name']} of {row['capacity']} in {row['zone']} are written, {sum_held} are held"

    def _money(self, tenants: Sequence[Any], budgets: Sequence[Any], held: Sequence[Any]) -> Iterator[tuple[str, str]]:
        parents = {row["id"]: row["parent_id"] for row in tenants}
        sums: collections.Counter[tuple[str, int]] = collections.Counter()
        for row in held:
            node = row["tenant_id"]
            while node:
                sums[node, row["year"]] += row["amount_micro"]
                node = parents[node]
        for row in budgets:
            there = row["appropriated_micro"] + row["carried_over_micro"]
            if row["encumbered_micro"] + row["spent_micro"] > there:
                yield (
                    "over-admission",
                    f"{row['tenant_id']} has {row['encumbered_micro']} and {row['spent_micro']} of {there} micro-yuan",
                )
            if row["encumbered_micro"] != sums[row["tenant_id"], row["year"]]:
                yield (
                    "wrong",
                    f"{row['tenant_id']} encumbers {row['encumbered_micro']} and its holds are {sums[row['tenant_id'], row['year']]}",
                )

    def _guests(self) -> set[str]:
        with checker.snapshot(self.lab) as read:
            return {row["resource_id"] for row in read("SELECT resource_id FROM guests WHERE deleted_at IS NULL")}


def left_behind(url: str) -> list[str]:
    """Whatever is still held, encumbered or drawn after everybody has given everything back."""
    with checker.snapshot(url) as read:
        found = [
            f"{row['tenant_id']} still draws {row['drawn']} {row['name']}" for row in read("SELECT * FROM grants WHERE drawn <> 0")
        ]
        found += [f"{row['holder']} still holds quota" for row in read("SELECT holder FROM quota_reservations")]
        found += [f"{row['holder']} still holds room" for row in read("SELECT holder FROM pool_holds")]
        found += [
            f"{row['held']} {row['name']} of room are still held"
            for row in read("SELECT name, held FROM pool_rooms WHERE held <> 0")
        ]
    return found
