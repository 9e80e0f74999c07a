"""Routes of pools and their hosts."""

from typing import Annotated, Any, Literal

import msgspec

from apiserver import page, route
from control import case, pool
from primitives import errors
from provisioners import contract

Code = Annotated[str, msgspec.Meta(min_length=1, max_length=63, pattern=pool.CODE)]


class NewPool(pool.Spec, kw_only=True):
    """A pool to be made."""

    code: Code


class HostQuery(page.Query, kw_only=True):
    """Filters of the list of hosts."""

    pool: Annotated[str, msgspec.Meta(max_length=63)] = ""


class Pool(msgspec.Struct, kw_only=True):
    """A pool as a document; `status.rooms` says what each zone and class has of each name."""

    apiVersion: str
    kind: Literal["Pool"]
    metadata: dict[str, Any]
    spec: dict[str, Any]
    status: dict[str, Any]


class Host(msgspec.Struct, kw_only=True):
    """A host as its cloud last reported it, in registry units; `free` is the largest block that still fits."""

    pool: str
    name: str
    zone: str
    class_: str = msgspec.field(name="class")
    hall: str
    enabled: bool
    physical: dict[str, int]
    overcommit_permille: dict[str, int]
    used: dict[str, int]
    free: dict[str, int]


def list_pools(tx: Any, call: route.Call) -> Any:
    """All pools by code."""
    return page.whole(pool.list_pools(tx, call.who), call, lambda row: [row["metadata"]["name"]])


def show_pool(tx: Any, call: route.Call) -> Any:
    """One pool with granted, reserved, physical and used of each place."""
    return pool.show_pool(tx, call.who, call.path["pool"])


def create_pool(call: route.Call) -> case.Answer:
    """Make a pool and look at its hosts at once; if its cloud does not answer, the next sweep does."""
    spec = msgspec.convert({name: getattr(call.body, name) for name in pool.Spec.__struct_fields__}, pool.Spec)
    answer = call.perform(pool.create_pool(call.body.code, spec))
    if not call.dry_run:
        _look(call, call.body.code)
    return answer


def set_pool(call: route.Call) -> case.UseCase:
    """Change the description of a pool; what is in it stays."""
    return pool.set_pool(call.path["pool"], call.body, if_match=call.context.if_match)


def pause_pool(call: route.Call) -> case.UseCase:
    """Place nothing new into a pool; what is in it goes on."""
    return pool.pause_pool(call.path["pool"])


def resume_pool(call: route.Call) -> case.UseCase:
    """Place into a pool again."""
    return pool.resume_pool(call.path["pool"])


def list_hosts(tx: Any, call: route.Call) -> Any:
    """Hosts of all pools, or of one."""
    rows = pool.list_hosts(tx, call.who, pool=call.query.pool)
    return page.whole(rows, call, lambda row: [row["pool"], row["name"]])


def _look(call: route.Call, code: str) -> None:
    try:
        pool.look(code, call.wiring)
    except (contract.DriverError, contract.AnswerLost, errors.GovpoolError):
        return  # the pool stands; the sweep says what is wrong with its cloud


ROUTES = [
    route.read("GET", "/v1/pools", "pool.list", list_pools, query=page.Query, answer=page.Page[Pool]),
    route.work("POST", "/v1/pools", "pool.create", create_pool, body=NewPool, answer=Pool, status=201),
    route.read("GET", "/v1/pools/{pool}", "pool.show", show_pool, answer=Pool),
    route.change("PUT", "/v1/pools/{pool}", "pool.set", set_pool, body=pool.Spec, answer=Pool, if_match=True),
    route.change("POST", "/v1/pools/{pool}/pause", "pool.pause", pause_pool, answer=Pool),
    route.change("POST", "/v1/pools/{pool}/resume", "pool.resume", resume_pool, answer=Pool),
    route.read("GET", "/v1/hosts", "host.list", list_hosts, query=HostQuery, answer=page.Page[Host]),
]
