"""What the room of orders refuses."""

from typing import Final

from primitives import errors

UNKNOWN: Final = errors.Fault(
    "order.unknown",
    errors.Kind.NOT_FOUND,
    en="there is no order {order} that you may see",
    zh="没有您可查看的订单 {order}",
    mend_en="govpool order list",
    mend_zh="govpool order list",
)
DECIDED: Final = errors.Fault(
    "order.decided",
    errors.Kind.CONFLICT,
    en="order {order} is {state}; only an order that waits for approval can be decided",
    zh="订单 {order} 状态为 {state}，只有待审批的订单才能处理",
    mend_en="govpool order show {order}",
    mend_zh="govpool order show {order}",
)
OWN: Final = errors.Fault(
    "order.own",
    errors.Kind.FORBIDDEN,
    en="you asked for order {order} yourself, with this or another account; somebody else decides it",
    zh="订单 {order} 由您本人（本账号或其他账号）提交，须由他人审批",
    mend_en="ask another approver of the department: govpool tenant member list",
    mend_zh="请由本部门其他审批人处理：govpool tenant member list",
)
NAME_TAKEN: Final = errors.Fault(
    "order.name_taken",
    errors.Kind.CONFLICT,
    en="the project has a {kind} named {name} already, living or in an order that waits",
    zh="该项目已有名为 {name} 的 {kind}（在用或待审批）",
    mend_en="choose another name, or delete the other one first",
    mend_zh="请另选名称，或先删除原有资源",
)
ACTION_UNKNOWN: Final = errors.Fault(
    "action.unknown",
    errors.Kind.INVALID,
    en="{kind} has no action {action}; it has {known}",
    zh="{kind} 不支持操作 {action}，支持：{known}",
    mend_en="use one of the actions named",
    mend_zh="请使用所列操作",
)
RULE_UNKNOWN: Final = errors.Fault(
    "approval_rule.unknown",
    errors.Kind.NOT_FOUND,
    en="there is no approval rule {name} that you may see",
    zh="没有您可查看的审批规则 {name}",
    mend_en="govpool order rules",
    mend_zh="govpool order rules",
)
