"""What this room refuses, and how each refusal is mended."""

from typing import Final

from primitives import errors
from primitives.errors import Kind

EXCEEDED: Final = errors.Fault(
    "quota.exceeded",
    Kind.QUOTA,
    en="not enough quota: {told[en]}",
    zh="配额不足：{told[zh]}",
    mend_en="release something, order less, or ask whoever grants to {tenant}: govpool quota show {tenant}",
    mend_zh="请释放资源、减少申请，或联系 {tenant} 的配额授予方：govpool quota show {tenant}",
)
"""Values: tenant (the leaf), breaches (every level and name, as far as the caller may see), told (them as a sentence)."""
CONTENDED: Final = errors.Fault(
    "quota.contended",
    Kind.UNAVAILABLE,
    en="quota of {tenant} changed while it was being read",
    zh="{tenant} 的配额在读取期间发生变化",
    mend_en="repeat the request",
    mend_zh="请重试",
)
HELD: Final = errors.Fault(
    "quota.held",
    Kind.CONFLICT,
    en="{holder} holds a reservation already",
    zh="{holder} 已持有配额预留",
    mend_en="change or release that one",
    mend_zh="请变更或释放已有预留",
)
NOT_HELD: Final = errors.Fault(
    "quota.not_held",
    Kind.CONFLICT,
    en="{holder} holds no reservation",
    zh="{holder} 没有配额预留",
    mend_en="order it again; its reservation expired or was released",
    mend_zh="预留已过期或已释放，请重新申请",
)
ABOVE_PARENT: Final = errors.Fault(
    "quota.above_parent",
    Kind.CONFLICT,
    en="{tenant} cannot be granted {granted} of {name}: {parent} above it has {parent_granted} itself",
    zh="{tenant} 的 {name} 不能授予 {granted}：其上级 {parent} 仅有 {parent_granted}",
    mend_en="grant less, or let somebody above raise {parent} first: govpool quota set {parent} NAME AMOUNT",
    mend_zh="请减少授予量，或先由上级提高 {parent} 的配额：govpool quota set {parent} NAME AMOUNT",
)
BELOW_CHILD: Final = errors.Fault(
    "quota.below_child",
    Kind.CONFLICT,
    en="{tenant} cannot be lowered to {granted} of {name}: {child} below it is granted {child_granted}",
    zh="{tenant} 的 {name} 不能降至 {granted}：其下级 {child} 已授予 {child_granted}",
    mend_en="lower {child} first: govpool quota set {child} NAME AMOUNT",
    mend_zh="请先降低 {child} 的配额：govpool quota set {child} NAME AMOUNT",
)
BELOW_USE: Final = errors.Fault(
    "quota.below_use",
    Kind.CONFLICT,
    en="{tenant} would be over by {over_by} of {name}: {used} used, limit {limit}",
    zh="{tenant} 的 {name} 将超出 {over_by}：已用 {used}，上限 {limit}",
    mend_en="release something first, or repeat with --allow-over: then only shrinking passes until it fits again",
    mend_zh="请先释放资源，或加 --allow-over：此后只允许缩减，直至不再超出",
)
KEPT: Final = errors.Fault(
    "quota.kept",
    Kind.CONFLICT,
    en="{tenant} is granted {granted} of {name}, but those below it keep {kept} for themselves (short by {short_by})",
    zh="{tenant} 的 {name} 授予量为 {granted}，但其下级自留 {kept}（缺 {short_by}）",
    mend_en="raise the lending limit of those below, or grant more to {tenant}",
    mend_zh="请提高下级的可借出上限，或增加 {tenant} 的授予量",
)
UNLIMITED: Final = errors.Fault(
    "quota.unlimited",
    Kind.INVALID,
    en="only the root can be granted unlimited",
    zh="只有根单位可以授予不限量",
    mend_en="give a number",
    mend_zh="请给出具体数量",
)
ROOT: Final = errors.Fault(
    "quota.root",
    Kind.INVALID,
    en="there is nobody above the root to lend to or to borrow from",
    zh="根单位之上没有可借入或借出的对象",
    mend_en="leave lending_limit and borrowing_limit out",
    mend_zh="请去掉 lending_limit 和 borrowing_limit",
)
NOT_ENOUGH: Final = errors.Fault(
    "quota.not_enough",
    Kind.CONFLICT,
    en="{tenant} has {granted} of {name} granted, {amount} cannot be moved away",
    zh="{tenant} 的 {name} 授予量为 {granted}，无法移出 {amount}",
    mend_en="move less: govpool quota show {tenant}",
    mend_zh="请减少移出量：govpool quota show {tenant}",
)
SAME: Final = errors.Fault(
    "quota.same",
    Kind.INVALID,
    en="{tenant} cannot give to itself",
    zh="{tenant} 不能移给自己",
    mend_en="name two tenants",
    mend_zh="请指定两个不同的单位",
)
RECALLED: Final = errors.Fault(
    "quota.recalled",
    Kind.CONFLICT,
    en="{tenant} is calling {name} back; until that ends its lending limit moves by itself",
    zh="{tenant} 正在收回 {name}，收回结束前其可借出上限由系统调整",
    mend_en="govpool quota recalls; to end it: govpool quota recall {tenant} {name} --end",
    mend_zh="govpool quota recalls；结束收回：govpool quota recall {tenant} {name} --end",
)
NOT_LENT: Final = errors.Fault(
    "quota.not_lent",
    Kind.CONFLICT,
    en="others use {lent} of what {tenant} has of {name}; {amount} cannot be called back",
    zh="{tenant} 的 {name} 被其他单位使用 {lent}，无法收回 {amount}",
    mend_en="call back at most that, or keep what is idle: govpool quota set {tenant} --lending {name}=AMOUNT",
    mend_zh="请减少收回量，或自留闲置部分：govpool quota set {tenant} --lending {name}=AMOUNT",
)
RECALL_ENDED: Final = errors.Fault(
    "quota.recall_ended",
    Kind.CONFLICT,
    en="recall {recall} has ended",
    zh="收回 {recall} 已结束",
    mend_en="govpool quota recalls",
    mend_zh="govpool quota recalls",
)
