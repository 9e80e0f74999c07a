"""The faults of this room."""

from primitives import errors
from primitives.errors import Kind

UNKNOWN_HALL = errors.Fault(
    "hall.unknown", Kind.NOT_FOUND,
    en="there is no hall {code}", zh="没有名为 {code} 的机房模块",
    mend_en="govpool hall list", mend_zh="govpool hall list",
)  # fmt: skip
UNKNOWN_METER = errors.Fault(
    "meter.unknown", Kind.NOT_FOUND,
    en="there is no meter {code}", zh="没有名为 {code} 的电表",
    mend_en="govpool meter list", mend_zh="govpool meter list",
)  # fmt: skip
UNKNOWN_REGISTER = errors.Fault(
    "register.unknown", Kind.NOT_FOUND,
    en="meter {meter} has no energy register {register}", zh="电表 {meter} 没有电能寄存器 {register}",
    mend_en="govpool meter show {meter}", mend_zh="govpool meter show {meter}",
)  # fmt: skip
STALE = errors.Fault(
    "meter.stale", Kind.STALE,
    en="{code} is at generation {generation}, not {given}", zh="{code} 当前版本为 {generation}，而非 {given}",
    mend_en="read it again, then repeat the change", mend_zh="请重新读取后再修改",
)  # fmt: skip
IN_USE = errors.Fault(
    "meter.in_use", Kind.CONFLICT,
    en="meter {code} has readings; {field} cannot change under them", zh="电表 {code} 已有读数，不能更改 {field}",
    mend_en="govpool meter swap {code} ..., or create another meter", mend_zh="请用 govpool meter swap {code} ... 登记换表，或新建电表",
)  # fmt: skip
SWAP_EXISTS = errors.Fault(
    "swap.exists", Kind.CONFLICT,
    en="register {register} of {meter} has a swap at {at} already", zh="电表 {meter} 的寄存器 {register} 在 {at} 已登记过换表",
    mend_en="govpool meter show {meter}", mend_zh="govpool meter show {meter}",
)  # fmt: skip
UNKNOWN_SWAP = errors.Fault(
    "swap.unknown", Kind.NOT_FOUND,
    en="register {register} of {meter} has no swap at {at}", zh="电表 {meter} 的寄存器 {register} 在 {at} 没有换表登记",
    mend_en="govpool meter show {meter}", mend_zh="govpool meter show {meter}",
)  # fmt: skip
SWAP_DISAGREES = errors.Fault(
    "swap.disagrees", Kind.CONFLICT,
    en="the final reading {final} does not continue the readings of {meter} before {at}",
    zh="止码 {final} 与电表 {meter} 在 {at} 之前的读数不连续",
    mend_en="compare with: govpool reading list --meter {meter}; correct the final reading or the time",
    mend_zh="请对照 govpool reading list --meter {meter} 更正止码或时间",
)  # fmt: skip
IMPORT_FINDINGS = errors.Fault(
    "reading.import_findings", Kind.INVALID,
    en="{count} findings; nothing was imported", zh="发现 {count} 处问题，未导入任何数据",
    mend_en="correct the lines named and import the file again", mend_zh="请更正所列各行后重新导入",
)  # fmt: skip
IMPORT_OTHER_FILE = errors.Fault(
    "reading.import_other_file", Kind.CONFLICT,
    en="this key belongs to an import of another file (SHA-256 {hash})", zh="该幂等键属于另一文件的导入（SHA-256 {hash}）",
    mend_en="use a new key for a new file", mend_zh="新文件请使用新的幂等键",
)  # fmt: skip
BAD_PERIOD = errors.Fault(
    "pue.period", Kind.INVALID,
    en="{reason}", zh="{reason}",
    mend_en="give --from and --to as dates or quarters of an hour, such as 2026-10-01 and 2026-11-01",
    mend_zh="请用日期或整刻钟给出 --from 与 --to，例如 2026-10-01 与 2026-11-01",
)  # fmt: skip
