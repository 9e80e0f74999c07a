"""From the wishes of an order to its lines, with units and room held for each: the middle of `control/order.py`'s one transaction.

All that is new in an order is reserved with one draw on the quota, so a refusal speaks of the whole order and names its numbers.
"""

import collections
import dataclasses
import datetime
from collections.abc import Mapping, Sequence
from typing import Any, Final

from control import app_plan, encumbrance, plan, settings
from metering import service as metering
from orders import model
from orders import service as orders
from pools import choice as pools_choice
from pools import service as pools
from primitives import clock, errors, ids
from provisioners import changes, contract
from provisioners import faults as provisioners_faults
from provisioners import lease as provisioners_lease
from provisioners import model as provisioners_model
from provisioners import rules as provisioners_rules
from provisioners import service as provisioners
from quotas import guard as quotas_guard
from quotas import service as quotas
from store.transaction import Transaction
from templates import catalog
from tenants import model as tenants_model

LINES_MAX: Final = 100
"""Resources that one order may touch."""
EXTEND: Final = "extend"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LineWish:
    """One line as the requester wrote it."""

    action: str
    kind: str
    resource: str = ""  # id or name of an existing resource; '' for create
    count: int = 1
    zone: str = ""
    service_class: str = ""
    pool: str = ""
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    protected: bool = False
    purge: bool = False  # a delete that passes the recycle bin by
    end_at: str = ""  # of a create or an extension: a day, a moment, or 'none'; '' = not said
    wish: plan.Wish = dataclasses.field(default_factory=plan.Wish)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Where the order stands: resolved once."""

    tenant: tenants_model.Tenant
    project: tenants_model.Project
    at: datetime.datetime
    bin_days: int
    protection_rule: str = settings.PROTECTION_RULE


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _New:
    """One resource to be, before anything is held for it."""

    wish: LineWish
    id: str
    name: str
    amounts: dict[str, int]
    driver: dict[str, Any]


def hold(tx: Transaction, ground: Ground, wishes: Sequence[LineWish]) -> list[model.Line]:
    """The lines that the wishes come to, in their order, with quota and room held for each.  Raises whatever does not fit."""
    for wish in wishes:
        _check(wish)
    for kind, zone, service_class, pool in dict.fromkeys(
        (wish.kind, wish.zone, wish.service_class, wish.pool) for wish in wishes if wish.action == "create"
    ):
        pools.refuse_lower(tx, _level(ground), kind=kind, zone=zone, service_class=service_class, pool=pool)
    touched = sum(wish.count if wish.action == "create" else 1 for wish in wishes)
    if touched > LINES_MAX:
        raise errors.INVALID(field="lines", reason=f"{touched} resources in one order; at most {LINES_MAX}")
    planned = [_planned(tx, ground, wish) if wish.action == "create" else [] for wish in wishes]
    fresh = [new for several in planned for new in several]
    if fresh:
        _once(ground, fresh)
        _reserve(tx, ground, fresh)
    lines: list[model.Line] = []
    for wish, several in zip(wishes, planned, strict=True):
        lines += [_placed(tx, ground, new) for new in several] if wish.action == "create" else [_held_change(tx, ground, wish)]
    for resource_id, count in collections.Counter(line.resource_id for line in lines).items():
        if count > 1:
            raise errors.INVALID(field="lines", reason=f"{resource_id} stands in {count} of them; it may stand in one")
    lines = encumbrance.hold(tx, ground.tenant.id, lines)
    return [dataclasses.replace(line, position=position) for position, line in enumerate(lines, 1)]


def give_back(tx: Transaction, lines: Sequence[model.Line]) -> None:
    """Release what a waiting order held: nothing was ever sent to a cloud for it."""
    for line in lines:
        if line.action == "create":
            quotas.release(tx, holder=line.resource_id)
            pools.release(tx, holder=line.resource_id)
            encumbrance.free(tx, [line.resource_id], used=False)
        elif line.spec["amounts"] != line.spec["before"] or line.spec.get("surge") or line.action == EXTEND:
            _hold_as_it_is(tx, provisioners.get(tx, line.resource_id))


def _hold_as_it_is(tx: Transaction, resource: provisioners_model.Resource) -> None:
    """What a resource needs by itself; nothing if it ended, whoever ended it gave all back."""
    if resource.ended:
        return
    before = resource.before
    needed = provisioners_rules.held(resource.amounts, before.amounts if before else {}, before.surge if before else {})
    quotas.change(tx, holder=resource.id, amounts=needed)
    pools.change(tx, holder=resource.id, amounts=plan.physical(needed))
    encumbrance.as_it_is(tx, resource)


def longer(line: model.Line) -> bool:
    """Whether an extension keeps its resource for longer than it was to stay; one without an end stays for ever."""
    end, before = line.spec.get("end_at"), line.spec.get("end_before")
    return line.action == EXTEND and before is not None and (end is None or clock.parse(end) > clock.parse(before))


def _check(wish: LineWish) -> None:
    known = plan.ACTIONS.get(wish.kind)
    if known is None:
        raise errors.INVALID(field="kind", reason=f"{wish.kind!r} is none of {', '.join(plan.ACTIONS)}")
    if wish.action not in known:
        raise provisioners_faults.ACTION_UNKNOWN(kind=wish.kind, action=wish.action, known=", ".join(known))
    if wish.end_at and wish.action not in ("create", EXTEND):
        raise errors.INVALID(field="end_at", reason=f"{wish.action} takes no end; 'extend' alters it")
    if wish.action == EXTEND and not wish.end_at:
        raise errors.INVALID(field="end_at", reason="an extension needs a day, a moment or 'none'")


def _planned(tx: Transaction, ground: Ground, wish: LineWish) -> list[_New]:
    if not wish.wish.name:
        raise errors.INVALID(field="name", reason="is needed here")
    amounts, driver = plan.created(wish.kind, wish.wish, catalog)
    names = plan.numbered(wish.wish.name, wish.count)
    taken = provisioners.taken(tx, project_id=ground.project.id, kind=wish.kind, names=names)
    if taken:
        raise provisioners_faults.NAME_TAKEN(project=ground.project.code, kind=wish.kind, name=taken[0])
    return [_New(wish=wish, id=ids.new(plan.PREFIX[wish.kind]), name=name, amounts=amounts, driver=driver) for name in names]


def _reserve(tx: Transaction, ground: Ground, fresh: Sequence[_New]) -> None:
    """Units of all that is new, with one draw.  A refusal says also whether the money would not suffice either."""
    try:
        quotas.reserve_each(tx, tenant_id=ground.tenant.id, amounts_of={new.id: new.amounts for new in fresh}, expires_at=None)
    except quotas_guard.Exceeded as refused:

        def hold_money() -> None:
            encumbrance.hold(tx, ground.tenant.id, [_placed(tx, ground, new) for new in fresh])

        raise encumbrance.also(refused, hold_money) from refused


def _once(ground: Ground, fresh: Sequence[_New]) -> None:
    counts = collections.Counter((new.wish.kind, new.name) for new in fresh)
    for (kind, name), count in counts.items():
        if count > 1:
            raise provisioners_faults.NAME_TAKEN(project=ground.project.code, kind=kind, name=name)


def _placed(tx: Transaction, ground: Ground, new: _New) -> model.Line:
    wish, room = new.wish, plan.physical(new.amounts)
    place = pools.choose(
        tx,
        kind=wish.kind,
        zone=wish.zone,
        service_class=wish.service_class,
        protection_level=ground.tenant.protection_level,
        amounts=room,
        pool=wish.pool,
    )
    pools.hold(tx, pool_id=place.pool_id, zone=place.zone, service_class=place.service_class, amounts=room, holder=new.id)
    price = metering.monthly_price(
        tx,
        tenant_id=ground.tenant.id,
        kind=wish.kind,
        amounts=new.amounts,
        dimensions={"pool": place.code, "zone": place.zone, "class": place.service_class},
        at=ground.at,
    )
    planned = {
        "amounts": new.amounts,
        "before": {},
        "driver": new.driver,
        "pool_id": place.pool_id,
        "pool": place.code,
        "zone": place.zone,
        "service_class": place.service_class,
        "labels": dict(wish.labels),
        "protected": wish.protected,
        "monthly_micro": price.monthly_micro,
        "end_at": _end_text(provisioners_lease.end_at(wish.end_at, ground.at)) if wish.end_at else None,
    }
    return model.Line(position=0, action="create", kind=wish.kind, resource_id=new.id, name=new.name, spec=planned)


def _held_change(tx: Transaction, ground: Ground, wish: LineWish) -> model.Line:
    resource = _resource(tx, ground, wish)
    planned: dict[str, Any] = {"amounts": dict(resource.amounts), "before": dict(resource.amounts), "monthly_micro": 0}
    planned["bin_days"] = 0 if wish.purge else ground.bin_days
    if wish.action == EXTEND:
        planned |= _extension(tx, ground, wish, resource)
    elif wish.action == plan.CHANGING[wish.kind]:
        planned |= _resized(tx, ground, wish, resource)
    elif wish.kind == plan.CONTAINER_APP and wish.action in plan.ROLLING:
        planned |= _rolled(tx, ground, wish, resource)
    return model.Line(position=0, action=wish.action, kind=wish.kind, resource_id=resource.id, name=resource.name, spec=planned)


def _resized(tx: Transaction, ground: Ground, wish: LineWish, resource: provisioners_model.Resource) -> dict[str, Any]:
    """The plan of another size, held as the greater of both by name: only what it raises is asked for."""
    _could_be_done(ground, wish, resource)
    amounts, spec = plan.changed(wish.kind, wish.wish, resource.spec, catalog)
    if (amounts, {**resource.spec, **spec}) == (dict(resource.amounts), dict(resource.spec)):
        raise provisioners_faults.UNCHANGED(name=resource.name, action=wish.action, resource=resource.id)
    orders.nothing_waits(tx, resource_id=resource.id)
    if any(amount > resource.amounts.get(name, 0) for name, amount in amounts.items()):
        pools.refuse_lower(tx, _level(ground), kind=wish.kind, pool=resource.pool)
    dimensions = {"pool": resource.pool, "zone": resource.zone, "class": resource.service_class}
    price = [
        metering.monthly_price(
            tx, tenant_id=ground.tenant.id, kind=wish.kind, amounts=each, dimensions=dimensions, at=ground.at
        ).monthly_micro
        for each in (amounts, dict(resource.amounts))
    ]
    held = provisioners_rules.held(amounts, resource.amounts)
    try:
        quotas.change(tx, holder=resource.id, amounts=held)
    except quotas_guard.Exceeded as refused:
        raise encumbrance.also(refused, lambda: encumbrance.hold_price(tx, resource, price[0])) from refused
    pools.change(tx, holder=resource.id, amounts=plan.physical(held))
    encumbered = encumbrance.hold_price(tx, resource, price[0])
    return {"amounts": amounts, "driver": spec, "monthly_micro": price[0] - price[1], **encumbered}


def _rolled(tx: Transaction, ground: Ground, wish: LineWish, resource: provisioners_model.Resource) -> dict[str, Any]:
    """The plan of an update or a rolling restart: what it adds for a while is held from now on, and given back when it has ended.

    It has no price, and an app that stands still replaces nothing.  Raises resource.surge, with the way to do without.
    """
    _could_be_done(ground, wish, resource)
    spec = plan.replaced(wish.action, wish.wish, resource.spec, catalog)
    if wish.action == "update" and spec == dict(resource.spec):
        raise provisioners_faults.UNCHANGED(name=resource.name, action=wish.action, resource=resource.id)
    running = resource.power is contract.State.RUNNING
    surge = app_plan.surge(spec, resource.amounts) if running else {}
    if surge:
        orders.nothing_waits(tx, resource_id=resource.id)
        held = provisioners_rules.held(resource.amounts, {}, surge)
        try:
            quotas.change(tx, holder=resource.id, amounts=held)
            pools.change(tx, holder=resource.id, amounts=plan.physical(held))
        except errors.GovpoolError as refused:
            if refused.fault.kind is not errors.Kind.QUOTA:
                raise
            raise provisioners_faults.SURGE(
                name=resource.name,
                action=wish.action,
                number=surge["pods"],
                amounts=", ".join(f"{name} {amount}" for name, amount in sorted(surge.items())),
                why={lang: refused.text(lang) for lang in ("en", "zh")},
                cause=refused.code,
                surge=surge,
            ) from refused
    return {"driver": spec, "surge": surge}


def _could_be_done(ground: Ground, wish: LineWish, resource: provisioners_model.Resource) -> None:
    """Raises unless the change could begin now."""
    changes.changed(resource, wish.action, spec={}, amounts=None, order_id="", now=ground.at)


def _level(ground: Ground) -> pools_choice.Level:
    return pools_choice.Level(
        tenant=ground.tenant.code, protection_level=ground.tenant.protection_level, rule=ground.protection_rule
    )


def _extension(tx: Transaction, ground: Ground, wish: LineWish, resource: provisioners_model.Resource) -> dict[str, Any]:
    """The plan of another end.  A longer stay weighs, for approval, the whole price a month (`kept_micro`) and the amounts that it keeps."""
    end_at = provisioners_lease.end_at(wish.end_at, ground.at)
    if end_at == resource.end_at:
        raise errors.INVALID(field="end_at", reason=f"{resource.name} ends then already")
    changes.extended(resource, end_at, order_id="", now=ground.at)  # raises unless it could be done now
    orders.nothing_waits(tx, resource_id=resource.id)
    dimensions = {"pool": resource.pool, "zone": resource.zone, "class": resource.service_class}
    price = metering.monthly_price(
        tx, tenant_id=ground.tenant.id, kind=wish.kind, amounts=dict(resource.amounts), dimensions=dimensions, at=ground.at
    )
    return {
        "end_at": _end_text(end_at),
        "end_before": _end_text(resource.end_at),
        "kept_micro": price.monthly_micro,
        **encumbrance.hold_end(tx, resource, end_at),
        "pool": resource.pool,
        "zone": resource.zone,
        "service_class": resource.service_class,
    }


def _end_text(at: datetime.datetime | None) -> str | None:
    return None if at is None else clock.text(at)


def _resource(tx: Transaction, ground: Ground, wish: LineWish) -> provisioners_model.Resource:
    """The living resource of an id or name in the order's project.  Raises resource.unknown."""
    found: provisioners_model.Resource | None = (
        provisioners.get(tx, wish.resource)
        if ids.kind_of(wish.resource)
        else provisioners.find(tx, project_id=ground.project.id, kind=wish.kind, name=wish.resource)
    )
    if found is None or (found.project_id, found.kind) != (ground.project.id, wish.kind):
        raise provisioners_faults.UNKNOWN(resource=wish.resource)
    return found
