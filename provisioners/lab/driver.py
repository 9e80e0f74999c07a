"""The driver of the lab cloud.  `create: ticket` consumes a revocable ticket (as a boot volume is); `create: tag` only looks first.

Settings: url (http://127.0.0.1:PORT), create (ticket, tag), call_s, late_s, poll_s, calls_at_once.
"""

import dataclasses
import urllib.parse
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

import msgspec

from provisioners import contract, registry, replicas
from provisioners.contract import Attempt, Done, Facts, Landed, Observed, Revoked, State, Waiting, Wanted
from provisioners.lab import client, refusals, wire

_NUMBERS: Final = {"call_s": (1, 300, 10), "late_s": (0, 86_400, 30), "poll_s": (0, 3_600, 1), "calls_at_once": (1, 1_000, 16)}
_LARGEST: Final = {"cpu_milli": 10**9, "ram_mib": 10**9, "disk_gib": 10**9, "gpus": 10**6}
_Answer = TypeVar("_Answer")
_ROLLING: Final = frozenset({"restart", "update"})
_FINISHED: Final = {"start": "running", "stop": "stopped"}


def connect(settings: Mapping[str, Any]) -> "LabDriver":
    """The driver over the lab cloud at settings['url'].  Opens no connection.  Raises driver.settings."""
    for field in sorted(settings.keys() - _NUMBERS.keys() - {"url", "create"}):
        raise registry.SETTINGS(name="lab", field=field, reason=f"unknown; known are url, create, {', '.join(_NUMBERS)}")
    url = settings.get("url")
    if not isinstance(url, str) or not _is_loopback(url):
        raise registry.SETTINGS(name="lab", field="url", reason="http://127.0.0.1:PORT of a lab cloud on this machine")
    create = settings.get("create", "ticket")
    if create not in ("ticket", "tag"):
        raise registry.SETTINGS(name="lab", field="create", reason="'ticket' or 'tag'")
    numbers: dict[str, int] = {}
    for field, (low, high, default) in _NUMBERS.items():
        value = settings.get(field, default)
        if type(value) is not int or not low <= value <= high:
            raise registry.SETTINGS(name="lab", field=field, reason=f"a whole number from {low} to {high}")
        numbers[field] = value
    return LabDriver(url, revocable=create == "ticket", bounds=contract.Bounds(**numbers, largest=_LARGEST, limit_step={}))


class LabDriver:
    """See `contract.Driver`."""

    name: str = "lab"
    simulated: bool = True
    kinds: frozenset[str] = frozenset(wire.KINDS)
    actions: Mapping[str, frozenset[str]] = MappingProxyType(wire.ACTIONS)

    def __init__(self, url: str, *, revocable: bool, bounds: contract.Bounds) -> None:
        self.revocable = revocable
        self.bounds = bounds
        self._client = client.Client(url, bounds.call_s)

    # -- tenants ---------------------------------------------------------------------------------------------------------------

    def ensure_tenant(self, tenant: contract.Tenant) -> str:
        """The id of the tenant's project."""
        body = wire.TenantBody(name=tenant.name, epoch=tenant.epoch)
        return self._change("PUT", f"/v1/tenants/{_part(tenant.installation)}/{_part(tenant.code)}", body, wire.Tenant).id

    def set_limits(self, tenant: contract.Tenant, limits: Mapping[str, int]) -> None:
        """The lab takes any integer, so its limits are exact."""
        path = f"/v1/tenants/{_part(tenant.installation)}/{_part(tenant.code)}/limits"
        self._change("PUT", path, wire.LimitsBody(limits=dict(limits)), wire.LimitsBody)

    # -- one step of one resource ----------------------------------------------------------------------------------------------

    def advance(self, wanted: Wanted, known: Facts, attempt: Attempt) -> contract.Step:
        """Ticket, create, wait, done; by tag: look up, create, wait, done."""
        if known.cloud_id:
            return self._built(known)
        if known.ticket_id:
            return self._create(wanted, known, attempt)
        guests, tickets = self._of_resource(wanted.resource_id, wanted.installation)
        if guests:
            return facts_of(guests[0])
        if not self.revocable:
            return self._create(wanted, known, attempt)
        for ticket in tickets:
            if ticket.state == "available":
                return dataclasses.replace(known, ticket_id=ticket.id)
        body = wire.TicketBody(
            installation=wanted.installation, tenant=wanted.tenant, resource_id=wanted.resource_id, epoch=wanted.epoch
        )
        return dataclasses.replace(known, ticket_id=self._change("POST", "/v1/tickets", body, wire.Ticket, attempt).id)

    def act(self, wanted: Wanted, known: Facts, attempt: Attempt) -> contract.Step:
        """The action is guarded by `known.revision`; on another revision only the fresh facts come back."""
        action, guest = attempt.action, self._guest(known.cloud_id)
        if guest is None:
            raise refusals.vanished()
        if guest.task:
            return Waiting(self.bounds.poll_s)
        if _reached(guest, wanted, action):
            return Done(facts_of(guest))
        if guest.state == "error":
            raise refusals.failed(guest.detail)
        if action in _ROLLING and guest.failed_generation == wanted.generation:
            raise refusals.rolled_back()
        if known.revision != str(guest.revision):
            return facts_of(guest)
        body = wire.ActionBody(
            action=action, revision=guest.revision, generation=wanted.generation, **_asked(wanted, guest, action)
        )
        try:
            guest = self._client.change("POST", f"/v1/guests/{guest.id}/actions", body, wire.Guest, attempt.id)
        except client.RefusedError as refusal:
            return self._refused_change(refusal, known)
        return Done(facts_of(guest)) if not guest.task and _reached(guest, wanted, action) else facts_of(guest)

    def remove(self, wanted: Wanted, known: Facts, attempt: Attempt) -> contract.Step:
        """The guest first, then its tickets; then what else carries the resource's tag, unless only this one is meant."""
        guest = self._guest(known.cloud_id)
        if guest is None and attempt.action == contract.CLEAN:
            return self._drop_ticket(known.ticket_id, known, attempt) if known.ticket_id else Done(self._absent(known))
        if guest is None:
            guests, tickets = self._of_resource(wanted.resource_id, wanted.installation)
            if guests:
                return facts_of(guests[0])
            if not tickets:
                return Done(self._absent(known))
            step = self._drop_ticket(tickets[0].id, known, attempt)
            return step.facts if isinstance(step, Done) and len(tickets) > 1 else step
        if guest.task not in ("", "build"):
            return Waiting(self.bounds.poll_s)
        if known.revision != str(guest.revision):
            return facts_of(guest)
        try:
            guest = self._client.change("DELETE", f"/v1/guests/{guest.id}?revision={known.revision}", None, wire.Guest, attempt.id)
        except client.RefusedError as refusal:
            return self._refused_change(refusal, known)
        return facts_of(guest)

    def revoke(self, attempt: Attempt, known: Facts) -> contract.Verdict:
        """Delete the ticket of a create; move the guest's revision under an act or a removal."""
        if attempt.verb is not contract.Verb.ADVANCE:
            return self._revoke_change(attempt, known)
        if known.cloud_id:
            return Revoked(known)
        if known.ticket_id:
            return self._revoke_ticket(known, attempt)
        guests, tickets = self._of_resource(attempt.resource_id, "")
        if guests:
            return Landed(facts_of(guests[0]))
        if not self.revocable:
            return Waiting(self.bounds.poll_s)
        available = [ticket.id for ticket in tickets if ticket.state == "available"]
        return Landed(dataclasses.replace(known, ticket_id=available[0])) if available else Revoked(known)

    # -- in bulk ---------------------------------------------------------------------------------------------------------------

    def observe(self, installation: str, resource_id: str = "") -> Iterator[Observed]:
        """A thousand items a call, by ascending id."""
        for page in self._pages(installation, resource_id):
            for guest in page.guests:
                seen = _observed(guest.kind, guest.name, guest, facts_of(guest))
                yield dataclasses.replace(seen, project=guest.project, image=guest.image, labels=guest.metadata)
            for ticket in page.tickets:
                yield _observed(
                    contract.TICKET, ticket.resource_id, ticket, Facts(ticket_id=ticket.id, created_at=ticket.created_at)
                )

    def events(self, cursor: str = "", limit: int = 1000) -> contract.EventPage:
        """The cursor is the number of the last line in the lab's record."""
        page = self._read("/v1/events", wire.Events, after=cursor, limit=min(limit, 1000))
        last = str(page.events[-1].seq) if page.events else cursor
        return contract.EventPage(events=tuple(_event(entry) for entry in page.events), cursor=last, more=page.more)

    def capacity(self) -> contract.Capacity:
        """The lab's hosts, disabled ones too."""
        hosts = self._read("/v1/hosts", wire.Hosts).hosts
        return contract.Capacity(hosts=tuple(contract.Host(**msgspec.structs.asdict(host)) for host in hosts))

    # -- within ----------------------------------------------------------------------------------------------------------------

    def _built(self, known: Facts) -> contract.Step:
        guest = self._guest(known.cloud_id)
        if guest is None:
            raise refusals.vanished()
        if guest.state == "error":
            raise refusals.failed(guest.detail)
        return Waiting(self.bounds.poll_s) if guest.state == "building" else Done(facts_of(guest))

    def _create(self, wanted: Wanted, known: Facts, attempt: Attempt) -> contract.Step:
        body = wire.GuestBody(
            kind=wanted.kind, name=wanted.name, installation=wanted.installation, tenant=wanted.tenant, project=wanted.project,
            resource_id=wanted.resource_id, amounts=dict(wanted.amounts), epoch=wanted.epoch, ticket_id=known.ticket_id,
            image=str(wanted.spec.get("image", "")), replicas=_replicas(wanted), **_bounds(wanted), power=wanted.power.value, zone=wanted.zone,
            service_class=wanted.service_class, metadata=dict(wanted.labels),
        )  # fmt: skip
        try:
            guest = self._client.change("POST", "/v1/guests", body, wire.Guest, attempt.id)
        except client.RefusedError as refusal:
            if refusal.code in ("ticket.deleted", "ticket.unknown"):
                return dataclasses.replace(known, ticket_id="")
            if refusal.code == "ticket.consumed":
                return self._of_ticket(known)
            raise refusals.refused(refusal) from refusal
        return facts_of(guest) if guest.state == "building" else self._built(facts_of(guest))

    def _of_ticket(self, known: Facts) -> Facts:
        """The guest that another create made with this ticket."""
        ticket = self._read(f"/v1/tickets/{known.ticket_id}", wire.Ticket)
        guest = self._guest(ticket.guest_id)
        if guest is None:
            raise refusals.vanished()
        return facts_of(guest)

    def _revoke_ticket(self, known: Facts, attempt: Attempt) -> contract.Verdict:
        gone = Revoked(dataclasses.replace(known, ticket_id=""))
        try:
            self._client.change("DELETE", f"/v1/tickets/{known.ticket_id}", None, type(None), attempt.id)
        except client.RefusedError as refusal:
            if refusal.status == 404:
                return gone
            if refusal.code == "ticket.consumed":
                ticket = self._read(f"/v1/tickets/{known.ticket_id}", wire.Ticket)
                guest = self._guest(ticket.guest_id)
                return Waiting(self.bounds.poll_s) if guest is None else Landed(facts_of(guest))
            raise refusals.refused(refusal) from refusal
        return gone

    def _revoke_change(self, attempt: Attempt, known: Facts) -> contract.Verdict:
        guest = self._guest(known.cloud_id)
        if guest is None:
            return Landed(self._absent(known)) if attempt.verb is contract.Verb.REMOVE else Revoked(Facts())
        if guest.last_attempt == attempt.id:
            return Landed(facts_of(guest))
        if known.revision != str(guest.revision):
            return Revoked(facts_of(guest))
        body = wire.ActionBody(action="touch", revision=guest.revision)
        try:
            return Revoked(facts_of(self._client.change("POST", f"/v1/guests/{guest.id}/actions", body, wire.Guest, attempt.id)))
        except client.RefusedError as refusal:
            if refusal.status in (404, 409, 412):
                return Waiting(0)
            raise refusals.refused(refusal) from refusal

    def _drop_ticket(self, ticket_id: str, known: Facts, attempt: Attempt) -> contract.Step:
        try:
            self._client.change("DELETE", f"/v1/tickets/{_part(ticket_id)}", None, type(None), attempt.id)
        except client.RefusedError as refusal:
            if refusal.status != 404:
                return self._refused_change(refusal, known)
        return Done(self._absent(known))

    def _absent(self, known: Facts) -> Facts:
        """What is known once nothing is left: since when."""
        gone = self._client.read(f"/v1/guests/{_part(known.cloud_id)}", wire.Guest, deleted="true") if known.cloud_id else None
        return Facts(changed_at=known.changed_at if gone is None else gone.changed_at)

    def _refused_change(self, refusal: client.RefusedError, known: Facts) -> contract.Step:
        """What a change of a guest that changed meanwhile leads to."""
        if refusal.status in (404, 412):
            guest = self._guest(known.cloud_id)
            return Facts() if guest is None else facts_of(guest)
        if refusal.code in ("busy", "state", "ticket.consumed"):
            return Waiting(self.bounds.poll_s)
        raise refusals.refused(refusal) from refusal

    def _guest(self, cloud_id: str) -> wire.Guest | None:
        return self._client.read(f"/v1/guests/{_part(cloud_id)}", wire.Guest) if cloud_id else None

    def _of_resource(self, resource_id: str, installation: str) -> tuple[list[wire.Guest], list[wire.Ticket]]:
        """Guests (oldest first) and tickets that carry the resource's tag."""
        pages = list(self._pages(installation, resource_id))
        guests = sorted((guest for page in pages for guest in page.guests), key=lambda guest: (guest.created_at, guest.id))
        return guests, [ticket for page in pages for ticket in page.tickets]

    def _pages(self, installation: str, resource_id: str) -> Iterator[wire.Inventory]:
        after = ""
        while True:
            page = self._read("/v1/inventory", wire.Inventory, installation=installation, resource_id=resource_id, after=after)
            yield page
            if not (after := page.after):
                return

    def _read(self, path: str, answer: type[_Answer], **query: object) -> _Answer:
        try:
            found = self._client.read(path, answer, **query)
        except client.RefusedError as refusal:
            raise refusals.refused(refusal) from refusal
        if found is None:
            raise client.unreachable()
        return found

    def _change(self, method: str, path: str, body: wire.Body, answer: type[_Answer], attempt: Attempt | None = None) -> _Answer:
        try:
            return self._client.change(method, path, body, answer, attempt.id if attempt else "")
        except client.RefusedError as refusal:
            raise refusals.refused(refusal) from refusal


def facts_of(guest: wire.Guest) -> Facts:
    """The facts of a guest as the lab shows it."""
    return Facts(
        state=State(guest.state), cloud_id=guest.id, ticket_id=guest.ticket_id, revision=str(guest.revision),
        done_generation=guest.generation, amounts=guest.amounts, replicas=guest.replicas, min_replicas=guest.min_replicas,
        max_replicas=guest.max_replicas, addresses=tuple(guest.addresses),
        host=guest.host, zone=guest.zone, service_class=guest.service_class, hall=guest.hall, created_at=guest.created_at,
        changed_at=guest.changed_at, detail=guest.detail,
    )  # fmt: skip


def _reached(guest: wire.Guest, wanted: Wanted, action: str) -> bool:
    if action in _ROLLING:
        return guest.generation >= wanted.generation
    if action in ("resize", "scale"):
        most = replicas.most(wanted.spec)
        number = guest.replicas if guest.max_replicas else _replicas(wanted)
        amounts = replicas.part(wanted.amounts, most, number) if guest.max_replicas else dict(wanted.amounts)
        bounds = {"min_replicas": guest.min_replicas, "max_replicas": guest.max_replicas}
        return bounds == _bounds(wanted) and (guest.amounts, guest.replicas) == (amounts, number)
    return guest.state == _FINISHED.get(action)


def _asked(wanted: Wanted, guest: wire.Guest, action: str) -> dict[str, Any]:
    """What an action tells the cloud beside its name."""
    if action in ("resize", "scale"):
        return {"amounts": dict(wanted.amounts), "replicas": _replicas(wanted), **_bounds(wanted)}
    if action in _ROLLING and wanted.kind == contract.CONTAINER_APP:
        return {"surge": replicas.surge(wanted.spec, guest.replicas), "image": str(wanted.spec.get("image", ""))}
    return {}


def _bounds(wanted: Wanted) -> dict[str, int]:
    """Between which the cloud chooses the number of replicas by itself; zeros where it does not."""
    if wanted.kind != contract.CONTAINER_APP or not replicas.autoscaled(wanted.spec):
        return {"min_replicas": 0, "max_replicas": 0}
    return {"min_replicas": replicas.fewest(wanted.spec), "max_replicas": replicas.most(wanted.spec)}


def _replicas(wanted: Wanted) -> int:
    number = wanted.spec.get("replicas", 1)
    return number if wanted.kind == contract.CONTAINER_APP and isinstance(number, int) else 0


def _observed(kind: str, name: str, item: wire.Guest | wire.Ticket, facts: Facts) -> Observed:
    return Observed(
        kind=kind, name=name, tenant=item.tenant, resource_id=item.resource_id, installation=item.installation, epoch=item.epoch,
        facts=facts,
    )  # fmt: skip


def _event(entry: wire.Entry) -> contract.Event:
    guest = entry.guest
    gone = guest.state == "deleted"
    return contract.Event(
        id=str(entry.seq), at=entry.at, verb=entry.verb, kind=guest.kind, tenant=guest.tenant, installation=guest.installation,
        resource_id=guest.resource_id, facts=facts_of(msgspec.structs.replace(guest, state="absent") if gone else guest),
        name=guest.name, project=guest.project, labels=guest.metadata,
    )  # fmt: skip


def _part(text: str) -> str:
    return urllib.parse.quote(text, safe="")


def _is_loopback(url: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(url)
        return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost") and parts.port is not None
    except ValueError:
        return False
