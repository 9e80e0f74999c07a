"""Everything that belongs to a tenant, as JSON lines: what a department takes along when it leaves.

Each line is {"kind", "value"}.  Rooms are joined here; secrets (tokens, codes) are not part of it, personal data of its members is.
Statements and usage come from `statement export` and `usage list`, which go by months.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from audit import service as audit
from control import access, member, order_view, project, tenant
from orders import records as orders
from primitives import canonical
from provisioners import service as provisioners
from provisioners.records import resources
from quotas import service as quotas
from store.transaction import Transaction
from tenants import model

AUDIT_MAX: Final = 100_000
"""Newest lines of the trail in one export; the rest through `audit export`."""

PAGE: Final = 500

Part = Callable[[Transaction, model.Principal, model.Tenant], Iterator[tuple[str, Any]]]


def export_tenant(tx: Transaction, who: model.Principal, code: str) -> bytes:
    """The export of one tenant (not of those below it) as UTF-8 JSON lines."""
    found = access.tenant(tx, who, code, "export", "tenant")[0]
    lines = (canonical.dumps({"kind": kind, "value": value}) for part in PARTS for kind, value in part(tx, who, found))
    return b"\n".join(lines) + b"\n"


def _tenant(tx: Transaction, who: model.Principal, found: model.Tenant) -> Iterator[tuple[str, Any]]:
    yield "Tenant", tenant.shown(tx, found)
    for fact in tenant.show_history(tx, who, found.code):
        yield "TenantFact", fact


def _projects(tx: Transaction, who: model.Principal, found: model.Tenant) -> Iterator[tuple[str, Any]]:
    for each in project.list_projects(tx, who, tenant=found.code):
        if each["metadata"]["tenant"] == found.code:
            yield "Project", each


def _members(tx: Transaction, who: model.Principal, found: model.Tenant) -> Iterator[tuple[str, Any]]:
    for each in member.list_members(tx, who, found.code):
        yield "Member", each


def _grants(tx: Transaction, _: model.Principal, found: model.Tenant) -> Iterator[tuple[str, Any]]:
    for each in quotas.standings(tx, tenant_id=found.id):
        yield "Grant", {"name": each.name, "granted": each.granted, "drawn": each.drawn, "generation": each.generation}


def _orders(tx: Transaction, _: model.Principal, found: model.Tenant) -> Iterator[tuple[str, Any]]:
    before: int | None = None
    while page := orders.listed(tx, tenant_ids=[found.id], state="", before=before, limit=PAGE):
        for each in order_view.documents(tx, page):
            yield "Order", each
        before = page[-1].number


def _resources(tx: Transaction, _: model.Principal, found: model.Tenant) -> Iterator[tuple[str, Any]]:
    ever, after = resources.Filter(tenant_ids=[found.id], living_only=False), ""
    while page := provisioners.listed(tx, ever, after=after, limit=PAGE):
        for each in page:
            value = {name: getattr(each, name) for name in ("id", "kind", "name", "project", "pool", "zone", "service_class")}
            yield "Resource", {**value, "amounts": dict(each.amounts), "labels": dict(each.labels), "state": str(each.state)}
        after = page[-1].id


def _trail(tx: Transaction, _: model.Principal, found: model.Tenant) -> Iterator[tuple[str, Any]]:
    for line in audit.find(tx, tenant_ids=[found.id], limit=AUDIT_MAX):
        yield "AuditLine", line


PARTS: Final[list[Part]] = [_tenant, _projects, _members, _grants, _orders, _resources, _trail]
"""What an export is made of, in its order."""
