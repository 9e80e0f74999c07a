"""Routes of approval rules."""

from typing import Annotated, Any

import msgspec

from apiserver import route
from control import approval_rule, case, order_view
from store.transaction import Transaction


class RuleQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The tenant whose rules are asked for."""

    tenant: Annotated[str, msgspec.Meta(min_length=1, max_length=63)]


class NewRule(approval_rule.ApprovalRuleSpec, kw_only=True):
    """A rule and the tenant at which it stands."""

    tenant: Annotated[str, msgspec.Meta(min_length=1, max_length=63)]


class Rule(msgspec.Struct, kw_only=True):
    """An approval rule as a document."""

    apiVersion: str
    kind: str
    metadata: dict[str, Any]
    spec: dict[str, Any]


def listed(tx: Transaction, call: route.Call) -> Any:
    """The rules that hold for a tenant: its own and those above it."""
    return order_view.list_rules(tx, call.who, tenant=call.query.tenant)


def put(call: route.Call) -> case.UseCase:
    """Make or replace a rule."""
    given = msgspec.structs.asdict(call.body)
    tenant = given.pop("tenant")
    spec = approval_rule.ApprovalRuleSpec(**given)
    return approval_rule.put_rule(tenant, call.path["name"], spec, if_match=call.context.if_match)


def retire(call: route.Call) -> case.UseCase:
    """A rule asks no more for approvals."""
    return approval_rule.retire_rule(call.path["name"])


ROUTES = [
    route.read("GET", "/v1/approval-rules", "approval_rule.list", listed, query=RuleQuery, answer=list[Rule]),
    route.change("PUT", "/v1/approval-rules/{name}", "approval_rule.set", put, body=NewRule, answer=Rule),
    route.change("DELETE", "/v1/approval-rules/{name}", "approval_rule.retire", retire, answer=Rule),
]
