"""Orders: submit, look, decide."""

from typing import Annotated, Any

import msgspec

from apiserver import page, route
from control import case, order, order_view, plan, reservation
from orders import model
from store.transaction import Transaction

_Word = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
_Code = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
_Short = Annotated[str, msgspec.Meta(max_length=63)]
_Reason = Annotated[str, msgspec.Meta(max_length=500)]
_Label = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]


class LineSpec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a line makes or changes, in the words of the catalogue; what its kind does not have stays out."""

    name: _Short = ""
    count: Annotated[int, msgspec.Meta(ge=1, le=100, description="equal things: web-1, web-2, ...")] = 1
    size: Annotated[_Short, msgspec.Meta(description="of the catalogue")] = ""
    image: Annotated[_Short, msgspec.Meta(description="of the catalogue")] = ""
    key: Annotated[str, msgspec.Meta(max_length=3000, description="OpenSSH public key")] = ""
    size_gib: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    disk_class: _Short = ""
    replicas: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
    min_replicas: (
        Annotated[
            int, msgspec.Meta(ge=1, le=1000, description="with max_replicas: the cloud chooses within them; the maximum is counted")
        ]
        | None
    ) = None
    max_replicas: Annotated[int, msgspec.Meta(ge=1, le=1000)] | None = None
    target_cpu_percent: Annotated[int, msgspec.Meta(ge=1, le=100, description="of the CPU asked for, that it keeps to")] | None = (
        None
    )
    max_surge: Annotated[
        str, msgspec.Meta(max_length=8, description="replicas more while they are replaced, '1' or '25%'; counted before it starts")
    ] = ""
    max_unavailable: Annotated[str, msgspec.Meta(max_length=8, description="replicas fewer meanwhile, likewise")] = ""
    zone: _Short = ""
    service_class: _Short = ""
    pool: _Short = ""
    labels: Annotated[dict[_Label, _Short], msgspec.Meta(max_length=32)] = {}
    protected: Annotated[bool, msgspec.Meta(description="refuse deletion until this is taken off")] = False
    end_at: Annotated[
        str, msgspec.Meta(max_length=40, description="of create and extend: 2026-12-31 (to its end), a moment, or none")
    ] = ""
    purge: Annotated[bool, msgspec.Meta(description="of a delete: do not keep it in the recycle bin")] = False


class Line(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One wish: an action on a new or an existing resource."""

    action: Annotated[
        _Word, msgspec.Meta(description="create, resize, scale, update, start, stop, restart, delete, undelete, extend, move")
    ]
    kind: Annotated[_Word, msgspec.Meta(description="VirtualMachine, Volume or ContainerApp; Project to move one whole")]
    resource: Annotated[_Short, msgspec.Meta(description="id or name of an existing resource")] | None = None
    spec: LineSpec = msgspec.field(default_factory=LineSpec)


class NewOrder(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """An order of a project: all of it or nothing."""

    tenant: _Code
    project: _Code
    lines: Annotated[list[Line], msgspec.Meta(min_length=1, max_length=100)]
    reason: _Reason = ""
    document_no: Annotated[_Short, msgspec.Meta(description="number of the document that it rests on")] = ""
    to: Annotated[
        str, msgspec.Meta(max_length=127, description="of lines that move: TENANT or TENANT/PROJECT, whose approver decides")
    ] = ""


class Decision(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Why, and on which document."""

    reason: _Reason = ""
    document_no: _Short = ""


class Refusal(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A no needs a reason."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    document_no: _Short = ""


class OrderQuery(page.Query, kw_only=True):
    """Filters of the list."""

    tenant: _Short = ""
    state: Annotated[_Short, msgspec.Meta(description="waiting_for_approval, delivering, delivered, ...")] = ""


class Order(msgspec.Struct, kw_only=True):
    """An order as a document."""

    apiVersion: str
    kind: str
    metadata: dict[str, Any]
    spec: dict[str, Any]
    status: dict[str, Any]


def submit(call: route.Call) -> case.UseCase:
    """Order something.  It is refused whole or accepted whole; with `dry_run` it says price, quota after and approvals needed."""
    body: NewOrder = call.body
    wish = order.OrderWish(
        tenant=body.tenant,
        project=body.project,
        lines=[_wished(line) for line in body.lines],
        reason=body.reason,
        document_no=body.document_no,
        to=body.to,
        dry_run=call.dry_run,
    )
    settings = call.wiring.settings
    return order.submit(wish, bin_days=settings.recycle_days, protection_rule=settings.protection_rule)


def list_orders(tx: Transaction, call: route.Call) -> Any:
    """Orders, newest first."""
    before = page.after(call, int)
    rows = order_view.list_orders(
        tx,
        call.who,
        tenant=call.query.tenant,
        state=call.query.state,
        before=before[0] if before else None,
        limit=call.query.limit + 1,
    )
    return page.of(rows, call, lambda row: [int(row["metadata"]["name"])])


def show(tx: Transaction, call: route.Call) -> Any:
    """One order, by number or id."""
    return order_view.show(tx, call.who, call.path["order"])


def approve(call: route.Call) -> case.UseCase:
    """Say yes to a waiting order; nobody approves his own."""
    return _decided(call, model.Verdict.APPROVED)


def refuse(call: route.Call) -> case.UseCase:
    """Say no to a waiting order."""
    return _decided(call, model.Verdict.REFUSED)


def withdraw(call: route.Call) -> case.UseCase:
    """Take a waiting order back."""
    return _decided(call, model.Verdict.WITHDRAWN)


def _decided(call: route.Call, verdict: model.Verdict) -> case.UseCase:
    return order.decide(
        call.path["order"],
        verdict,
        reason=call.body.reason,
        document_no=call.body.document_no,
        protection_rule=call.wiring.settings.protection_rule,
    )


def _wished(line: Line) -> reservation.LineWish:
    spec = line.spec
    return reservation.LineWish(
        action=line.action,
        kind=line.kind,
        resource=line.resource or "",
        count=spec.count,
        zone=spec.zone,
        service_class=spec.service_class,
        pool=spec.pool,
        purge=spec.purge,
        labels=spec.labels,
        protected=spec.protected,
        end_at=spec.end_at,
        wish=plan.Wish(
            name=spec.name,
            size=spec.size,
            image=spec.image,
            key=spec.key,
            size_gib=spec.size_gib,
            disk_class=spec.disk_class,
            replicas=spec.replicas,
            port=spec.port,
            min_replicas=spec.min_replicas,
            max_replicas=spec.max_replicas,
            target_cpu_percent=spec.target_cpu_percent,
            max_surge=spec.max_surge,
            max_unavailable=spec.max_unavailable,
        ),
    )


ROUTES = [
    route.change("POST", "/v1/orders", "order.submit", submit, body=NewOrder, answer=Order, status=202),
    route.read("GET", "/v1/orders", "order.list", list_orders, query=OrderQuery, answer=page.Page[Order]),
    route.read("GET", "/v1/orders/{order}", "order.show", show, answer=Order),
    route.change("POST", "/v1/orders/{order}/approve", "order.approve", approve, body=Decision, answer=Order),
    route.change("POST", "/v1/orders/{order}/refuse", "order.refuse", refuse, body=Refusal, answer=Order),
    route.change("POST", "/v1/orders/{order}/withdraw", "order.withdraw", withdraw, body=Decision, answer=Order),
]
