"""Pools: set, pause, resume; show with granted, reserved, physical and used in one table; hosts; the document kind Pool."""

from typing import Annotated, Any, Final

import msgspec

from control import access, case, document, protection
from control.wiring import Wiring
from pools import faults, model
from pools import service as pools
from primitives import errors
from provisioners import registry
from quotas import service as quotas
from store.transaction import Transaction
from tenants import faults as tenants_faults
from tenants import model as tenants_model
from tenants import service as tenants

CODE: Final = r"^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"
Label = Annotated[str, msgspec.Meta(min_length=1, max_length=63, pattern=r"^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$")]
Labels = Annotated[list[Label], msgspec.Meta(max_length=64)]
Setting = Annotated[str, msgspec.Meta(max_length=1000)] | Annotated[int, msgspec.Meta(ge=-(10**15), le=10**15)] | bool


class Spec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A pool as a document says it.  Credentials are never values here: settings name the files that hold them."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    driver: Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
    driver_settings: Annotated[
        dict[Annotated[str, msgspec.Meta(min_length=1, max_length=63)], Setting], msgspec.Meta(max_length=64)
    ] = {}
    zones: Annotated[Labels, msgspec.Meta(description="only hosts in these zones; empty: all")] = []
    service_classes: Annotated[Labels, msgspec.Meta(description="only hosts of these classes; empty: all")] = []
    halls: Labels = []
    protection_level: Annotated[
        int, msgspec.Meta(ge=1, le=4, description="graded protection: tenants up to this level may be placed here")
    ] = 2
    overcommit_permille: Annotated[
        dict[Annotated[str, msgspec.Meta(min_length=1, max_length=63)], Annotated[int, msgspec.Meta(ge=1, le=64000)]],
        msgspec.Meta(max_length=64, description="most that the cloud may promise of a name, 1500 = 1.5 times; else what it allows"),
    ] = {}


def create_pool(code: str, spec: Spec) -> case.UseCase:
    """Make a pool; it takes resources once its hosts are known."""
    return _set(code, spec, "pool.create", None, may_exist=False)


def set_pool(code: str, spec: Spec, *, if_match: int | None = None) -> case.UseCase:
    """Make a pool be as the spec says; an equal one stays untouched.  What is in it stays."""
    return _set(code, spec, "pool.set", if_match, may_exist=True)


def pause_pool(code: str) -> case.UseCase:
    """Place nothing new into a pool; what is in it goes on."""
    return _paused(code, "pause", True)


def resume_pool(code: str) -> case.UseCase:
    """Place into a pool again."""
    return _paused(code, "resume", False)


def list_pools(tx: Transaction, who: tenants_model.Principal) -> list[dict[str, Any]]:
    """All pools by code, as far as `who` may see them."""
    access.require(tx, who, "list", "pool", tenant_id=None)
    inside = _sees_inside(tx, who)
    return [_document(pool, inside=inside) for pool in pools.pools(tx)]


def show_pool(tx: Transaction, who: tenants_model.Principal, code: str) -> dict[str, Any]:
    """One pool with its room in each place: physical, capacity, granted, reserved, held, free, used.

    `granted` is what the tenants directly below the root are granted of a name in all; grants are not made per pool.  Departments see what is free:
    the rest would tell of other departments.
    """
    access.require(tx, who, "show", "pool", tenant_id=None)
    pool = pools.by_code(tx, code)
    inside = _sees_inside(tx, who)
    made = _document(pool, inside=inside)
    rooms = pools.rooms(tx, pool_id=pool.id)
    granted = quotas.promised(tx, tenant_id=tenants.root(tx).id) if inside else {}
    reserved = pools.reserved(tx, pool_id=pool.id) if inside else {}
    made["status"]["rooms"] = [
        {"zone": room.zone, "class": room.service_class, "name": room.name, "free": room.free}
        | (
            {
                "physical": room.physical,
                "capacity": room.capacity,
                "granted": granted.get(room.name, 0),
                "reserved": reserved.get((room.zone, room.service_class, room.name), 0),
                "held": room.held,
                "used": room.used,
                "over_by": room.over_by,
            }
            if inside
            else {}
        )
        for room in rooms
    ]
    return made


def list_hosts(tx: Transaction, who: tenants_model.Principal, *, pool: str = "") -> list[dict[str, Any]]:
    """Hosts as the clouds last reported them, with the largest block that still fits on each."""
    access.require(tx, who, "list", "host", tenant_id=None)
    codes = {each.id: each.code for each in pools.pools(tx)}
    pool_id = pools.by_code(tx, pool).id if pool else None
    return [
        {
            "pool": codes[host.pool_id],
            "name": host.name,
            "zone": host.zone,
            "class": host.service_class,
            "hall": host.hall,
            "enabled": host.enabled,
            "physical": dict(host.physical),
            "overcommit_permille": {name: host.overcommit_permille(name) for name in host.physical},
            "used": dict(host.used),
            "free": host.free,
        }
        for host in pools.hosts(tx, pool_id=pool_id)
    ]


def look(code: str, wiring: Wiring) -> None:
    """Ask the cloud of a pool for its hosts and record them, so that a new pool need not wait for the next sweep.

    For a worker thread.  Raises what the driver raises.
    """
    pool = wiring.database.read(lambda tx: pools.by_code(tx, code))
    hosts = wiring.driver(pool.driver, pool.driver_settings).capacity().hosts
    wiring.database.lane.run(lambda tx: pools.record_capacity(tx, pool_id=pool.id, hosts=hosts))


def _set(code: str, spec: Spec, action: str, if_match: int | None, *, may_exist: bool) -> case.UseCase:
    def effect(tx: Transaction, who: tenants_model.Principal, permit: tenants_model.Permit) -> case.Answer:
        try:
            msgspec.convert(code, Annotated[str, msgspec.Meta(pattern=CODE, max_length=63)])
        except msgspec.ValidationError as error:
            raise errors.INVALID(field="name", reason="a code has lower-case letters, digits and inner hyphens") from error
        before = pools.find_code(tx, code)
        access.matches(if_match, before.generation if before else 0, kind="pool", name=code)
        if before is not None and not may_exist:
            raise faults.TAKEN(pool=code)
        wanted = _wanted(spec)
        kinds = registry.driver(spec.driver, spec.driver_settings).kinds
        if before is None:
            after = pools.create(tx, code=code, spec=wanted, kinds=kinds)
        elif before.spec == wanted and before.kinds == tuple(sorted(kinds)):
            after = before
        else:
            after = pools.update(tx, before, spec=wanted, kinds=kinds)
        answer = _answer(before, after)
        answer.body["status"].update(protection.lowered(tx, before, after))
        return answer

    return case.UseCase(action=action, permit=_asked("set"), effect=effect)


def _paused(code: str, verb: str, paused: bool) -> case.UseCase:
    def effect(tx: Transaction, who: tenants_model.Principal, permit: tenants_model.Permit) -> case.Answer:
        before = pools.by_code(tx, code)
        return _answer(before, before if before.paused == paused else pools.set_paused(tx, before, paused))

    return case.UseCase(action=f"pool.{verb}", permit=_asked(verb), effect=effect)


def _sees_inside(tx: Transaction, who: tenants_model.Principal) -> bool:
    """Whether `who` may see how a pool is built and who fills it: whoever may list its hosts."""
    try:
        access.require(tx, who, "list", "host", tenant_id=None)
    except errors.GovpoolError as error:
        if error.fault is not tenants_faults.FORBIDDEN:
            raise
        return False
    return True


def _asked(verb: str) -> case.Permit:
    return lambda tx, who: access.require(tx, who, verb, "pool", tenant_id=None)


def _wanted(spec: Spec) -> model.PoolSpec:
    return model.PoolSpec(
        name=spec.name,
        driver=spec.driver,
        driver_settings=spec.driver_settings,
        zones=tuple(spec.zones),
        service_classes=tuple(spec.service_classes),
        halls=tuple(spec.halls),
        protection_level=spec.protection_level,
        overcommit_permille=spec.overcommit_permille,
    )


def _answer(before: model.Pool | None, after: model.Pool) -> case.Answer:
    return case.Answer(
        status=200 if before else 201,
        body=_document(after),
        kind="pool",
        object_id=after.id,
        generation=after.generation,
        before=None if before is None else _facts(before),
        after=_facts(after),
    )


def _facts(pool: model.Pool) -> dict[str, Any]:
    return _document(pool)["spec"] | {"paused": pool.paused}  # type: ignore[no-any-return]


def _document(pool: model.Pool, *, inside: bool = True) -> dict[str, Any]:
    return {
        "apiVersion": document.API_VERSION,
        "kind": "Pool",
        "metadata": {"name": pool.code, "id": pool.id, "generation": pool.generation},
        "spec": {
            "name": pool.name,
            "driver": pool.driver,
            "driver_settings": dict(pool.driver_settings) if inside else {},
            "zones": list(pool.zones),
            "service_classes": list(pool.service_classes),
            "halls": list(pool.halls),
            "protection_level": pool.protection_level,
            "overcommit_permille": dict(pool.overcommit_permille),
        },
        "status": {"paused": pool.paused, "kinds": list(pool.kinds)},
    }


document.register("Pool", Spec, lambda one: set_pool(one.metadata.name, one.spec, if_match=one.metadata.generation))
