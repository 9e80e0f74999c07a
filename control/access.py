"""Who may do what, as the use cases ask it: thin words over `tenants.service`, and the If-Match check."""

from typing import Final

from primitives import errors
from store.transaction import Transaction
from tenants import faults as tenants_faults
from tenants import model as tenants_model
from tenants import service as tenants

STALE: Final = errors.Fault(
    "object.stale",
    errors.Kind.STALE,
    en="{kind} {name} is at generation {generation} now; the request was made for {if_match}",
    zh="{kind} {name} 当前版本为 {generation}，请求针对的是版本 {if_match}",
    mend_en="read it again, then repeat the change with the new generation",
    mend_zh="请重新读取后以新版本再提交",
)

require = tenants.require
own = tenants.own
scope = tenants.scope


def tenant(
    tx: Transaction, who: tenants_model.Principal, code: str, verb: str, kind: str
) -> tuple[tenants_model.Tenant, tenants_model.Permit]:
    """The tenant of a code and the permit of `who` there.  A stranger gets the same 404 as for an unknown code."""
    found = tenants.by_code(tx, code)
    try:
        return found, require(tx, who, verb, kind, tenant_id=found.id)
    except errors.GovpoolError as error:
        if error.fault is tenants_faults.UNKNOWN:  # what is unknown to him is the tenant, whatever he wanted there
            raise tenants_faults.UNKNOWN(kind="tenant") from error
        raise


def from_above(
    tx: Transaction, who: tenants_model.Principal, code: str, verb: str, *, kind: str, refused: errors.Fault
) -> tenants_model.Permit:
    """The permit of a role bound at a strict ancestor of a tenant (at the root, of one bound there).

    Whoever sees the tenant but stands below hears why not: `refused`, with tenant and parent.
    """
    owner, permit = tenant(tx, who, code, verb, kind)
    if not owner.parent_id:
        return permit
    try:
        require(tx, who, verb, kind, tenant_id=owner.parent_id)
    except errors.GovpoolError as error:
        if error.fault not in (tenants_faults.UNKNOWN, tenants_faults.FORBIDDEN):
            raise
        raise refused(tenant=code, parent=tenants.by_id(tx, owner.parent_id).code) from error
    return permit


def matches(if_match: int | None, generation: int, *, kind: str, name: str) -> None:
    """Raises object.stale unless the caller has seen this generation (None: he did not say)."""
    if if_match is not None and if_match != generation:
        raise STALE(kind=kind, name=name, generation=generation, if_match=if_match)
