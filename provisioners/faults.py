"""What the room refuses, and how each refusal is mended."""

from typing import Final

from primitives import errors

UNKNOWN: Final = errors.Fault(
    "resource.unknown",
    errors.Kind.NOT_FOUND,
    en="there is no resource {resource}",
    zh="没有资源 {resource}",
    mend_en="govpool resource list",
    mend_zh="govpool resource list",
)
NAME_TAKEN: Final = errors.Fault(
    "resource.name_taken",
    errors.Kind.CONFLICT,
    en="project {project} already has a {kind} named {name}",
    zh="项目 {project} 中已有名为 {name} 的 {kind}",
    mend_en="choose another name, or remove the old one for good: govpool resource show {name}",
    mend_zh="请改用其他名称，或彻底删除原资源：govpool resource show {name}",
)
BUSY: Final = errors.Fault(
    "resource.busy",
    errors.Kind.CONFLICT,
    en="{name} is {state}: the change before ({action}) has not come to an end",
    zh="{name} 当前为 {state}：上一项变更（{action}）尚未结束",
    mend_en="wait for it: govpool resource show {name}",
    mend_zh="请等待其完成：govpool resource show {name}",
)
STATE: Final = errors.Fault(
    "resource.state",
    errors.Kind.CONFLICT,
    en="{name} is {state}; {action} needs it to be {needed}",
    zh="{name} 当前为 {state}；执行 {action} 需要其处于 {needed}",
    mend_en="govpool resource show {name}",
    mend_zh="govpool resource show {name}",
)
LEASE_OVER: Final = errors.Fault(
    "lease.over",
    errors.Kind.CONFLICT,
    en="the lease of {name} has ended; it can be extended or deleted, nothing else",
    zh="{name} 的租期已届满，只能续期或删除",
    mend_en="govpool lease extend {resource} --until DATE",
    mend_zh="govpool lease extend {resource} --until 日期",
)
LEASE_IN_BIN: Final = errors.Fault(
    "lease.in_bin",
    errors.Kind.CONFLICT,
    en="{name} lies in the recycle bin; what lies there cannot be extended",
    zh="{name} 在回收站中，不能续期",
    mend_en="take it back first, then extend it: govpool {noun} undelete {name}",
    mend_zh="请先恢复再续期：govpool {noun} undelete {name}",
)
ACTION_UNKNOWN: Final = errors.Fault(
    "resource.action_unknown",
    errors.Kind.INVALID,
    en="a {kind} knows no action {action!r}; it knows {known}",
    zh="{kind} 不支持操作 {action!r}；支持的操作：{known}",
    mend_en="choose one of {known}",
    mend_zh="请从 {known} 中选择",
)
UNCHANGED: Final = errors.Fault(
    "resource.unchanged",
    errors.Kind.CONFLICT,
    en="{name} is so already: {action} would change nothing",
    zh="{name} 已是如此，{action} 不会带来任何变化",
    mend_en="govpool resource show {resource}",
    mend_zh="govpool resource show {resource}",
)
SURGE: Final = errors.Fault(
    "resource.surge",
    errors.Kind.QUOTA,
    en="while {name} is rolled it needs {number} replicas more for a while ({amounts}), and they do not fit: {why[en]}",
    zh="{name} 滚动更新期间需临时增加 {number} 个副本（{amounts}），无法容纳：{why[zh]}",
    mend_en="replace one at a time without a surge: govpool container {action} {name} --max-surge 0 --max-unavailable 1",
    mend_zh="可不增加副本、逐个替换：govpool container {action} {name} --max-surge 0 --max-unavailable 1",
)
PROTECTED: Final = errors.Fault(
    "resource.protected",
    errors.Kind.CONFLICT,
    en="{name} is protected from deletion",
    zh="{name} 已启用删除保护",
    mend_en="take the protection away first: govpool resource protect {name} --off",
    mend_zh="请先取消删除保护：govpool resource protect {name} --off",
)
NOT_STUCK: Final = errors.Fault(
    "resource.not_stuck",
    errors.Kind.CONFLICT,
    en="{name} is {state} and nothing is left to do for it",
    zh="{name} 当前为 {state}，没有待处理的工作",
    mend_en="govpool resource list --stuck",
    mend_zh="govpool resource list --stuck",
)
SECOND_PERSON: Final = errors.Fault(
    "write_off.second_person",
    errors.Kind.CONFLICT,
    en="{person} already asked to write {name} off; another person must agree",
    zh="{person} 已申请核销 {name}，须由另一人同意",
    mend_en="ask another operator or system administrator: govpool resource write-off {name}",
    mend_zh="请另一位运维人员或系统管理员执行：govpool resource write-off {name}",
)
ITEM_UNKNOWN: Final = errors.Fault(
    "quarantine.unknown",
    errors.Kind.NOT_FOUND,
    en="nothing in quarantine has the cloud id {item}",
    zh="隔离区中没有云平台编号为 {item} 的对象",
    mend_en="govpool resource quarantine",
    mend_zh="govpool resource quarantine",
)
ITEM_FOREIGN: Final = errors.Fault(
    "quarantine.foreign",
    errors.Kind.CONFLICT,
    en="{item} does not carry govpool's tag and is never deleted by it",
    zh="{item} 不带本系统标签，本系统不会删除它",
    mend_en="remove it in the cloud itself if it is not needed",
    mend_zh="如不再需要，请在云平台侧自行删除",
)
