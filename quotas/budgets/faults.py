"""What is refused about money, and how each refusal is mended."""

from typing import Final

from primitives import errors
from primitives.errors import Kind

EXCEEDED: Final = errors.Fault(
    "budget.exceeded",
    Kind.QUOTA,
    en="not enough money: {told[en]}",
    zh="预算不足：{told[zh]}",
    mend_en="order less, delete something, or ask finance above {tenant} for more: govpool budget show {tenant} --year {year}",
    mend_zh="请减少申请、删除资源，或请 {tenant} 的上级财务追加预算：govpool budget show {tenant} --year {year}",
)
"""Values: tenant and year (of the nearest level), breaches (every level and year, as far as the caller may see), told (them as a sentence)."""
CONTENDED: Final = errors.Fault(
    "budget.contended",
    Kind.UNAVAILABLE,
    en="the money of {tenant} changed while it was being read",
    zh="{tenant} 的预算在读取期间发生变化",
    mend_en="repeat the request",
    mend_zh="请重试",
)
CURRENCY: Final = errors.Fault(
    "budget.currency",
    Kind.INVALID,
    en="budgets are in {currency}, not in {given}",
    zh="预算币种为 {currency}，不接受 {given}",
    mend_en="give the amount in yuan",
    mend_zh="请以人民币元填写金额",
)
AMOUNT: Final = errors.Fault(
    "budget.amount",
    Kind.INVALID,
    en="{field} is {amount} yuan; it must be {low} to {high}, in whole fen",
    zh="{field} 为 {amount} 元，须在 {low} 至 {high} 元之间，最小单位为分",
    mend_en="give another amount",
    mend_zh="请更正金额",
)
YEAR: Final = errors.Fault(
    "budget.year",
    Kind.INVALID,
    en="{year} is not a fiscal year between {low} and {high}",
    zh="{year} 不是 {low} 至 {high} 之间的财政年度",
    mend_en="give the calendar year, such as 2026",
    mend_zh="请填写公历年度，如 2026",
)
THRESHOLD: Final = errors.Fault(
    "budget.threshold",
    Kind.INVALID,
    en="{given} is no threshold: a percentage of 1 to 1000, alone or behind actual:, committed: or forecast:",
    zh="{given} 不是有效的阈值：应为 1 至 1000 的百分比，可加前缀 actual:、committed: 或 forecast:",
    mend_en="such as 80 or forecast:100",
    mend_zh="例如 80 或 forecast:100",
)
BELOW_USE: Final = errors.Fault(
    "budget.below_use",
    Kind.CONFLICT,
    en="the budget {year} of {tenant} would be over by {over_by} yuan: {spent} spent, {encumbered} encumbered, {limit} given",
    zh="{tenant} {year} 年预算将超出 {over_by} 元：已支出 {spent}，已占用 {encumbered}，共安排 {limit}",
    mend_en="give more, or repeat with --allow-over: then nothing new can be ordered until it fits again",
    mend_zh="请增加金额，或加 --allow-over：此后不能新增申请，直至不再超出",
)
UNKNOWN: Final = errors.Fault(
    "budget.unknown",
    Kind.NOT_FOUND,
    en="{tenant} has no budget of {year}",
    zh="{tenant} 没有 {year} 年预算",
    mend_en="govpool budget show {tenant}",
    mend_zh="govpool budget show {tenant}",
)
NOT_OVER: Final = errors.Fault(
    "budget.not_over",
    Kind.CONFLICT,
    en="what is left of {year} can be carried over once it has ended",
    zh="{year} 年度结束后方可结转剩余预算",
    mend_en="give an amount, or repeat it in the new year",
    mend_zh="请直接给出金额，或待新年度再结转",
)
OUT_OF_RANGE: Final = errors.Fault(
    "budget.out_of_range",
    Kind.INVALID,
    en="{holder} costs {monthly} yuan a month; no single resource may cost more than {most}",
    zh="{holder} 每月 {monthly} 元，单个资源不得超过 {most} 元",
    mend_en="order less at once",
    mend_zh="请减小单个资源的规模",
)
