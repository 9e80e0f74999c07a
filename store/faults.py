"""What the store refuses, and how each refusal is mended."""

from typing import Final

from primitives import errors

LOCKED: Final = errors.Fault(
    "store.locked",
    errors.Kind.CONFLICT,
    en="another govpool process (pid {pid}) owns {path}",
    zh="另一个 govpool 进程（pid {pid}）正在使用 {path}",
    mend_en="stop that process first, or use --database postgresql://... for several processes",
    mend_zh="请先停止该进程；多进程部署请使用 --database postgresql://...",
)
UNSAFE: Final = errors.Fault(
    "store.unsafe",
    errors.Kind.UNAVAILABLE,
    en="the database has {setting} = {found}; govpool needs {wanted}",
    zh="数据库设置 {setting} = {found}，govpool 要求 {wanted}",
    mend_en="put the database file on a local file system that supports WAL, and use SQLite 3.38 or newer",
    mend_zh="请将数据库文件放在支持 WAL 的本地文件系统上，并使用 SQLite 3.38 或更新版本",
)
UNREACHABLE: Final = errors.Fault(
    "store.unreachable",
    errors.Kind.UNAVAILABLE,
    en="the database cannot be opened: {reason}",
    zh="无法打开数据库：{reason}",
    mend_en="check --database or --data and that the database server runs",
    mend_zh="请检查 --database 或 --data 参数，以及数据库服务是否运行",
)
BEHIND: Final = errors.Fault(
    "store.schema_foreign",
    errors.Kind.CONFLICT,
    en="the database has schema {found}; this govpool knows {known}",
    zh="数据库结构版本为 {found}，本程序支持 {known}",
    mend_en="start the govpool release that made this schema, or restore a backup of this release",
    mend_zh="请使用创建该结构的 govpool 版本，或恢复本版本的备份",
)
REPEAT: Final = errors.Fault(
    "lane.repeat",
    errors.Kind.UNAVAILABLE,
    en="the database interrupted the commit; whether it took effect is unknown",
    zh="数据库提交中断，是否生效未知",
    mend_en="repeat the same request with the same Idempotency-Key",
    mend_zh="请使用相同的 Idempotency-Key 重新提交同一请求",
)
CLOSED: Final = errors.Fault(
    "lane.closed",
    errors.Kind.UNAVAILABLE,
    en="the server is stopping",
    zh="服务正在停止",
    mend_en="repeat the same request with the same Idempotency-Key in a moment",
    mend_zh="请稍后使用相同的 Idempotency-Key 重试",
)
AUDIT_UNAVAILABLE: Final = errors.Fault(
    "audit.unavailable",
    errors.Kind.UNAVAILABLE,
    en="the audit trail cannot be written, so the action was stopped",
    zh="审计记录无法写入，操作已中止",
    mend_en="tell cloud operations; repeat the request when the trail is writable",
    mend_zh="请通知云平台运维人员；审计恢复后重新提交",
)
KEY_REUSED: Final = errors.Fault(
    "idempotency.conflict",
    errors.Kind.CONFLICT,
    en="Idempotency-Key {key} was used for another request",
    zh="Idempotency-Key {key} 已用于另一请求",
    mend_en="send a new Idempotency-Key for a new request",
    mend_zh="新的请求请使用新的 Idempotency-Key",
)
SECRET_SHOWN: Final = errors.Fault(
    "secret.shown",
    errors.Kind.CONFLICT,
    en="this request was carried out already and its secret was shown once",
    zh="该请求已执行，密钥只显示一次",
    mend_en="rotate the secret: govpool token rotate, or ask for a new code",
    mend_zh="请轮换密钥：govpool token rotate，或申请新的登录码",
)
NOT_INITIALISED: Final = errors.Fault(
    "store.not_initialised",
    errors.Kind.CONFLICT,
    en="this database has not been initialised",
    zh="该数据库尚未初始化",
    mend_en="govpool init",
    mend_zh="govpool init",
)
