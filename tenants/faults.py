"""What this room refuses, and how each refusal is mended."""

from typing import Final

from primitives import errors

UNKNOWN: Final = errors.Fault(
    "object.unknown",
    errors.Kind.NOT_FOUND,
    en="there is no such {kind}, or it is not yours to see",
    zh="不存在该对象（{kind}），或您无权查看",
    mend_en="check the spelling; govpool whoami shows where you hold a role",
    mend_zh="请检查名称；用 govpool whoami 查看您拥有角色的范围",
)
FORBIDDEN: Final = errors.Fault(
    "role.forbidden",
    errors.Kind.FORBIDDEN,
    en="your role ({roles}) does not allow {verb} on {kind} here; {needed} may",
    zh="您的角色（{roles}）不允许在此对 {kind} 执行 {verb}，需要角色：{needed}",
    mend_en="ask one of them, or ask the security administrator for the role; govpool role table shows all rules",
    mend_zh="请联系具有该角色的人员，或向安全管理员申请；用 govpool role table 查看全部规则",
)
FROZEN: Final = errors.Fault(
    "tenant.frozen",
    errors.Kind.FORBIDDEN,
    en="{tenant} is {state}: nothing of it can be changed by its own people",
    zh="{tenant} 状态为 {state}，本单位人员不能作任何更改",
    mend_en="ask cloud operations: govpool tenant unfreeze {tenant}",
    mend_zh="请联系云平台运维：govpool tenant unfreeze {tenant}",
)
STATE: Final = errors.Fault(
    "tenant.state",
    errors.Kind.CONFLICT,
    en="{tenant} is {state}, so it cannot be {wanted}",
    zh="{tenant} 状态为 {state}，不能执行 {wanted}",
    mend_en="govpool tenant show {tenant}",
    mend_zh="govpool tenant show {tenant}",
)
NOT_EMPTY: Final = errors.Fault(
    "tenant.not_empty",
    errors.Kind.CONFLICT,
    en="{tenant} still has {count} {what}",
    zh="{tenant} 仍有 {count} 个 {what}",
    mend_en="delete or move them first, then repeat: govpool tenant offboard {tenant}",
    mend_zh="请先删除或迁移，再执行：govpool tenant offboard {tenant}",
)
CODE_TAKEN: Final = errors.Fault(
    "code.taken",
    errors.Kind.CONFLICT,
    en="the code {code} is or was in use for a {kind}; codes are never used again",
    zh="代码 {code} 已被使用过（{kind}），代码不可重复使用",
    mend_en="choose another code",
    mend_zh="请更换代码",
)
CYCLE: Final = errors.Fault(
    "tenant.cycle",
    errors.Kind.CONFLICT,
    en="{tenant} cannot be placed under {parent}: at some moment it would stand below itself",
    zh="不能将 {tenant} 置于 {parent} 之下：会形成循环隶属",
    mend_en="choose a parent outside of {tenant}; govpool tenant list shows the tree",
    mend_zh="请选择 {tenant} 之外的上级；用 govpool tenant list 查看组织树",
)
TOO_DEEP: Final = errors.Fault(
    "tenant.too_deep",
    errors.Kind.CONFLICT,
    en="under {parent} the tree would have {levels} levels; {limit} is the limit",
    zh="置于 {parent} 之下将有 {levels} 级，最多 {limit} 级",
    mend_en="choose a higher parent",
    mend_zh="请选择更高的上级",
)
ROOT: Final = errors.Fault(
    "tenant.root",
    errors.Kind.CONFLICT,
    en="{tenant} is the root of this installation and stays as it is",
    zh="{tenant} 是本平台的根单位，不能执行该操作",
    mend_en="choose a tenant below it",
    mend_zh="请选择其下级单位",
)
LATER: Final = errors.Fault(
    "dated.later",
    errors.Kind.CONFLICT,
    en="the {fact} of {subject} has changed at {changed_at}, after {valid_from}",
    zh="{subject} 的 {fact} 在 {changed_at} 已有变更，晚于 {valid_from}",
    mend_en="give a --valid-from at or after {changed_at}",
    mend_zh="请将 --valid-from 设为 {changed_at} 或之后",
)
EARLY: Final = errors.Fault(
    "dated.early",
    errors.Kind.CONFLICT,
    en="{subject} is known only from {known_from} on, after {valid_from}",
    zh="{subject} 自 {known_from} 起才存在，晚于 {valid_from}",
    mend_en="give a --valid-from at or after {known_from}",
    mend_zh="请将 --valid-from 设为 {known_from} 或之后",
)
ISSUED: Final = errors.Fault(
    "dated.issued",
    errors.Kind.CONFLICT,
    en="statements up to {not_before} are issued; a change cannot be valid from {valid_from}",
    zh="截至 {not_before} 的账单已出具，变更不能自 {valid_from} 起生效",
    mend_en="give a --valid-from at or after {not_before}",
    mend_zh="请将 --valid-from 设为 {not_before} 或之后",
)
ADMINISTRATORS: Final = errors.Fault(
    "role.combined",
    errors.Kind.CONFLICT,
    en="this person is {held} already; one person holds at most one of the three administrator roles, once",
    zh="该人员已是 {held}；三员分立，一人最多担任一个管理员角色",
    mend_en="revoke that role first, or choose another person",
    mend_zh="请先撤销该角色，或另选人员",
)
SERVICE_ADMINISTRATOR: Final = errors.Fault(
    "role.service",
    errors.Kind.CONFLICT,
    en="a service account cannot hold {role}{reason}",
    zh="服务账号不能担任 {role}{reason}",
    mend_en="grant it to a person, or bind the service account within its own tenant to a role that its owner holds",
    mend_zh="请授予自然人账号，或仅在其所属单位内授予其负责人已有的角色",
)
SELF: Final = errors.Fault(
    "role.self",
    errors.Kind.FORBIDDEN,
    en="nobody grants a role to himself",
    zh="任何人不得为自己授权",
    mend_en="ask another security administrator",
    mend_zh="请由另一名安全管理员授权",
)
NOT_GRANTABLE: Final = errors.Fault(
    "role.not_grantable",
    errors.Kind.FORBIDDEN,
    en="{by} cannot grant {role}; {needed} can",
    zh="{by} 不能授予 {role}，需要：{needed}",
    mend_en="ask {needed}: govpool role grant ACCOUNT {role} --tenant TENANT",
    mend_zh="请联系 {needed}：govpool role grant ACCOUNT {role} --tenant TENANT",
)
BOUND: Final = errors.Fault(
    "role.bound",
    errors.Kind.CONFLICT,
    en="{account} holds {role} at {tenant} already",
    zh="{account} 在 {tenant} 已具有 {role} 角色",
    mend_en="nothing to do",
    mend_zh="无需操作",
)
LAST_ADMINISTRATOR: Final = errors.Fault(
    "role.last",
    errors.Kind.CONFLICT,
    en="{account} is the last {role} of the installation",
    zh="{account} 是本平台最后一名 {role}",
    mend_en="grant the role at the root to another person first",
    mend_zh="请先在根单位为另一人员授予该角色",
)
DISABLED: Final = errors.Fault(
    "account.disabled",
    errors.Kind.CONFLICT,
    en="{account} is disabled",
    zh="账号 {account} 已停用",
    mend_en="use another account; a disabled one stays so",
    mend_zh="请使用其他账号；停用的账号不可恢复",
)
ELSEWHERE: Final = errors.Fault(
    "account.elsewhere",
    errors.Kind.CONFLICT,
    en="{account} is at home in {home}, not in {tenant}; an account does not move",
    zh="账号 {account} 属于 {home}，不属于 {tenant}；账号不可迁移",
    mend_en="grant it a role there (govpool role grant), or make a new account for the person",
    mend_zh="请在该单位为其授权（govpool role grant），或为该人员新建账号",
)
ENROL_ADMINISTRATOR: Final = errors.Fault(
    "account.administrator",
    errors.Kind.FORBIDDEN,
    en="{account} holds {role}: whoever got its code could act as that administrator",
    zh="{account} 具有 {role} 角色，登录码等同于管理员身份",
    mend_en="revoke the role, enrol, grant it again (two persons); or print a code on the server: govpool init --enrol {account}",
    mend_zh="请先撤销角色、重新登记后再授权（须两人），或在服务器上执行：govpool init --enrol {account}",
)
ENROL_BEYOND: Final = errors.Fault(
    "account.beyond",
    errors.Kind.FORBIDDEN,
    en="{account} holds a role beyond your reach: whoever got its code could act there",
    zh="账号 {account} 具有您管辖范围之外的角色，取得其登录码即可在该处操作",
    mend_en="ask a system administrator higher up: govpool account enrol {account}",
    mend_zh="请由更上级的系统管理员执行：govpool account enrol {account}",
)
TOKEN_UNKNOWN: Final = errors.Fault(
    "token.unknown",
    errors.Kind.UNAUTHENTICATED,
    en="this is not a token of this installation",
    zh="令牌无效",
    mend_en="govpool login --code CODE; a new code comes from: govpool account enrol ACCOUNT",
    mend_zh="govpool login --code 登录码；新登录码由管理员执行 govpool account enrol 取得",
)
TOKEN_EXPIRED: Final = errors.Fault(
    "token.expired",
    errors.Kind.UNAUTHENTICATED,
    en="the token expired at {expired_at}",
    zh="令牌已于 {expired_at} 过期",
    mend_en="govpool login --code CODE; a new code comes from: govpool account enrol ACCOUNT",
    mend_zh="govpool login --code 登录码；新登录码由管理员执行 govpool account enrol 取得",
)
TOKEN_REVOKED: Final = errors.Fault(
    "token.revoked",
    errors.Kind.UNAUTHENTICATED,
    en="the token was revoked: {reason}",
    zh="令牌已吊销：{reason}",
    mend_en="govpool login --code CODE; a new code comes from: govpool account enrol ACCOUNT",
    mend_zh="govpool login --code 登录码；新登录码由管理员执行 govpool account enrol 取得",
)
CODE_REFUSED: Final = errors.Fault(
    "login.code",
    errors.Kind.UNAUTHENTICATED,
    en="this code is unknown, used or older than 24 hours",
    zh="登录码不存在、已使用或已超过 24 小时",
    mend_en="ask the system administrator for a new one: govpool account enrol ACCOUNT",
    mend_zh="请向系统管理员申请新的登录码：govpool account enrol ACCOUNT",
)
INITIALISED: Final = errors.Fault(
    "init.done",
    errors.Kind.CONFLICT,
    en="this database is initialised already; its root is {tenant}",
    zh="该数据库已初始化，根单位为 {tenant}",
    mend_en="govpool serve; a lost administrator's code: govpool init --enrol ACCOUNT",
    mend_zh="govpool serve；管理员登录码丢失：govpool init --enrol ACCOUNT",
)
