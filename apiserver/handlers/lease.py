"""Leases: which resources end, and when.  Setting and moving an end is an order."""

from typing import Annotated, Any

import msgspec

from apiserver import page, route
from control import lease
from primitives import clock
from store.transaction import Transaction

_Short = Annotated[str, msgspec.Meta(max_length=63)]


class LeaseQuery(page.Query, kw_only=True):
    """Filters of the list."""

    tenant: Annotated[_Short, msgspec.Meta(description="with all below it")] = ""
    project: Annotated[_Short, msgspec.Meta(description="of the tenant")] = ""
    within_days: Annotated[int, msgspec.Meta(ge=0, le=4000, description="only what ends so soon, or has ended")] | None = None
    ended: Annotated[bool, msgspec.Meta(description="only what has ended")] = False


class Lease(msgspec.Struct, kw_only=True):
    """The lease of a resource as a document; its id is the resource's."""

    apiVersion: str
    kind: str
    metadata: dict[str, Any]
    spec: dict[str, Any]
    status: dict[str, Any]


def list_leases(tx: Transaction, call: route.Call) -> Any:
    """Living resources with an end, the soonest first."""
    asked = call.query
    query = lease.Query(tenant=asked.tenant, project=asked.project, within_days=asked.within_days, ended=asked.ended)
    key = page.after(call, int, str)
    rows = lease.list_leases(
        tx, call.who, query, lease.policy(call.wiring.settings), after=(key[0], key[1]) if key else None, limit=asked.limit + 1
    )
    return page.of(rows, call, lambda row: [clock.to_us(clock.parse(row["spec"]["end_at"])), row["metadata"]["id"]])


def show(tx: Transaction, call: route.Call) -> Any:
    """The lease of one resource: its end, the next notice, when it goes into the recycle bin."""
    return lease.show(tx, call.who, call.path["resource"], lease.policy(call.wiring.settings))


ROUTES = [
    route.read("GET", "/v1/leases", "lease.list", list_leases, query=LeaseQuery, answer=page.Page[Lease]),
    route.read("GET", "/v1/leases/{resource}", "lease.show", show, answer=Lease),
]
