"""What this room refuses, and how each refusal is mended."""

from typing import Final

from primitives import errors
from primitives.errors import Kind

UNKNOWN: Final = errors.Fault(
    "pool.unknown",
    Kind.NOT_FOUND,
    en="there is no pool {pool!r}",
    zh="没有资源池 {pool!r}",
    mend_en="govpool pool list",
    mend_zh="govpool pool list",
)
TAKEN: Final = errors.Fault(
    "pool.taken",
    Kind.CONFLICT,
    en="there is a pool {pool} already",
    zh="资源池 {pool} 已存在",
    mend_en="choose another code, or change that one: govpool pool show {pool}",
    mend_zh="请更换代码，或修改已有资源池：govpool pool show {pool}",
)
NONE: Final = errors.Fault(
    "pool.none",
    Kind.CONFLICT,
    en="no pool takes this {kind}: {why}",
    zh="没有资源池可以承载该 {kind}：{why}",
    mend_en="leave --zone, --class or --pool out, or ask cloud operations: govpool pool list",
    mend_zh="请去掉 --zone、--class 或 --pool，或联系云平台运维：govpool pool list",
)
PROTECTION_LEVEL: Final = errors.Fault(
    "pool.protection_level",
    Kind.CONFLICT,
    en="{tenant} is of protection level {level}, and what would take this is below it ({shown[en]}): a cloud carries no system of a"
    " higher level than its own, {rule}",
    zh="{tenant} 的等保级别为 {level} 级，而可承载的资源池级别较低（{shown[zh]}）：云计算平台不得承载高于其安全保护等级的业务应用系统，{rule}",
    mend_en="choose a pool of level {level} or higher, or ask cloud operations for one: govpool pool list",
    mend_zh="请选用等保 {level} 级及以上的资源池，或联系云平台运维：govpool pool list",
)
"""Values: tenant, level, pools (code -> its level), shown (them as a sentence), rule (the article, as the setting protection_rule names it)."""
FULL: Final = errors.Fault(
    "pool.full",
    Kind.QUOTA,
    en="the pools that match have no room: {why}",
    zh="符合条件的资源池容量不足：{why}",
    mend_en="order less, another zone or class, or ask cloud operations: govpool pool list",
    mend_zh="请减少申请量、更换可用区或类别，或联系云平台运维：govpool pool list",
)
BLOCK: Final = errors.Fault(
    "pool.block",
    Kind.QUOTA,
    en="no single host has so much free at once: {why}",
    zh="没有一台主机同时有足够的空闲：{why}",
    mend_en="choose a smaller size, or ask cloud operations: govpool host list",
    mend_zh="请选择较小的规格，或联系云平台运维：govpool host list",
)
HELD: Final = errors.Fault(
    "pool.held",
    Kind.CONFLICT,
    en="{holder} holds room already",
    zh="{holder} 已占用容量",
    mend_en="change or release that one",
    mend_zh="请变更或释放已有占用",
)
NOT_HELD: Final = errors.Fault(
    "pool.not_held",
    Kind.CONFLICT,
    en="{holder} holds no room",
    zh="{holder} 没有占用容量",
    mend_en="order it again; its room was released",
    mend_zh="容量已释放，请重新申请",
)
