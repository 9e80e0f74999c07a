"""What notices say, by code, in English and Chinese; and which role a notice is for when its writer names none."""

from typing import Final

TEXTS: Final[dict[str, tuple[str, str]]] = {
    "order.waiting": (
        "order {order} waits for your decision: govpool order show {order}",
        "申请单 {order} 等待审批：govpool order show {order}",
    ),
    "order.approved": ("order {order} was approved {reason}", "申请单 {order} 已批准 {reason}"),
    "order.refused": ("order {order} was refused: {reason}", "申请单 {order} 被驳回：{reason}"),
    "order.withdrawn": ("order {order} was withdrawn {reason}", "申请单 {order} 已撤回 {reason}"),
    "order.ended": ("order {order} ended: nobody decided before its deadline", "申请单 {order} 已终止：审批超过期限"),
    "order.past": (
        "order {order} ended: nobody decided before the end that it asks for",
        "申请单 {order} 已终止：所申请的到期时间之前未审批",
    ),
    "order.delivered": ("order {order} is delivered", "申请单 {order} 已交付"),
    "order.partly_delivered": (
        "order {order} is delivered in part: govpool order show {order}",
        "申请单 {order} 部分交付：govpool order show {order}",
    ),
    "statement.issued": (
        "the statement of {tenant} for {month} is issued: {total} yuan; govpool statement show {tenant} --month {month}",
        "{tenant} {month} 结算单已出账，共 {total} 元：govpool statement show {tenant} --month {month}",
    ),
    "register.reset": (
        "meter {meter} began anew at {at} without a declared swap; energy since {since} is unaccounted: govpool meter swap {meter}",
        "电表 {meter} 在 {at} 未登记换表即重新计数，自 {since} 起电量缺失：govpool meter swap {meter}",
    ),
    "register.swap_disagrees": (
        "the declared swap of {meter} at {at} no longer fits its readings since {since}: govpool reading events --meter {meter}",
        "电表 {meter} 在 {at} 登记的换表与 {since} 起的读数不符：govpool reading events --meter {meter}",
    ),
    "order.failed": ("order {order} failed: {reason}", "申请单 {order} 失败：{reason}"),
}
AUDIENCES: Final[dict[str, str]] = {"order.waiting": "approver"}
