"""Many customers of one city at once, over HTTP, and what they were told: the other half of `quota_history`.

A customer orders, looks, changes and deletes at one tenant of a district; now and then somebody sets or moves a grant.  A request whose answer
was lost is repeated with its key until it is answered.
"""

import dataclasses
import datetime
import http.client
import json
import random
import threading
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import Any

from tests.integration.city import PARENTS, SCARCE, UNITS, City, Thing, hours_left
from tests.integration.kueue_model import Grant, counted

SIZES = {
    "tiny": {"cpu_milli": 1000, "ram_mib": 2048, "disk_gib": 20},
    "small": {"cpu_milli": 2000, "ram_mib": 4096, "disk_gib": 50},
}
HOURLY_PRICE = {"cpu_milli": 0.01 / 1000, "ram_mib": 0.01 / 1024, "disk_gib": 0.01}
"""Yuan, of `places.PRICES`."""
PATIENCE_S = 120


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that came at last."""

    status: int
    body: Any
    first: float  # when it was first asked
    last: float  # when the attempt began that was answered
    returned: float

    @property
    def whole(self) -> tuple[float, float]:
        """When an effect took place: any attempt may have had it."""
        return self.first, self.returned

    @property
    def answered(self) -> tuple[float, float]:
        """When what was said was so: a look or a refusal is of the last attempt."""
        return self.last, self.returned

    @property
    def code(self) -> str:
        """Of the refusal; '' for a yes."""
        return str(self.body["code"]) if self.status >= 400 else ""


class Network:
    """The way to the servers of the city."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.urls = urls
        self.lines: list[Line] = []
        self.closed = False

    def line(self) -> "Line":
        """Connections for one person, who begins with another server than the one before."""
        first = len(self.lines) % len(self.urls)
        self.lines.append(Line(self, [*self.urls[first:], *self.urls[:first]]))
        return self.lines[-1]

    def close(self) -> None:
        """Nobody is answered any more."""
        self.closed = True
        for line in self.lines:
            for connection in list(line.connections.values()):
                connection.close()


class Line:
    """One person's connections.  Uses nothing of the product."""

    def __init__(self, network: Network, urls: list[str]) -> None:
        self.network, self.urls = network, urls
        self.connections: dict[str, http.client.HTTPConnection] = {}
        self.lost = 0

    def ask(self, method: str, path: str, token: str, body: Any = None, key: str = "") -> Reply:
        """Ask until it is answered."""
        first = time.monotonic()
        raw = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = {"Authorization": f"Bearer {token}", "Accept-Language": "en"} | ({"Idempotency-Key": key} if key else {})
        if raw is not None:
            headers["Content-Type"] = "application/json"
        while True:
            last = time.monotonic()
            assert last < first + PATIENCE_S and not self.network.closed, f"{method} {path} was never answered"
            try:
                status, answer = self._once(method, path, raw, headers)
            except (OSError, http.client.HTTPException):
                self.lost += 1
                time.sleep(0.05)
                continue
            if status != 503:
                assert status < 500, f"{method} {path} {body}: {status} {answer!r}"
                return Reply(status=status, body=json.loads(answer), first=first, last=last, returned=time.monotonic())
            time.sleep(0.05)

    def _once(self, method: str, path: str, raw: bytes | None, headers: dict[str, str]) -> tuple[int, bytes]:
        self.urls.append(self.urls.pop(0))
        where = urllib.parse.urlsplit(self.urls[0])
        connection = self.connections.pop(where.netloc, None) or http.client.HTTPConnection(where.netloc, timeout=60)
        try:
            connection.request(method, path, raw, headers)
            answer = connection.getresponse()
            found = answer.status, answer.read()
        except BaseException:
            connection.close()
            raise
        self.connections[where.netloc] = connection
        return found


class Customer:
    """One of many at a tenant of a district."""

    def __init__(self, city: City, network: Network, number: int) -> None:
        self.city, self.number = city, number
        self.district = city.districts[number % len(city.districts)]
        self.node = 1 + number // len(city.districts) % (len(PARENTS) - 1)
        self.chance = random.Random(f"{city.chance.random()}/{number}")
        self.network, self.line = network, network.line()
        self.token = self.district.tokens[self.code]
        self.asked = 0
        self.mine: list[Thing] = []

    @property
    def code(self) -> str:
        """Of the tenant."""
        return self.district.codes[self.node]

    def run(self, steps: int) -> None:
        """So many things, one after the other."""
        for _ in range(steps):
            self.chance.choices(
                [self.orders, self.looks, self.deletes, self.resizes, self.sets_grants, self.moves_grants], [12, 7, 8, 4, 1, 1]
            )[0]()
            time.sleep(self.chance.uniform(0, 0.02))

    def orders(self) -> None:
        """Something new; an application waits for an approval, and somebody decides."""
        kind = self.chance.choice(["VirtualMachine", "VirtualMachine", "Volume", "Volume", "ContainerApp"])
        name = f"系统-{self.number}-{self.asked}"
        if kind == "VirtualMachine":
            size, count = self.chance.choice(["tiny", "tiny", "small"]), self.chance.choice([1, 1, 2])
            spec, each = {"size": size, "image": "debian-12", "count": count}, SIZES[size] | {"instances": 1}
        elif kind == "Volume":
            ssd, size_gib, count = self.chance.random() < 0.5, self.chance.randint(1, 4) * 10, 1
            spec, each = {"size_gib": size_gib} | ({"disk_class": "ssd"} if ssd else {}), _disk(size_gib, ssd)
        else:
            replicas, count = self.chance.randint(1, 3), 1
            spec, each = {"size": "tiny", "image": "nginx-1.26", "replicas": replicas}, _replicas("tiny", replicas)
        reply = self.order({"action": "create", "kind": kind, "spec": spec | {"name": name}})
        total = {name: amount * count for name, amount in each.items()}
        if self.refused(reply, total):
            return
        lines = reply.body["spec"]["lines"]
        self.district.history.held(
            reply.whole, self.node, total, f"{kind} {[line['resource'] for line in lines]} for {self.code}: {total}"
        )
        things = [Thing(line["resource"], kind, self.node, each, reply.first) for line in lines]
        if reply.body["status"]["state"] == "waiting_for_approval" and not self.is_decided(reply.body["metadata"]["name"], total):
            return
        self.mine += things
        self.district.things.update({thing.id: thing for thing in things})

    def is_decided(self, number: str, total: Mapping[str, int]) -> bool:
        """A waiting order is approved, refused or withdrawn, by two people at once now and then; whether it is delivered."""
        verdicts = self.chance.choices(
            [["approve"], ["refuse"], ["withdraw"], ["approve", "withdraw"], ["refuse", "withdraw"]], [5, 2, 2, 1, 1]
        )[0]
        replies: dict[str, Reply] = {}

        def decide(verdict: str, line: Line) -> None:
            token = self.token if verdict == "withdraw" else self.district.tokens["approver"]
            replies[verdict] = line.ask("POST", f"/v1/orders/{number}/{verdict}", token, {"reason": "依规处理"}, self.key())

        lines = [self.line, *(self.network.line() for _ in verdicts[1:])]
        at_once = [threading.Thread(target=decide, args=pair) for pair in zip(verdicts, lines, strict=True)]
        for one in at_once:
            one.start()
        for one in at_once:
            one.join()
        assert len(replies) == len(verdicts), "a decision was never answered"
        assert sorted(reply.code for reply in replies.values())[-len(verdicts) :] == ["", "order.decided"][: len(verdicts)], replies
        winner = next(verdict for verdict, reply in replies.items() if not reply.code)
        if winner != "approve":
            back = {name: -amount for name, amount in total.items()}
            self.district.history.held(replies[winner].whole, self.node, back, f"{winner} order {number}")
        return winner == "approve"

    def looks(self) -> None:
        """At how a tenant of the district stands."""
        node = self.chance.choice([self.node, self.node, self.chance.randrange(len(PARENTS))])
        token = self.token if node == self.node else self.city.operator
        reply = self.line.ask("GET", f"/v1/grants/{self.district.codes[node]}", token)
        assert not reply.code, reply.body
        self.district.history.shown(reply.answered, node, reply.body)

    def deletes(self) -> None:
        """Something of its own; what it holds goes back when its absence is confirmed."""
        if there := [thing for thing in self.mine if thing.state in ("ordered", "there")]:
            self.deletes_one(self.chance.choice(there))

    def deletes_one(self, thing: Thing) -> None:
        """That one."""
        thing.state, thing.asked = "leaving", time.monotonic()
        reply = self.order({"action": "delete", "kind": thing.kind, "resource": thing.id, "spec": {"purge": True}})
        assert reply.code in ("", "resource.state"), reply.body  # it has failed, and is gone already

    def resizes(self) -> None:
        """Something that is there: both sizes are held until the new one is there."""
        there = [thing for thing in self.mine if thing.state == "there"]
        if not there:
            return
        thing = self.chance.choice(there)
        spec: dict[str, Any]
        if thing.kind == "VirtualMachine":
            size = "tiny" if thing.held["cpu_milli"] == 2000 else "small"
            spec, new = {"size": size}, SIZES[size] | {"instances": 1}
        elif thing.kind == "Volume":
            size_gib = self.chance.choice([n for n in (10, 20, 30, 40) if n != thing.held["disk_gib"]])
            spec, new = {"size_gib": size_gib}, _disk(size_gib, "disk_gib.ssd" in thing.held)
        else:
            replicas = self.chance.choice([n for n in (1, 2, 3) if n != thing.held["pods"]])
            spec, new = {"replicas": replicas}, _replicas("tiny", replicas)
        both = {name: max(amount, thing.held[name]) for name, amount in new.items()}
        more = {name: amount - thing.held[name] for name, amount in both.items() if amount > thing.held[name]}
        thing.state, thing.asked = "asked", time.monotonic()
        action = "scale" if thing.kind == "ContainerApp" else "resize"
        reply = self.order({"action": action, "kind": thing.kind, "resource": thing.id, "spec": spec})
        if self.refused(reply, more):
            thing.state = "there"
            return
        self.district.history.held(reply.whole, self.node, more, f"{action} {thing.id} to {new}")
        thing.before, thing.held, thing.becomes, thing.state = thing.held, both, new, "changing"

    def sets_grants(self) -> None:
        """Of any tenant below the district, of one name or two, to something that may or may not be sound."""
        node, changes = self.chance.randrange(1, len(PARENTS)), []
        for name in self.chance.sample(list(UNITS), self.chance.choice([1, 1, 2])):
            steps = [self.chance.randint(0, SCARCE[name]), *(self.chance.randint(0, 4) for _ in range(2))]
            granted, lend, borrow = (step * UNITS[name] for step in steps)
            changes.append((node, name, Grant(granted, self.chance.choice([None, None, lend]), self.chance.choice([0, borrow]))))
        body = [
            {"name": name, "granted": one.granted, "lending_limit": one.lend, "borrowing_limit": one.borrow}
            for _, name, one in changes
        ]
        path = f"/v1/grants/{self.district.codes[node]}"
        reply = self.line.ask("PATCH", path, self.city.operator, {"grants": body}, self.key())
        if reply.code:
            assert reply.code in ("quota.above_parent", "quota.below_child", "quota.kept", "quota.below_use"), reply.body
            self.district.history.not_granted(reply.answered, changes, reply.code)
        else:
            self.district.history.granted(reply.whole, changes, reply.body)

    def moves_grants(self) -> None:
        """From one tenant to its sibling."""
        giver, taker = self.chance.choice([(1, 2), (2, 1), (3, 4), (4, 3)])
        names = self.chance.choice([[name] for name in UNITS] + [["cpu_milli", "instances"], ["disk_gib.ssd", "pods"]])
        amounts = {name: self.chance.randint(1, 3) * UNITS[name] for name in names}
        codes = self.district.codes
        body = {"giver": codes[giver], "taker": codes[taker], "amounts": amounts}
        reply = self.line.ask("POST", "/v1/grant-moves", self.city.operator, body, self.key())
        assert not reply.code or reply.code.startswith("quota."), reply.body
        when, rows = (reply.answered, None) if reply.code else (reply.whole, reply.body)
        self.district.history.moved(when, (giver, taker), counted(amounts), rows)

    def refused(self, reply: Reply, more: Mapping[str, int]) -> bool:
        """Whether an order was refused, for which quota and money may be the reasons.  Without a word of quota, quota was there."""
        if reply.code:
            assert reply.code in ("quota.exceeded", "budget.exceeded"), reply.body
            self.city.refusals[reply.code] += 1
            values = reply.body["values"]
            money = values["breaches"] if reply.code == "budget.exceeded" else values.get("budget_breaches", [])
            asked = sum(more.get(name, 0) * price for name, price in HOURLY_PRICE.items()) * float(
                hours_left(datetime.datetime.now(datetime.UTC))
            )
            for breach in money:
                assert 0 < float(breach["short_by"]) <= asked * 1.001 + 0.1, f"{breach} for {asked} yuan"
            breaches = values["breaches"] if reply.code == "quota.exceeded" else []
            self.district.history.refused(reply.answered, self.node, more, breaches)
        return bool(reply.code)

    def order(self, line: Mapping[str, Any]) -> Reply:
        """One line."""
        body = {"tenant": self.code, "project": "service", "lines": [line]}
        return self.line.ask("POST", "/v1/orders", self.token, body, self.key())

    def key(self) -> str:
        """A new one."""
        self.asked += 1
        return f"c{self.number}-{self.asked}"


def _disk(size_gib: int, ssd: bool) -> dict[str, int]:
    return {"disk_gib": size_gib} | ({"disk_gib.ssd": size_gib} if ssd else {})


def _replicas(size: str, replicas: int) -> dict[str, int]:
    return {name: amount * replicas for name, amount in SIZES[size].items()} | {"pods": replicas}
