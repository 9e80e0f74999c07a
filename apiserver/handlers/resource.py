"""Resources: look, find, retry, protect, write off; what lies in quarantine.  Making and changing them is an order."""

from typing import Annotated, Any

import msgspec

from apiserver import page, route
from control import case, resource
from store.transaction import Transaction

_Short = Annotated[str, msgspec.Meta(max_length=63)]
_Label = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]


class ResourceQuery(page.Query, kw_only=True):
    """Filters of the list."""

    tenant: Annotated[_Short, msgspec.Meta(description="with all below it")] = ""
    project: Annotated[_Short, msgspec.Meta(description="of the tenant")] = ""
    kind: Annotated[_Short, msgspec.Meta(description="VirtualMachine, Volume or ContainerApp")] = ""
    state: Annotated[_Short, msgspec.Meta(description="creating, running, stopped, changing, bin, releasing, lost ...")] = ""
    name: Annotated[str, msgspec.Meta(max_length=128)] = ""
    deleted: Annotated[bool, msgspec.Meta(description="only what lies in the recycle bin")] = False
    ended: Annotated[bool, msgspec.Meta(description="also what is gone, failed or written off")] = False
    stuck: Annotated[bool, msgspec.Meta(description="only what an operator should look at")] = False
    ending_within_days: Annotated[int, msgspec.Meta(ge=0, le=4000, description="only what ends so soon, or has ended")] | None = (
        None
    )


class FindQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is looked for."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=128, description="id, name or address, whole")]


class QuarantineQuery(page.Query, kw_only=True):
    """Filters of the quarantine."""

    origin: Annotated[_Short, msgspec.Meta(pattern="^(ours|foreign|all)$", description="ours, foreign or all")] = "ours"


class ResourcePatch(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What may be changed without an order; what is not said stays."""

    protected: bool | None = None
    labels: Annotated[dict[_Label, _Short], msgspec.Meta(max_length=32)] | None = None


class WriteOff(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Why it is given up."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class Nothing(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """No field."""


class Resource(msgspec.Struct, kw_only=True):
    """A resource as a document."""

    apiVersion: str
    kind: str
    metadata: dict[str, Any]
    spec: dict[str, Any]
    status: dict[str, Any]


class Item(msgspec.Struct, kw_only=True):
    """Something in a cloud that no resource accounts for."""

    id: str
    origin: str
    pool: str
    kind: str
    name: str
    tenant: str
    resource: str
    epoch: int
    amounts: dict[str, int]
    state: str
    why: str
    decision: str
    found_at: str
    seen_at: str


def list_resources(tx: Transaction, call: route.Call) -> Any:
    """Resources that the caller sees, by age."""
    asked = call.query
    query = resource.Query(
        tenant=asked.tenant,
        project=asked.project,
        kind=asked.kind,
        state=asked.state,
        name=asked.name,
        deleted=asked.deleted,
        ended=asked.ended,
        stuck=asked.stuck,
        ending_within_days=asked.ending_within_days,
    )
    after = page.after(call, str)
    rows = resource.list_resources(tx, call.who, query, after=after[0] if after else "", limit=asked.limit + 1)
    return page.of(rows, call, lambda row: [row["metadata"]["id"]])


def show(tx: Transaction, call: route.Call) -> Any:
    """One resource, with addresses and how to log in."""
    return resource.show(tx, call.who, call.path["resource"])


def find(tx: Transaction, call: route.Call) -> Any:
    """Resources of this id, name or address over all tenants that the caller operates."""
    return {"items": resource.find(tx, call.who, call.query.text), "next": None}


def update(call: route.Call) -> case.UseCase:
    """Deletion protection and labels."""
    body = call.body
    return resource.update(call.path["resource"], protected=body.protected, labels=body.labels, if_match=call.context.if_match)


def retry(call: route.Call) -> case.UseCase:
    """Try now what would be tried later; look for a lost one once more."""
    return resource.retry(call.path["resource"])


def write_off(call: route.Call) -> case.UseCase:
    """Give up a resource whose cloud is gone for good: the first person asks, another agrees."""
    return resource.write_off(call.path["resource"], call.body.reason)


def list_quarantine(tx: Transaction, call: route.Call) -> Any:
    """What carries our tag and is accounted for by no resource; what is foreign is only reported."""
    origin = "" if call.query.origin == "all" else call.query.origin
    return page.whole(resource.list_quarantine(tx, call.who, origin=origin), call, lambda row: [row["pool"], row["id"]])


def release_item(call: route.Call) -> case.UseCase:
    """Leave it alone: it stays in the cloud and is counted no more."""
    return resource.decide_item(call.path["item"], "release")


def delete_item(call: route.Call) -> case.UseCase:
    """Have it removed from the cloud."""
    return resource.decide_item(call.path["item"], "delete")


ROUTES = [
    route.read("GET", "/v1/resources", "resource.list", list_resources, query=ResourceQuery, answer=page.Page[Resource]),
    route.read("GET", "/v1/resource-finds", "resource.find", find, query=FindQuery, answer=page.Page[Resource]),
    route.read("GET", "/v1/resources/{resource}", "resource.show", show, answer=Resource),
    route.change("PATCH", "/v1/resources/{resource}", "resource.update", update, body=ResourcePatch, answer=Resource),
    route.change("POST", "/v1/resources/{resource}/retry", "resource.retry", retry, body=Nothing, answer=Resource),
    route.change("POST", "/v1/resources/{resource}/write-off", "resource.write_off", write_off, body=WriteOff, answer=Resource),
    route.read("GET", "/v1/quarantine", "quarantine.list", list_quarantine, query=QuarantineQuery, answer=page.Page[Item]),
    route.change("POST", "/v1/quarantine/{item}/release", "quarantine.release", release_item, body=Nothing, answer=Item),
    route.change("POST", "/v1/quarantine/{item}/delete", "quarantine.delete", delete_item, body=Nothing, answer=Item),
]
