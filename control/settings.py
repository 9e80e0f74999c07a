"""The settings of a server: each with bound, default and what it is for.  Flags stand above the environment, that above the file.

The file is YAML, `govpool serve --settings FILE`; the variable of `lease_s` is GOVPOOL_LEASE_S, its flag `--set lease_s=20`.
`docs/reference/settings.md` is printed from this table.
"""

import dataclasses
import pathlib
import re
from collections.abc import Mapping
from typing import Any, Final

from control import yaml_text
from primitives import errors
from primitives.errors import Kind

WRONG: Final = errors.Fault(
    "settings.invalid",
    Kind.INVALID,
    en="{count} settings are wrong",
    zh="{count} 项配置有误",
    mend_en="see docs/reference/settings.md",
    mend_zh="请参阅 docs/reference/settings.md",
)


_DAYS: Final = re.compile(r"[1-9][0-9]{0,2}(,[1-9][0-9]{0,2}){0,9}")


PROTECTION_RULE: Final = "GB/T 22239-2019 8.2.2.1 a)"
"""A cloud platform carries no system of a higher level of graded protection than its own."""


def _setting(default: Any, en: str, zh: str, low: int | None = None, high: int | None = None, **more: Any) -> Any:
    return dataclasses.field(default=default, metadata={"en": en, "zh": zh, "low": low, "high": high, **more})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings; durations in seconds, sizes in bytes."""

    host: str = _setting("127.0.0.1", "address to listen on; any but loopback needs TLS", "监听地址；非本机地址必须启用 TLS")
    port: int = _setting(8420, "port to listen on; 0 takes a free one", "监听端口；0 表示自动选择", 0, 65535)
    tls_cert: str = _setting("", "file with the certificate chain (PEM)", "证书链文件（PEM）")
    tls_key: str = _setting("", "file with the private key (PEM)", "私钥文件（PEM）")
    lang: str = _setting("zh", "language of texts when a request asks for none", "默认语言", among=("zh", "en"))
    log_level: str = _setting("info", "what is logged", "日志级别", among=("debug", "info", "warning", "error"))
    workers: int = _setting(
        8, "threads that call clouds; 0 runs none in this process", "调用云平台的工作线程数；0 表示不运行", 0, 64
    )
    lease_s: int = _setting(30, "how long a worker holds a resource without a sign of life", "工作线程租约时长", 5, 3600)
    sweep_s: int = _setting(60, "between two looks at everything of ours in a cloud", "巡检间隔", 1, 3600)
    poll_s: int = _setting(10, "between two readings of a meter", "电表轮询间隔", 1, 3600)
    meters: bool = _setting(True, "poll the Modbus gateways from this process", "是否轮询 Modbus 网关")
    reservation_s: int = _setting(
        86400, "how long a reservation that nothing confirms is held", "未确认预留的保留时长", 60, 2592000
    )
    expense_s: int = _setting(
        900, "between two settlements that turn metered use into expense of the budgets", "将用量结转为预算支出的间隔", 5, 86400
    )
    approval_days: int = _setting(7, "how long an order waits for approval before it ends", "申请单等待审批的天数", 1, 90)
    recycle_days: int = _setting(7, "how long a deleted resource can be taken back", "回收站保留天数", 0, 90)
    lease_notice_days: str = _setting(
        "30,7,1", "how many days before the end of a lease its tenant is told", "租期届满前提醒的天数", days=True
    )
    lease_grace_days: int = _setting(
        7,
        "how long a resource whose lease ended stays, stopped, before the recycle bin",
        "租期届满后移入回收站前的宽限天数",
        1,
        365,
    )
    recall_notice_days: int = _setting(
        14, "how long borrowers have to give back what a lender calls back", "借用方归还被收回配额的期限（天）", 0, 365
    )
    protection_rule: str = _setting(
        PROTECTION_RULE,
        "the rule that is cited when a pool's protection level is too low for a tenant",
        "因资源池等保级别不足而拒绝时所引用的条款",
    )
    quota_names_file: str = _setting(
        "", "YAML file with names that are counted beside the built-in ones", "自定义配额项的 YAML 文件"
    )
    backup_folder: str = _setting(
        "", "where backups are written; empty takes 'backups' beside the database file", "备份目录；空则为数据库文件旁的 backups"
    )
    smtp_server: str = _setting("", "host:port of the mail server; empty sends no mail", "邮件服务器 host:port；空则不发邮件")
    smtp_sender: str = _setting("", "sender of notices", "通知邮件发件人")
    smtp_starttls: bool = _setting(True, "encrypt the mail connection", "邮件连接是否加密")
    smtp_account_file: str = _setting("", "file with 'account:password' of the mail server", "邮件账号文件（account:password）")
    webhook_url: str = _setting("", "where notices are posted as JSON; empty posts none", "通知推送地址；空则不推送")
    webhook_secret_file: str = _setting(
        "", "file with the key that signs what is posted (HMAC-SHA256)", "推送签名密钥文件（HMAC-SHA256）"
    )


FIELDS: Final = {field.name: field for field in dataclasses.fields(Settings)}


def read(file: pathlib.Path | None, environment: Mapping[str, str], flags: Mapping[str, str]) -> Settings:
    """The settings in force.  Raises settings.invalid with every finding: unknown names, wrong types, values out of bounds."""
    findings: list[errors.Finding] = []
    values = _of_file(file, findings) if file else {}
    for name in FIELDS:
        text = environment.get(f"GOVPOOL_{name.upper()}")
        if text is not None:
            values[name] = (text, f"GOVPOOL_{name.upper()}")
    values |= {name: (text, f"--set {name}") for name, text in flags.items()}
    settled: dict[str, Any] = {}
    for name, (value, place) in values.items():
        try:
            settled[name] = _settled(name, value)
        except ValueError as error:
            findings.append(errors.Finding(place, "settings.value", f"{name}: {error}"))
    if bool(settled.get("tls_cert")) != bool(settled.get("tls_key")):
        findings.append(errors.Finding("tls_cert, tls_key", "settings.tls", "give both or none"))
    if findings:
        raise WRONG(count=len(findings), findings=tuple(findings))
    return Settings(**settled)


def _of_file(file: pathlib.Path, findings: list[errors.Finding]) -> dict[str, tuple[Any, str]]:
    try:
        content = file.read_bytes()
    except OSError as error:
        findings.append(errors.Finding(str(file), "settings.file", error.strerror or "cannot be read"))
        return {}
    parsed, wrong = yaml_text.load_all(content)
    findings += [errors.Finding(f"{file} {one.place}", one.code, one.detail) for one in wrong]
    if not parsed:
        return {}
    if not isinstance(parsed[0].value, dict) or len(parsed) > 1:
        findings.append(errors.Finding(str(file), "settings.file", "it must be one mapping of names to values"))
        return {}
    return {name: (value, f"{file} line {parsed[0].line_of(name)}") for name, value in parsed[0].value.items()}


def _settled(name: str, value: Any) -> Any:
    """A value as its field wants it; text is converted.  Raises ValueError saying what it must be."""
    field = FIELDS.get(name)
    if field is None:
        raise ValueError("there is no such setting")
    if isinstance(field.default, bool):
        if value in (True, "true", "1", "yes"):
            return True
        if value in (False, "false", "0", "no"):
            return False
        raise ValueError("it is true or false")
    if isinstance(field.default, int):
        low, high = field.metadata["low"], field.metadata["high"]
        text = str(value)
        if isinstance(value, bool) or not text.isascii() or not text.isdecimal() or not low <= int(text[:12]) <= high:
            raise ValueError(f"it is a whole number from {low} to {high}")
        return int(text)
    if not isinstance(value, str) or len(value) > 1000 or not value.isprintable():
        raise ValueError("it is text of at most 1000 printable characters")
    if field.metadata.get("days") and not _DAYS.fullmatch(value):
        raise ValueError("it is up to ten numbers of days from 1 to 999, such as 30,7,1")
    among = field.metadata.get("among")
    if among and value not in among:
        raise ValueError(f"it is one of {', '.join(among)}")
    return value
