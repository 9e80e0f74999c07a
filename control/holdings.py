"""What each holder should hold, of the quota and of the room: every living resource, and every line of a waiting order.

`quota check` compares it with what is held, both ways; `quota repair` puts a holder right.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from control import plan
from orders import model as orders_model
from orders import service as orders
from pools import rules as pools_rules
from provisioners import model
from provisioners import rules as provisioners_rules
from provisioners import service as provisioners
from quotas import rules as quotas_rules
from store.transaction import Transaction

PAGE = 1000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What one holder should hold."""

    holder: str
    tenant_id: str
    units: Mapping[str, int]
    place: tuple[str, str, str]  # pool, zone, class
    room: Mapping[str, int]
    confirmed: bool  # the cloud delivered it once


def everything(tx: Transaction) -> Iterator[Holding]:
    """All that should be held, in the order of ids within each page."""
    waiting = _waiting(tx)
    after = ""
    while rows := provisioners.listed(tx, provisioners.Filter(tenant_ids=None), after=after, limit=PAGE):
        for resource in rows:
            line = waiting.pop(resource.id, None)
            yield _of_resource(resource, None if line is None else line[1])
        after = rows[-1].id
    for tenant_id, new in waiting.values():
        if new.action == "create":
            yield _of_line(tenant_id, new)


def of(tx: Transaction, holders: Sequence[str]) -> dict[str, Holding]:
    """What these holders should hold now; one that is missing should hold nothing."""
    resources = provisioners.get_many(tx, holders)
    found: dict[str, Holding] = {}
    for holder in holders:
        resource, waiting = resources.get(holder), orders.waiting_line(tx, holder)
        if resource is not None and not resource.ended:
            found[holder] = _of_resource(resource, waiting[1] if waiting else None)
        elif waiting is not None and waiting[1].action == "create":
            order = orders.by_reference(tx, waiting[0])
            if order is not None:
                found[holder] = _of_line(order.tenant_id, waiting[1])
    return found


def waiting_moves(tx: Transaction) -> frozenset[str]:
    """Ids of the orders that wait and will move something, for which a taker keeps room."""
    return frozenset(order.id for several in _pages(tx) for order in several if order.taker_id is not None)


def _waiting(tx: Transaction) -> dict[str, tuple[str, orders_model.Line]]:
    """resource -> the tenant and line of the order that waits for it."""
    found: dict[str, tuple[str, orders_model.Line]] = {}
    for several in _pages(tx):
        lines = orders.lines(tx, [order.id for order in several])
        found |= {line.resource_id: (order.tenant_id, line) for order in several for line in lines[order.id]}
    return found


def _pages(tx: Transaction) -> Iterator[Sequence[orders_model.Order]]:
    """All waiting orders."""
    state, before = str(orders_model.State.WAITING_FOR_APPROVAL), None
    while several := orders.listed(tx, tenant_ids=None, state=state, before=before, limit=PAGE):
        yield several
        before = several[-1].number


def _of_resource(resource: model.Resource, line: orders_model.Line | None) -> Holding:
    before = resource.before
    needed = provisioners_rules.held(resource.amounts, before.amounts if before else {}, before.surge if before else {})
    if line is not None and line.spec.get("amounts"):
        needed = provisioners_rules.held(line.spec["amounts"], needed, line.spec.get("surge") or {})
    return Holding(
        holder=resource.id,
        tenant_id=resource.tenant_id,
        units=quotas_rules.counted(needed),
        place=(resource.pool_id, resource.zone, resource.service_class),
        room=pools_rules.placed(plan.physical(needed)),
        confirmed=resource.built,
    )


def _of_line(tenant_id: str, line: orders_model.Line) -> Holding:
    spec = line.spec
    return Holding(
        holder=line.resource_id,
        tenant_id=tenant_id,
        units=quotas_rules.counted(spec["amounts"]),
        place=(spec["pool_id"], spec["zone"], spec["service_class"]),
        room=pools_rules.placed(plan.physical(spec["amounts"])),
        confirmed=False,
    )
