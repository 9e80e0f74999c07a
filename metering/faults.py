"""What this room refuses, and how each refusal is mended."""

from typing import Final

from primitives import errors

PRICE_MISSING: Final = errors.Fault(
    "price.missing",
    errors.Kind.CONFLICT,
    en="no price is in force for {name} of {kind} (class {service_class}) at {at}; {count} such gaps",
    zh="{at} 时 {kind}（类别 {service_class}）的 {name} 没有生效价格；共 {count} 处",
    mend_en="finance adds a book: govpool price list, then govpool apply -f prices.yaml",
    mend_zh="由财务人员补充价目表：先 govpool price list，再 govpool apply -f prices.yaml",
)
PRICE_UNKNOWN: Final = errors.Fault(
    "price.unknown",
    errors.Kind.NOT_FOUND,
    en="there is no price book {name}",
    zh="不存在价目表 {name}",
    mend_en="govpool price list",
    mend_zh="govpool price list",
)
PRICE_STARTED: Final = errors.Fault(
    "price.started",
    errors.Kind.CONFLICT,
    en="price book {name} is in force since {valid_from} and can no longer be changed",
    zh="价目表 {name} 已于 {valid_from} 生效，不能再修改",
    mend_en="give the new prices a name of their own; with the same valid_from they replace {name}",
    mend_zh="请为新价目表另取名称；使用相同的 valid_from 即可替代 {name}",
)
PRICE_ISSUED: Final = errors.Fault(
    "price.issued",
    errors.Kind.CONFLICT,
    en="a price book from {valid_from} would change {month}, for which statements are issued",
    zh="自 {valid_from} 起的价目表会影响已出账的 {month}",
    mend_en="set valid_from to {earliest} or later",
    mend_zh="请将 valid_from 设为 {earliest} 或之后",
)
EVENT_CHANGED: Final = errors.Fault(
    "usage.changed",
    errors.Kind.CONFLICT,
    en="event {id} of {source} is known with other content",
    zh="来源 {source} 的事件 {id} 已存在且内容不同",
    mend_en="an event is never changed: send the right state with a new id and a higher sequence",
    mend_zh="事件不可更改：请用新的 id 和更大的 sequence 重新发送",
)
FINDINGS: Final = errors.Fault(
    "usage.findings",
    errors.Kind.INVALID,
    en="{count} findings in {lines} lines; nothing was imported",
    zh="{lines} 行中有 {count} 处问题，未导入任何内容",
    mend_en="mend the lines named in the findings and import the file again",
    mend_zh="请修正所列各行后重新导入",
)
USAGE_UNKNOWN: Final = errors.Fault(
    "usage.unknown",
    errors.Kind.NOT_FOUND,
    en="no use of {resource} is known, or it is not yours to see",
    zh="没有 {resource} 的用量记录，或您无权查看",
    mend_en="govpool usage list",
    mend_zh="govpool usage list",
)
MONTH_UNFINISHED: Final = errors.Fault(
    "statement.month_unfinished",
    errors.Kind.CONFLICT,
    en="{month} ends at {end_at}; a month is closed when it is over",
    zh="{month} 至 {end_at} 才结束，月份结束后方可结账",
    mend_en="see it as it grows: govpool statement show TENANT --month {month}",
    mend_zh="可先查看草稿：govpool statement show 单位代码 --month {month}",
)
NOT_CLOSED: Final = errors.Fault(
    "statement.not_closed",
    errors.Kind.CONFLICT,
    en="{month} is not closed yet",
    zh="{month} 尚未结账",
    mend_en="govpool statement close --month {month}",
    mend_zh="govpool statement close --month {month}",
)
STATEMENT_UNKNOWN: Final = errors.Fault(
    "statement.unknown",
    errors.Kind.NOT_FOUND,
    en="there is no statement of {tenant} for {month}",
    zh="没有 {tenant} 在 {month} 的结算单",
    mend_en="govpool statement list --month {month}",
    mend_zh="govpool statement list --month {month}",
)
ISSUED: Final = errors.Fault(
    "statement.issued",
    errors.Kind.CONFLICT,
    en="{month} has {count} issued statements and cannot be closed again",
    zh="{month} 已有 {count} 份结算单出账，不能重新结账",
    mend_en="what came later is listed by govpool usage late --month {month} and belongs to the next month",
    mend_zh="其后到达的用量见 govpool usage late --month {month}，计入下月",
)
NOTHING_TO_ISSUE: Final = errors.Fault(
    "statement.nothing_to_issue",
    errors.Kind.CONFLICT,
    en="{month} has no open statement to issue",
    zh="{month} 没有待出账的结算单",
    mend_en="govpool statement list --month {month}",
    mend_zh="govpool statement list --month {month}",
)
OUT_OF_RANGE: Final = errors.Fault(
    "statement.out_of_range",
    errors.Kind.CONFLICT,
    en="{what} would be {amount} yuan, beyond what a statement can hold",
    zh="{what} 金额为 {amount} 元，超出结算单可容纳范围",
    mend_en="check its usage and its price: govpool usage show {resource}; govpool price list",
    mend_zh="请检查用量与价格：govpool usage show {resource}；govpool price list",
)
CLOSE_OVERTAKEN: Final = errors.Fault(
    "statement.close_overtaken",
    errors.Kind.CONFLICT,
    en="another request with the same key is closing {month} at this moment",
    zh="另一个相同幂等键的请求正在为 {month} 结账",
    mend_en="look at the result: govpool statement list --month {month}",
    mend_zh="请查看结果：govpool statement list --month {month}",
)
IMPORT_OVERTAKEN: Final = errors.Fault(
    "usage.import_overtaken",
    errors.Kind.CONFLICT,
    en="another request with the same key is importing at this moment, or has imported, another file",
    zh="另一个相同幂等键的请求正在导入，或已用于导入其他文件",
    mend_en="import this file with a key of its own",
    mend_zh="请为该文件使用新的幂等键",
)
