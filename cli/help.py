"""The help of a noun and its verbs: whole sentences, names in capitals, both languages.

Typer writes `{name} <str>`, cuts long texts and speaks English only; `dress` makes of it what a person reads in a manual.
"""

import re
from typing import Any, Final

from cli import texts

_CHINESE: Final = (
    (re.compile(r"^Usage: ", re.M), "用法："),
    (re.compile(r"^Arguments:", re.M), "参数："),
    (re.compile(r"^Options:", re.M), "选项："),
    (re.compile(r"^Commands:", re.M), "命令："),
    (re.compile(r"\brequired\]"), "必填]"),
    (re.compile(r"\[default: "), "[默认 "),
    (re.compile(r"Show this message and exit\."), "显示本帮助"),
)
_BRACES: Final = re.compile(r"\{([^}\s]+)\}")


def dress(command: Any) -> Any:
    """The click command of a noun, with all below it, as people should read it; returns the same command."""
    command.help = sentence(command.help or "")
    plain = command.get_help
    command.get_help = lambda ctx: worded(plain(ctx))
    for each in command.params:
        _name(each)
    for verb in getattr(command, "commands", {}).values():
        verb.epilog = verb.epilog or command.epilog
        dress(verb)
        verb.short_help = verb.help  # typer would cut it at the window's edge
    return command


def sentence(text: str) -> str:
    """A help text as a sentence: a capital and a full stop in English, no full stop in Chinese."""
    text = text.strip()
    if texts.lang() == "zh":
        return text.rstrip("。")
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "...")) or not text else ".")


def worded(text: str) -> str:
    """Typer's help in the language of the person; a required argument without braces."""
    usage, newline, rest = text.partition("\n\n")
    text = _BRACES.sub(r"\1", usage) + newline + rest
    if texts.lang() == "zh":
        for english, chinese in _CHINESE:
            text = english.sub(chinese, text)
    return text


def _name(parameter: Any) -> None:
    if parameter.param_type_name == "argument":
        parameter.metavar = (parameter.metavar or parameter.name).strip("[]").upper()
        parameter.display_type_rich = lambda ctx: None
    elif not parameter.is_flag and parameter.metavar is None:
        parameter.metavar = "N" if parameter.bare_type() == "int" else parameter.opts[0].lstrip("-").replace("-", "_").upper()
