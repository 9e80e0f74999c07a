"""Orders that only shrink: operations may submit them for a department, so that what was borrowed comes back; everything else is the department's.

Whoever may order there at all needs none of this.  The trail names the line that allowed it, `operator.order.shrink`.
"""

from collections.abc import Sequence
from typing import Final

from control import access, reservation
from orders import model
from primitives import errors
from store.transaction import Transaction
from tenants import faults as tenants_faults
from tenants import model as tenants_model

ACTIONS: Final = frozenset({"delete", "stop", "resize", "scale"})
VERB: Final = "shrink"
GROWS: Final = errors.Fault(
    "order.grows",
    errors.Kind.FORBIDDEN,
    en="{name} would grow in {amounts}; for another's department you may order only what shrinks",
    zh="{name} 的 {amounts} 将增大；代单位申请仅限缩减",
    mend_en="order less, or let somebody of the department order it: govpool role table",
    mend_zh="请减少申请量，或由该单位人员申请：govpool role table",
)


def permit(
    tx: Transaction, who: tenants_model.Principal, tenant: str, lines: Sequence[reservation.LineWish]
) -> tenants_model.Permit:
    """The permit to submit an order; failing that, for lines that can shrink, the one to shrink."""
    try:
        return access.tenant(tx, who, tenant, "submit", "order")[1]
    except errors.GovpoolError as error:
        if error.fault is not tenants_faults.FORBIDDEN or not all(line.action in ACTIONS for line in lines):
            raise
        try:
            return access.tenant(tx, who, tenant, VERB, "order")[1]
        except errors.GovpoolError:
            raise error from None


def refuse_growth(allowed: tenants_model.Permit, lines: Sequence[model.Line]) -> None:
    """Raises order.grows where a line takes more than before and the permit is one to shrink."""
    if not allowed.rule.endswith(f".order.{VERB}"):
        return
    for line in lines:
        before = line.spec.get("before") or {}
        grown = [name for name, amount in (line.spec.get("amounts") or {}).items() if amount > before.get(name, 0)]
        if grown:
            raise GROWS(name=line.name, amounts=", ".join(sorted(grown)))
