"""From an error to the four lines on standard error and the exit code: what failed, why, what mends it, the trace id."""

import difflib
import re
import sys
from typing import Any, Final

from cli import moments
from cli.texts import say

FAILED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
LOGIN: Final = 4
FORBIDDEN: Final = 5
QUOTA: Final = 6
CONFLICT: Final = 7
TIMED_OUT: Final = 8
WAITING_FOR_APPROVAL: Final = 9
INTERRUPTED: Final = 130

EXIT: Final = {
    "invalid": USAGE,
    "unauthenticated": LOGIN,
    "forbidden": FORBIDDEN,
    "not_found": NOT_FOUND,
    "conflict": CONFLICT,
    "stale": CONFLICT,
    "quota": QUOTA,
    "too_large": USAGE,
}
_FINDINGS_SHOWN: Final = 20
_PARSER: Final = (
    (re.compile(r"Missing argument ('.+')\."), "缺少参数 {0}"),
    (re.compile(r"Missing option ('.+')\."), "缺少选项 {0}"),
    (re.compile(r"No such option: (.+)"), "没有选项 {0}"),
    (re.compile(r"No such command ('.+')\."), "没有命令 {0}"),
    (re.compile(r"Option ('.+') requires an argument\."), "选项 {0} 缺少取值"),
    (re.compile(r"Got unexpected extra argument(?:s|\(s\))? \((.+)\)"), "多余的参数：{0}"),
    (re.compile(r"Invalid value for ('.+?'): .*valid integer.*"), "{0} 须为整数"),
    (re.compile(r"Invalid value for ('.+?'): .*less than or equal to (\S+?)\.?"), "{0} 不得大于 {1}"),
    (re.compile(r"Invalid value for ('.+?'): .*greater than or equal to (\S+?)\.?"), "{0} 不得小于 {1}"),
    (re.compile(r"Invalid value for (.+?): file ('.+') does not exist\.?"), "{0}：文件 {1} 不存在"),
    (re.compile(r"Invalid value for ('.+?'): (.+?)\.?"), "{0} 的取值有误：{1}"),
)


class UsageError(Exception):
    """The command line itself is wrong; `mend` is the way out."""

    def __init__(self, why: str, mend: str) -> None:
        self.why = why
        self.mend = mend
        super().__init__(why)


class NotFoundError(UsageError):
    """Nothing of that name; exit 3."""


def usage(why: str, mend: str, what: str = "") -> int:
    """Say a usage error; returns its exit code."""
    _lines(what or say("wrong usage", "用法错误"), why, mend, "")
    return USAGE


def tell(error: Exception, words: list[str]) -> int:
    """Say any error of the command `words`; returns the exit code."""
    import typer

    from apiclient import failure as api
    from primitives import errors

    what = "govpool " + " ".join(word for word in words[:2] if not word.startswith("-"))
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, typer.Abort):
        return INTERRUPTED
    if isinstance(error, UsageError):
        if isinstance(error, NotFoundError):
            _lines(what, error.why, error.mend, say("none", "无"))
            return NOT_FOUND
        return usage(error.why, error.mend, what)
    if isinstance(error, api.ProblemError):
        findings = [f"{finding.get('place', '')}: {finding.get('detail', '')}" for finding in error.findings]
        _lines(f"{what}: {error.title or error.status} ({error.code})", error.detail, error.mend, error.trace, findings)
        return EXIT.get(error.kind, FAILED)
    if isinstance(error, errors.GovpoolError):
        lang = say("en", "zh")
        findings = [f"{finding.place}: {finding.detail}" for finding in error.findings]
        _lines(f"{what} ({error.code})", error.text(lang), error.mend(lang), "", findings)
        return EXIT.get(error.fault.kind.value, FAILED)
    if isinstance(error, api.ConnectionFailedError):
        why = say(f"no answer from {error.server}: {error.reason}", f"{error.server} 无应答：{error.reason}")
        _lines(
            what,
            why,
            say(
                "check the server: govpool context list; start one: govpool serve",
                "请检查服务器：govpool context list；或启动：govpool serve",
            ),
            "",
        )
        return FAILED
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()
        return FAILED
    if isinstance(error, OSError | ValueError):
        _lines(what, str(error), say("correct it and try again", "更正后重试"), "")
        return FAILED
    return _click(error, what)


def _click(error: Any, what: str) -> int:
    """Usage errors of typer's own parser, with 'did you mean' added; a noun without a verb is a question, and its help the answer."""
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stdout.write(error.format_message() + "\n")
        return 0
    if not hasattr(error, "format_message"):  # not typer's UsageError, which it does not export
        why = f"{type(error).__name__}: {error}".partition("\n")[0]
        _lines(what, why, say("run it again with --debug and report what it prints", "请加 --debug 重新运行，并报告其输出"), "")
        return FAILED
    ctx = getattr(error, "ctx", None)
    mend = f"{ctx.command_path} --help" if ctx else f"{what} --help"
    verbs = getattr(ctx.command, "commands", {}) if ctx else {}
    why = _parsed(error.format_message().partition(" Did you mean")[0])
    wrong = next((word for word in why.split("'")[1:2]), "")
    near = difflib.get_close_matches(wrong, verbs, 1, 0.7)
    if near and ctx:
        mend = f"{ctx.command_path} {near[0]}"
    return usage(why, mend, what)


def _parsed(why: str) -> str:
    """A sentence of typer's parser in the language of the person."""
    for english, chinese in _PARSER:
        found = english.fullmatch(why)
        if found:
            return say(why, chinese.format(*found.groups()))
    return why


def _lines(what: str, why: str, mend: str, trace: str, findings: list[str] | None = None) -> None:
    rows = [say(f"error: {what}", f"错误：{what}"), say(f"  why:   {why}", f"  原因：{why}")]
    shown = (findings or [])[:_FINDINGS_SHOWN]
    rows += [f"         {finding}" for finding in shown]
    hidden = len(findings or []) - len(shown)
    if hidden:
        rows.append(say(f"         and {hidden} more", f"         另有 {hidden} 项"))
    none = say("none; the request did not reach a server", "无；请求未到达服务器")
    rows += [say(f"  mend:  {mend}", f"  办法：{mend}"), say(f"  trace: {trace or none}", f"  追踪：{trace or none}")]
    sys.stderr.write(moments.local("\n".join(rows)) + "\n")
