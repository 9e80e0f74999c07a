"""The front door of `govpool`.  It knows which noun lives in which module and loads only that one; help and version load nothing.

Options that every command takes (-o, --lang, --context, ...) are taken out of the arguments here, wherever they stand before '--',
so that `govpool vm list -o json` and `govpool -o json vm list` are the same.
"""

import os
import sys
from typing import Final

# noun: (group, English, Chinese).  The noun's module is cli/<noun>.py and its typer app is called `app`, or `diff` for `diff`.
NOUNS: Final[dict[str, tuple[str, str, str]]] = {
    "login": ("start", "sign in with a one-use code and store the token", "用一次性登录码登录并保存令牌"),
    "logout": ("start", "end this session on the server and forget the token", "注销当前会话并删除令牌"),
    "whoami": ("start", "who I am, and which roles I hold where", "查看当前身份及角色"),
    "context": ("start", "servers and default tenants of this computer", "本机保存的服务器与默认单位"),
    "status": ("start", "is the server well: workers, backlog, last sweep", "服务状态：工作线程、积压、最近巡检"),
    "inbox": ("start", "notices for me", "我的通知"),
    "vm": ("order", "virtual machines", "虚拟机"),
    "volume": ("order", "volumes", "云硬盘"),
    "container": ("order", "container services", "容器服务"),
    "order": ("order", "orders: list, approve, refuse, withdraw", "申请单：查看、批准、驳回、撤回"),
    "resource": ("order", "all resources, stuck ones, quarantine", "全部资源、滞留与隔离资源"),
    "lease": ("order", "ends of resources: soon, past, extend", "资源租期：临期、届满与续期"),
    "template": ("order", "the catalogue: sizes and images", "目录：规格与镜像"),
    "apply": ("order", "make it as the documents say", "按文件内容创建或更新"),
    "diff": ("order", "what `apply` would change", "预览 apply 将产生的变更"),
    "tenant": ("org", "the tree of authorities and departments", "单位与部门"),
    "project": ("org", "projects of a tenant", "项目"),
    "person": ("org", "persons", "人员"),
    "account": ("org", "accounts and service accounts", "账号与服务账号"),
    "token": ("org", "tokens of my account", "访问令牌"),
    "role": ("org", "roles, and the table of what each may do", "角色与权限表"),
    "quota": ("org", "grants over the tenant tree", "配额"),
    "approval": ("org", "rules that say which orders need approval", "审批规则"),
    "pool": ("cloud", "pooled hardware", "资源池"),
    "host": ("cloud", "hosts of the pools, and their largest free block", "资源池主机与最大空闲块"),
    "price": ("money", "price books", "价目表"),
    "budget": ("money", "budgets: given, encumbered, spent, forecast", "预算：安排、占用、支出、预测"),
    "usage": ("money", "usage events and intervals", "用量"),
    "statement": ("money", "monthly statements", "结算单"),
    "hall": ("energy", "halls of the data centre", "机房模块"),
    "meter": ("energy", "meters and registers", "电表与寄存器"),
    "reading": ("energy", "readings of the meters", "抄表读数"),
    "pue": ("energy", "power usage effectiveness", "电能利用效率"),
    "audit": ("server", "the tamper-evident trail", "防篡改审计记录"),
    "serve": ("server", "run the server", "运行服务"),
    "init": ("server", "make a new installation", "初始化"),
    "backup": ("server", "back up and verify", "备份与校验"),
    "restore": ("server", "restore a backup, then accept it", "恢复与确认恢复"),
    "lab": ("server", "the lab cloud: a process that plays a cloud", "实验云：模拟云平台的进程"),
    "facility": ("server", "simulated Modbus meters", "模拟 Modbus 电表"),
    "completion": ("server", "shell completion for bash, zsh, fish", "命令补全（bash、zsh、fish）"),
}
_GROUPS: Final = {
    "start": ("Start here", "入门"),
    "order": ("Order and run", "申请与使用"),
    "org": ("Departments and quotas", "单位与配额"),
    "cloud": ("Cloud operations", "云平台运维"),
    "money": ("Money", "费用"),
    "energy": ("Energy", "能耗"),
    "server": ("Server", "服务端"),
}
MODULES: Final = {"diff": "apply", "logout": "login", "whoami": "login"}
_FLAGS: Final = {
    "--yes": ("yes", True),
    "-y": ("yes", True),
    "--wait": ("wait", True),
    "--no-wait": ("wait", False),
    "--dry-run": ("dry_run", True),
    "--no-color": ("color", False),
    "--debug": ("debug", True),
}
_VALUES: Final = {
    "-o": "output",
    "--output": "output",
    "--lang": "lang",
    "--context": "context",
    "--timeout": "timeout",
    "--confirm": "confirm",
}
_OPTIONS: Final = (
    ("-o, --output FORM", "table, json, yaml, csv or name", "输出格式：table、json、yaml、csv 或 name"),
    ("--context NAME", "which stored server to use", "使用哪个已保存的服务器"),
    ("--lang zh|en", "language of texts (else LANG)", "语言（默认取 LANG）"),
    ("--wait, --no-wait", "wait for the result", "是否等待完成"),
    ("--timeout S", "seconds to wait at most (600)", "最长等待秒数（默认 600）"),
    ("--dry-run", "show what would happen, change nothing", "仅预览，不作更改"),
    ("-y, --yes", "do not ask", "不再询问"),
    ("--confirm NAME", "name what may be destroyed", "写出允许销毁的对象名称"),
    ("--no-color", "no colour", "不使用颜色"),
    ("--version", "the version", "版本号"),
)


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


def run(argv: list[str]) -> int:
    """Run one command and return its exit code."""
    rest, given, fault = taken(argv)
    from cli import texts

    texts.settle(str(given.get("lang", "")))
    if fault:
        from cli import failure

        return failure.usage(fault, "govpool --help")
    if not rest or rest[0] in ("--help", "-h", "help"):
        sys.stdout.write(front_page())
        return 0
    if rest[0] == "--version":
        from primitives import version

        sys.stdout.write(f"govpool {version.VERSION}\n")
        return 0
    return _command(rest, given)


def taken(argv: list[str]) -> tuple[list[str], dict[str, object], str]:
    """Arguments without the options that every command takes, those options, and what is wrong with them ('' = nothing)."""
    rest: list[str] = []
    given: dict[str, object] = {}
    words = iter(argv)
    for word in words:
        name, equals, value = word.partition("=")
        if word == "--":
            return [*rest, word, *words], given, ""
        if word in _FLAGS:
            key, flag = _FLAGS[word]
            given[key] = flag
        elif name in _VALUES:
            if not equals:
                following = next(words, None)
                if following is None:
                    return rest, given, f"{word}: a value is missing"
                value = following
            given[_VALUES[name]] = value
        else:
            rest.append(word)
    return rest, given, ""


def front_page() -> str:
    """The text of `govpool --help`, from the table above."""
    from cli.texts import say

    lines = [say("Usage: govpool NOUN VERB [NAME] [OPTIONS]", "用法：govpool 名词 动词 [名称] [选项]"), ""]
    lines += [say("The control plane of a pooled government cloud.", "政务云统一资源池管理平台。")]
    for group, (en, zh) in _GROUPS.items():
        lines += ["", say(f"{en}:", f"{zh}：")]
        lines += [f"  {noun:<12}{say(text_en, text_zh)}" for noun, (at, text_en, text_zh) in NOUNS.items() if at == group]
    lines += ["", say("Options of every command:", "通用选项：")]
    lines += [f"  {option:<20}{say(en, zh)}" for option, en, zh in _OPTIONS]
    lines += ["", say("Exit codes:", "退出码：")]
    lines += [
        say(
            "  0 ok, 1 failed, 2 wrong usage, 3 not found, 4 login needed, 5 forbidden, 6 quota or budget,\n"
            "  7 conflict, 8 timed out waiting, 9 waiting for approval, 130 interrupted",
            "  0 成功，1 失败，2 用法错误，3 未找到，4 需要登录，5 无权限，6 超出配额或预算，\n"
            "  7 冲突，8 等待超时，9 等待审批，130 被中断",
        )
    ]
    return "\n".join(lines) + "\n"


def _command(rest: list[str], given: dict[str, object]) -> int:
    """Load the module of the noun and run it."""
    from cli import failure, texts

    noun = rest[0]
    if noun not in NOUNS:
        import difflib

        near = difflib.get_close_matches(noun, NOUNS, 1, 0.7)
        mend = f"govpool {near[0]}" if near else "govpool --help"
        return failure.usage(texts.say(f"there is no command {noun!r}", f"没有命令 {noun!r}"), mend)
    os.environ.setdefault("TYPER_USE_RICH", "0")
    from cli import session

    return session.run(noun, MODULES.get(noun, noun), rest[1:], given)


if __name__ == "__main__":
    main()
