"""The lab cloud's rules: tenants with native limits, one-shot tickets, guests on hosts, what happens to them.  No HTTP, no faults.

Every verb runs inside the caller's `Book.change()` and `Book.attempt()`: a no is a `RefusedError`, and the savepoint undoes what was
begun.
"""

import ipaddress
import json
import sqlite3
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from primitives import clock
from provisioners import replicas
from provisioners.lab import book as books
from provisioners.lab import placement, rows, script, wire

Answer = tuple[int, msgspec.Struct | None]
_IPV6: Final = int(ipaddress.IPv6Address("fd00:6c61:6200::"))
_IPV4_PARTS: Final = 1024  # tenants share 10.0.0.0/8 in /18 parts


class RefusedError(Exception):
    """The cloud's no: an HTTP status, a stable code and a sentence."""

    def __init__(self, status: int, code: str, message: str) -> None:
        self.status = status
        self.code = code
        self.message = message
        super().__init__(message)


class World:
    """What the cloud holds.  `wake` is called when something became due at a later time."""

    def __init__(self, book: books.Book, wake: Callable[[], None] = lambda: None) -> None:
        self.book = book
        self.wake = wake
        self.script = script.Script()

    # -- mutating calls, by operation ------------------------------------------------------------------------------------------

    def perform(self, operation: str, target: str, body: wire.Body | None, attempt: str, fate: script.Fate) -> Answer:
        """Carry out one call; the caller has decoded `body` for the operation.  Raises Refused."""
        if isinstance(body, wire.TenantBody):
            return 200, self._set_tenant(target, body)
        if isinstance(body, wire.LimitsBody):
            return 200, self._set_limits(target, body)
        if isinstance(body, wire.TicketBody):
            return 201, self._create_ticket(body)
        if isinstance(body, wire.GuestBody):
            return 202, self._create_guest(body, attempt, fate)
        if isinstance(body, wire.ActionBody):
            return 202, self._act(target, body, attempt, fate)
        if operation == "ticket.delete":
            self._delete_ticket(target)
            return 204, None
        guest_id, _, revision = target.partition("?")
        return 202, self._delete_guest(guest_id, int(revision or 0), attempt)

    def _set_tenant(self, target: str, body: wire.TenantBody) -> wire.Tenant:
        installation, _, code = target.partition("/")
        number = self.book.one("SELECT coalesce(max(number), 0) + 1 AS n FROM tenants")
        self.book.changed(
            "INSERT INTO tenants VALUES (?, ?, ?, ?, ?, ?, '{}') ON CONFLICT (installation, code) DO UPDATE"
            " SET name = excluded.name, epoch = excluded.epoch",
            f"project-{installation}-{code}", number["n"] if number else 1, installation, code, body.name, body.epoch,
        )  # fmt: skip
        return wire.Tenant(id=self.tenant(installation, code)["id"], name=body.name, epoch=body.epoch)

    def _set_limits(self, target: str, body: wire.LimitsBody) -> wire.LimitsBody:
        tenant = self.tenant(*target.split("/", 1))
        self.book.changed("UPDATE tenants SET limits = ? WHERE id = ?", books.packed(body.limits), tenant["id"])
        return body

    def _create_ticket(self, body: wire.TicketBody) -> wire.Ticket:
        tenant = self.tenant(body.installation, body.tenant)
        ticket_id = self.book.fresh_id("ticket", self.script.seed)
        self.book.insert(
            "tickets", id=ticket_id, tenant_id=tenant["id"], resource_id=body.resource_id, installation=body.installation,
            tenant=body.tenant, epoch=body.epoch, state="available", guest_id="", created_at=books.stamp(),
        )  # fmt: skip
        return self.ticket(ticket_id)

    def _delete_ticket(self, ticket_id: str) -> None:
        """An available ticket, or a used-up one whose guest is gone, can be deleted; a ticket under a living guest cannot."""
        ticket = self.ticket(ticket_id)
        if ticket.state == "deleted":
            raise RefusedError(404, "ticket.unknown", f"ticket {ticket_id} was deleted")
        if ticket.state == "consumed" and self._living(ticket.guest_id) is not None:
            raise RefusedError(409, "ticket.consumed", f"ticket {ticket_id} carries guest {ticket.guest_id}")
        self.book.changed("UPDATE tickets SET state = 'deleted' WHERE id = ?", ticket_id)

    def _create_guest(self, body: wire.GuestBody, attempt: str, fate: script.Fate) -> wire.Guest:
        tenant = self.tenant(body.installation, body.tenant)
        if body.ticket_id:
            ticket = self.ticket(body.ticket_id, missing_status=400)
            if ticket.state != "available":
                raise RefusedError(
                    400, f"ticket.{ticket.state}", f"ticket {body.ticket_id} is {ticket.state}: it makes one guest, once"
                )
            if ticket.resource_id != body.resource_id:
                raise RefusedError(400, "ticket.foreign", f"ticket {body.ticket_id} is for {ticket.resource_id}")
        if body.kind != "Volume":
            self._known_image(body.image)
        amounts, number = _sized(body, body.replicas)
        body = msgspec.structs.replace(body, amounts=amounts, replicas=number)
        self._within_limits(tenant, body.amounts)
        host = self._place(body.amounts, body.zone, body.service_class)
        guest_id = self.book.fresh_id("guest", self.script.seed)
        if body.ticket_id:
            self.book.changed("UPDATE tickets SET state = 'consumed', guest_id = ? WHERE id = ?", guest_id, body.ticket_id)
        self._insert(guest_id, body, tenant, host, attempt)
        self._record("created", guest_id)
        build_s = script.between(self.script.build_s, self.script.seed, f"build:{body.name}")
        self._later(build_s, "failed" if fate.fails else "built", guest_id, body.power)
        if fate.vanish_s is not None:
            self.later(build_s + fate.vanish_s, "vanish", guest_id)
        return self.guest(guest_id)

    def _act(self, guest_id: str, body: wire.ActionBody, attempt: str, fate: script.Fate) -> wire.Guest:
        guest = self._checked(guest_id, body.revision)
        if body.action != "touch" and body.action not in wire.ACTIONS[guest.kind]:
            raise RefusedError(400, "action.unknown", f"a {guest.kind} has no action {body.action}")
        if body.action == "touch":
            self._update(guest_id, revision=guest.revision + 1)
            return self.guest(guest_id)
        if guest.state not in ("running", "stopped"):
            raise RefusedError(409, "state", f"guest {guest_id} is {guest.state}")
        if body.action == "restart" and guest.state != "running":
            raise RefusedError(409, "state", f"guest {guest_id} is {guest.state}")
        if body.action in ("resize", "scale"):
            self._resize(guest, body)
        if body.action == "update" and body.image:
            self._known_image(body.image)
        rolls = guest.kind == "ContainerApp" and guest.state == "running" and body.action in ("restart", "update")
        if rolls and body.surge:
            self._surge(guest, body.surge)
        self._update(guest_id, revision=guest.revision + 1, task=body.action, last_attempt=attempt)
        told = {"generation": body.generation, "image": body.image, "fails": rolls and fate.rolls_back}
        self._later(self._action_s(guest, body.action), body.action, guest_id, books.packed(told))
        return self.guest(guest_id)

    def _resize(self, guest: wire.Guest, body: wire.ActionBody) -> None:
        """Size and host change when the call is accepted; the task then takes its time.  The old host is kept if it still fits."""
        if guest.kind == "Volume" and body.amounts.get("disk_gib", 0) < guest.amounts.get("disk_gib", 0):
            raise RefusedError(400, "shrink", "a volume cannot shrink")
        amounts, number = _sized(body, guest.replicas if body.max_replicas else body.replicas)
        self._resized(guest, amounts, number or guest.replicas, min_replicas=body.min_replicas, max_replicas=body.max_replicas)

    def _resized(self, guest: wire.Guest, amounts: dict[str, int], number: int, **more: object) -> None:
        row = self._row(guest.id)
        self._within_limits_of(row, {name: n - guest.amounts.get(name, 0) for name, n in amounts.items()})
        self._hold(row, guest.amounts, -1)
        host = self._place(amounts, guest.zone, guest.service_class, preferred=guest.host)
        self._update(guest.id, amounts=books.packed(amounts), replicas=number, host=host.name, **more)
        self._hold(self._row(guest.id), amounts, 1)
        self._record("resized", guest.id)

    def _surge(self, guest: wire.Guest, number: int) -> None:
        """So many replicas more, until the new ones have taken over."""
        added = replicas.part(guest.amounts, max(1, guest.replicas), number)
        self._within_limits_of(self._row(guest.id), added)
        host = self._place(added, guest.zone, guest.service_class, preferred=guest.host)
        self._update(guest.id, surge=books.packed(added), surge_host=host.name)
        self._hold(self._row(guest.id), added, 1, of="surge_host")
        self._record("rolling", guest.id)

    def _drop_surge(self, guest_id: str) -> None:
        row = self._row(guest_id)
        if row["surge_host"]:
            self._hold(row, json.loads(row["surge"]), -1, of="surge_host")
            self._update(guest_id, surge="{}", surge_host="")

    def _delete_guest(self, guest_id: str, revision: int, attempt: str) -> wire.Guest:
        guest = self._checked(guest_id, revision)
        self._update(guest_id, revision=guest.revision + 1, task="delete", last_attempt=attempt)
        self._later(self._action_s(guest, "delete"), "delete", guest_id)
        return msgspec.structs.replace(guest, revision=guest.revision + 1, task="delete", last_attempt=attempt)

    # -- what happens later, on the cloud's own clock --------------------------------------------------------------------------

    def later(
        self, in_s: float, what: str, target: str, body: str = "", *, attempt: str = "", request_id: int | None = None
    ) -> None:
        """Let something happen `in_s` from now, also if the cloud is killed and started again meanwhile."""
        due_us = clock.to_us(clock.now()) + int(in_s * 1_000_000)
        self.book.insert("pending", due_us=due_us, what=what, target=target, body=body, attempt=attempt, request_id=request_id)
        self.wake()

    def happen(self, what: str, guest_id: str, body: str) -> None:
        """One thing that became due; a guest that is gone meanwhile is left alone."""
        guest = self._living(guest_id)
        if guest is None or (what not in ("vanish", "delete") and guest.task == "delete"):
            return
        if what in ("built", "failed"):
            state, detail = (
                (body, "") if what == "built" else ("error", "the hypervisor reported a failure while the guest was built")
            )
            self._update(guest_id, state=state, detail=detail, task="" if guest.task == "build" else guest.task)
            self._record(what, guest_id)
        elif what in ("delete", "vanish"):
            self._end(guest, "vanished behind its owner's back" if what == "vanish" else "")
        elif what in ("start", "stop"):
            state, changed = (
                ("running" if what == "start" else "stopped"),
                guest.state != ("running" if what == "start" else "stopped"),
            )
            self._update(guest_id, state=state, task="")
            if changed:
                self._record("started" if what == "start" else "stopped", guest_id)
        elif what in ("restart", "update"):
            self._replaced(guest, what, json.loads(body))
        else:
            self._update(guest_id, task="")

    def _replaced(self, guest: wire.Guest, what: str, told: Mapping[str, object]) -> None:
        """A restart or update came to its end; one whose new replicas did not become ready was rolled back."""
        self._drop_surge(guest.id)
        if told["fails"]:
            self._update(guest.id, task="", failed_generation=told["generation"])
            self._record("rolled_back", guest.id)
        else:
            self._update(guest.id, task="", generation=told["generation"], image=told["image"] or guest.image)
            self._record("restarted" if what == "restart" else "updated", guest.id)

    def autoscale(self, guest_id: str, number: int) -> wire.Guest:
        """What the cloud's own autoscaler does: another number of replicas, within the bounds that it was given."""
        guest = self.guest(guest_id)
        if not guest.min_replicas <= number <= guest.max_replicas:
            raise RefusedError(
                409, "bounds", f"guest {guest_id} has {guest.min_replicas} to {guest.max_replicas} replicas, not {number}"
            )
        if guest.state != "running" or guest.task not in ("", "restart", "update"):
            raise RefusedError(409, "state", f"guest {guest_id} is {guest.state} {guest.task}")
        self._resized(guest, replicas.part(guest.amounts, guest.replicas, number), number, revision=guest.revision + 1)
        return self.guest(guest_id)

    def foreign(self, body: wire.ForeignBody) -> wire.Guest:
        """A guest that somebody made without govpool."""
        host = self._place(body.amounts, body.zone, body.service_class)
        guest_id = self.book.fresh_id("guest", self.script.seed)
        self.book.insert(
            "guests", id=guest_id, kind=body.kind, name=body.name, tenant_id="", tenant="", project="", installation="", epoch=0,
            resource_id="", ticket_id="", state="running", task="", revision=1, generation=0, amounts=books.packed(body.amounts),
            replicas=0, image="", addresses="[]", host=host.name, created_at=books.stamp(), detail="", last_attempt="", metadata="{}",
            changed_at="",
        )  # fmt: skip
        self._hold(self._row(guest_id), body.amounts, 1)
        self._record("created", guest_id)
        return self.guest(guest_id)

    # -- reads -----------------------------------------------------------------------------------------------------------------

    def tenant(self, installation: str, code: str) -> sqlite3.Row:
        """A tenant's row; 404 tenant.unknown."""
        row = self.book.one("SELECT * FROM tenants WHERE installation = ? AND code = ?", installation, code)
        if row is None:
            raise RefusedError(404, "tenant.unknown", f"there is no tenant {code!r} of {installation!r}")
        return row

    def ticket(self, ticket_id: str, missing_status: int = 404) -> wire.Ticket:
        """A ticket, deleted ones too."""
        row = self.book.one("SELECT * FROM tickets WHERE id = ?", ticket_id)
        if row is None:
            raise RefusedError(missing_status, "ticket.unknown", f"there is no ticket {ticket_id!r}")
        return rows.ticket_of(row)

    def guest(self, guest_id: str) -> wire.Guest:
        """A living guest; 404 guest.unknown."""
        guest = self._living(guest_id)
        if guest is None:
            raise RefusedError(404, "guest.unknown", f"there is no guest {guest_id!r}")
        return guest

    def deleted(self, guest_id: str) -> wire.Guest:
        """A guest as it was when it went, with the time; 404 guest.unknown."""
        row = self.book.one(f"{placement.GUESTS} WHERE g.id = ? AND g.deleted_at IS NOT NULL", guest_id)
        if row is None:
            raise RefusedError(404, "guest.unknown", f"there is no deleted guest {guest_id!r}")
        return rows.guest_of(row)

    # -- within ----------------------------------------------------------------------------------------------------------------

    def _row(self, guest_id: str) -> sqlite3.Row:
        row = self.book.one(f"{placement.GUESTS} WHERE g.id = ? AND g.deleted_at IS NULL", guest_id)
        if row is None:
            raise RefusedError(404, "guest.unknown", f"there is no guest {guest_id!r}")
        return row

    def _living(self, guest_id: str) -> wire.Guest | None:
        row = self.book.one(f"{placement.GUESTS} WHERE g.id = ? AND g.deleted_at IS NULL", guest_id)
        return None if row is None else rows.guest_of(row)

    def _checked(self, guest_id: str, revision: int) -> wire.Guest:
        guest = self.guest(guest_id)
        if revision != guest.revision:
            raise RefusedError(412, "revision", f"guest {guest_id} is at revision {guest.revision}, not {revision}")
        if guest.task not in ("", "build"):
            raise RefusedError(409, "busy", f"guest {guest_id} is busy: {guest.task}")
        return guest

    def _within_limits(self, tenant: sqlite3.Row, added: Mapping[str, int]) -> None:
        limits, used = json.loads(tenant["limits"]), self.book.usage(f"tenant:{tenant['id']}")
        for name, amount in added.items():
            held, limit = used.get(name, 0), limits.get(name, 0)
            if amount > 0 and held + amount > limit:
                raise RefusedError(403, "quota", f"{name}: {held} used + {amount} asked > limit {limit} of tenant {tenant['code']}")

    def _within_limits_of(self, guest_row: sqlite3.Row, added: Mapping[str, int]) -> None:
        tenant = self.book.one("SELECT * FROM tenants WHERE id = ?", guest_row["tenant_id"])
        if tenant is not None:
            self._within_limits(tenant, added)

    def _known_image(self, image: str) -> None:
        if self.script.images is not None and image not in self.script.images:
            raise RefusedError(400, "image_missing", f"there is no image {image!r}")

    def _place(self, amounts: Mapping[str, int], zone: str, service_class: str, preferred: str = "") -> wire.Host:
        host = placement.choose(placement.hosts(self.book), amounts, zone, service_class, preferred)
        if host is None:
            raise RefusedError(
                409, "no_host", f"no host of zone {zone or 'any'} and class {service_class or 'any'} takes {dict(amounts)}"
            )
        return host

    def _hold(self, row: sqlite3.Row, amounts: dict[str, int], sign: int, of: str = "host") -> None:
        self.book.use(f"host:{row[of]}", placement.placed(amounts), sign)
        if row["tenant_id"]:
            self.book.use(f"tenant:{row['tenant_id']}", amounts, sign)

    def _insert(self, guest_id: str, body: wire.GuestBody, tenant: sqlite3.Row, host: wire.Host, attempt: str) -> None:
        addresses = [] if body.kind == "Volume" else self._addresses(tenant)
        self.book.insert(
            "guests", id=guest_id, kind=body.kind, name=body.name, tenant_id=tenant["id"], tenant=body.tenant, project=body.project,
            installation=body.installation, epoch=body.epoch, resource_id=body.resource_id, ticket_id=body.ticket_id,
            state="building", task="build", revision=1, generation=0, amounts=books.packed(body.amounts), replicas=body.replicas,
            min_replicas=body.min_replicas, max_replicas=body.max_replicas, image=body.image,
            addresses=books.packed(addresses), host=host.name, created_at=books.stamp(), detail="",
            last_attempt=attempt, metadata=books.packed(body.metadata), changed_at="",
        )  # fmt: skip
        self._hold(self._row(guest_id), body.amounts, 1)

    def _addresses(self, tenant: sqlite3.Row) -> list[str]:
        """One IPv4 and one IPv6 address of the tenant's private networks, never used before (until 16,380 guests of it)."""
        number, part = self.book.count(f"addresses:{tenant['id']}"), tenant["number"] % _IPV4_PARTS
        ipv4 = (10 << 24) + (part << 14) + 3 + (number - 1) % 16_380
        return [str(ipaddress.IPv4Address(ipv4)), str(ipaddress.IPv6Address(_IPV6 + (tenant["number"] << 64) + 2 + number))]

    def _update(self, guest_id: str, **values: object) -> None:
        sets = ", ".join(f"{name} = ?" for name in values)
        self.book.changed(f"UPDATE guests SET {sets} WHERE id = ?", *values.values(), guest_id)

    def _end(self, guest: wire.Guest, detail: str) -> None:
        self._drop_surge(guest.id)
        guest = msgspec.structs.replace(guest, surge={})
        row, at = self._row(guest.id), books.stamp()
        self._hold(row, guest.amounts, -1)
        self._update(guest.id, deleted_at=at, changed_at=at, state="deleted", task="", detail=detail)
        gone = msgspec.structs.replace(guest, state="deleted", task="", detail=detail, changed_at=at)
        self._append("deleted", gone, at)

    def _record(self, verb: str, guest_id: str) -> None:
        at = books.stamp()
        self._update(guest_id, changed_at=at)
        self._append(verb, self.guest(guest_id), at)

    def _append(self, verb: str, guest: wire.Guest, at: str) -> None:
        self.book.insert(
            "record", at=at, verb=verb, guest_id=guest.id, resource_id=guest.resource_id, guest=msgspec.json.encode(guest).decode()
        )

    def _action_s(self, guest: wire.Guest, action: str) -> float:
        return script.between(self.script.action_s, self.script.seed, f"{action}:{guest.name}:{guest.revision}")

    def _later(self, in_s: float, what: str, guest_id: str, body: str = "") -> None:
        """At once when it takes no time, so that a script without delays has no `building` at all."""
        if in_s <= 0:
            self.happen(what, guest_id, body)
        else:
            self.later(in_s, what, guest_id, body)


def _sized(body: wire.GuestBody | wire.ActionBody, number: int) -> tuple[dict[str, int], int]:
    """Amounts and replicas that a body comes to; with bounds its amounts are those of the maximum, and `number` is brought within them."""
    if not body.max_replicas:
        return body.amounts, number
    if not 1 <= body.min_replicas <= body.max_replicas:
        raise RefusedError(400, "bounds", f"{body.min_replicas} to {body.max_replicas} replicas")
    within = min(max(number, body.min_replicas), body.max_replicas)
    return replicas.part(body.amounts, body.max_replicas, within), within
