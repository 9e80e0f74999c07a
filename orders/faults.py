"""What the room of orders refuses."""

from typing import Final

from primitives import errors

UNKNOWN: Final = errors.Fault(
    "order.unknown",
    errors.Kind.NOT_FOUND,
    en="there is no order {order} that you may see",
    zh="没有您可查看的申请单 {order}",
    mend_en="govpool order list",
    mend_zh="govpool order list",
)
DECIDED: Final = errors.Fault(
    "order.decided",
    errors.Kind.CONFLICT,
    en="order {order} is {state}; only an order that waits for approval can be decided",
    zh="申请单 {order} 状态为 {state}，只有待审批的申请单才能处理",
    mend_en="govpool order show {order}",
    mend_zh="govpool order show {order}",
)
OWN: Final = errors.Fault(
    "order.own",
    errors.Kind.FORBIDDEN,
    en="you asked for order {order} yourself, with this or another account; somebody else decides it",
    zh="申请单 {order} 由您本人（本账号或其他账号）提交，须由他人审批",
    mend_en="ask another approver of the department: govpool tenant member list",
    mend_zh="请由本部门其他审批人处理：govpool tenant member list",
)
NAME_HELD: Final = errors.Fault(
    "order.name_taken",
    errors.Kind.CONFLICT,
    en="an order that waits for approval holds the name {name} for a {kind} here",
    zh="待审批的申请单已在此占用 {kind} 名称 {name}",
    mend_en="choose another name, or withdraw the other order: govpool order list",
    mend_zh="请另选名称，或撤回该申请单：govpool order list",
)
WAITS: Final = errors.Fault(
    "order.waits",
    errors.Kind.CONFLICT,
    en="order {order} waits for approval, and {name} stands in it",
    zh="申请单 {order} 正待审批，其中涉及 {name}",
    mend_en="wait for its decision, or withdraw it first: govpool order withdraw {order}",
    mend_zh="请等待该申请单审批，或先撤回：govpool order withdraw {order}",
)
PAST: Final = errors.Fault(
    "order.past",
    errors.Kind.CONFLICT,
    en="the end that order {order} asks for, {end}, has passed",
    zh="申请单 {order} 所申请的到期时间 {end} 已过",
    mend_en="order it again with a later end, and withdraw this one: govpool order withdraw {order}",
    mend_zh="请以更晚的到期时间重新申请，并撤回本单：govpool order withdraw {order}",
)
RULE_UNKNOWN: Final = errors.Fault(
    "approval_rule.unknown",
    errors.Kind.NOT_FOUND,
    en="there is no approval rule {name} that you may see",
    zh="没有您可查看的审批规则 {name}",
    mend_en="govpool approval list",
    mend_zh="govpool approval list",
)
