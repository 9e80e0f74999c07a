"""The front door: nothing heavy behind --help, options anywhere, help in both languages."""

import importlib
import pathlib
import subprocess
import sys
import tomllib

import pytest

from cli import main, texts
from primitives import version

ROOT = pathlib.Path(__file__).resolve().parents[3]


def ran(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A real process of the command."""
    clean = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": "/nonexistent", "LANG": "C.UTF-8", **environment}
    command = [sys.executable, "-m", "cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=clean, stdin=subprocess.DEVNULL, check=False, timeout=60)


def loaded(*arguments: str) -> set[str]:
    """The modules that a command imports."""
    program = "import sys; from cli import main; main.run(sys.argv[1:]); sys.stderr.write('\\n'.join(sys.modules))"
    command = [sys.executable, "-c", program, *arguments]
    return set(subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True, timeout=60).stderr.split("\n"))


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["--version"], ["--lang", "zh", "--help"]])
def test_help_and_version_load_nothing_heavy(arguments: list[str]) -> None:
    heavy = {
        "typer",
        "dataclasses",
        "json",
        "http.client",
        "ssl",
        "asyncio",
        "sqlalchemy",
        "msgspec",
        "yaml",
        "argparse",
        "difflib",
        "inspect",
    }
    assert not loaded(*arguments) & heavy


def test_a_command_does_not_load_the_server() -> None:
    rooms = {"apiserver", "control", "store", "tenants", "quotas", "pools", "orders", "metering", "provisioners", "pue_monitor"}
    for noun in main.NOUNS:
        modules = loaded(noun, "--help")
        assert not {module.partition(".")[0] for module in modules} & (rooms | {"sqlalchemy", "rich", "yaml", "ssl"}), noun


def test_every_noun_has_its_module_and_a_text_in_both_languages() -> None:
    for noun, (group, en, zh) in main.NOUNS.items():
        module = importlib.import_module(f"cli.{main.MODULES.get(noun, noun)}")
        assert hasattr(module, "app" if noun not in main.MODULES else noun), noun
        assert group in main._GROUPS and en.isascii() and not zh.isascii(), noun


def test_the_help_speaks_both_languages() -> None:
    assert "Order and run:" in ran("--help").stdout
    for chinese in (ran("--help", "--lang", "zh"), ran("--help", LANG="zh_CN.UTF-8"), ran("--help", GOVPOOL_LANG="zh")):
        assert "申请与使用：" in chinese.stdout and chinese.stdout.count("\n") == ran("--help").stdout.count("\n")


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == version.VERSION
    assert ran("--version").stdout == f"govpool {version.VERSION}\n"


@pytest.mark.parametrize(
    ("argv", "rest", "given"),
    [
        (["vm", "list", "-o", "json"], ["vm", "list"], {"output": "json"}),
        (["-o", "json", "vm", "list"], ["vm", "list"], {"output": "json"}),
        (["--output=json", "vm", "--yes", "delete", "a"], ["vm", "delete", "a"], {"output": "json", "yes": True}),
        (
            ["vm", "create", "--no-wait", "--dry-run", "--timeout", "5"],
            ["vm", "create"],
            {"wait": False, "dry_run": True, "timeout": "5"},
        ),
        (["a", "--", "-o", "json"], ["a", "--", "-o", "json"], {}),
        (["a", "--reason", "x=y"], ["a", "--reason", "x=y"], {}),
    ],
)
def test_options_of_every_command_stand_anywhere(argv: list[str], rest: list[str], given: dict[str, object]) -> None:
    assert main.taken(argv) == (rest, given, "")


def test_wrong_usage_is_four_lines_and_exit_2() -> None:
    for arguments, why, mend in [
        (["vmm"], "there is no command 'vmm'", "govpool vm"),
        (["vm", "lst"], "No such command 'lst'", "govpool vm list"),
        (["vm", "list", "-o"], "-o: a value is missing", "govpool --help"),
        (["vm", "list", "-o", "xml"], "-o xml: there is no such form", "-o table|json|yaml|csv|name"),
        (["vm", "list", "--timeout", "-1"], "--timeout is 0 to 86400 seconds", "--timeout 600"),
        (["vm", "create", "web"], "Missing option '--size'", "govpool vm create --help"),
        (["status", "--context", "other"], "there is no context 'other'", "govpool context list"),
    ]:
        done = ran(*arguments)
        lines = done.stderr.splitlines()
        assert done.returncode == 2 and done.stdout == "", arguments
        assert [line[:8] for line in lines] == ["error: " + lines[0][7:8], "  why:  ", "  mend: ", "  trace:"], arguments
        assert why in lines[1] and mend in lines[2], arguments


def test_the_language_of_a_text_is_settled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GOVPOOL_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    assert [texts.settle(wanted) for wanted in ("zh_CN", "en", "fr", "")] == ["zh", "en", "en", "en"]
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    assert (texts.settle(), texts.say("a", "甲")) == ("zh", "甲")
    assert (texts.settle("en"), texts.say("a", "甲")) == ("en", "a")


def test_a_noun_without_a_verb_answers_with_its_help() -> None:
    for noun in ("vm", "order", "quota", "context"):
        done, asked = ran(noun), ran(noun, "--help")
        assert (done.returncode, done.stderr) == (0, "") and done.stdout.strip() == asked.stdout.strip() and "list" in done.stdout


def test_help_is_whole_sentences_with_names_in_capitals() -> None:
    text = ran("vm", "create", "--help").stdout
    assert "govpool vm create [OPTIONS] NAME" in text and "--size SIZE" in text and "--count N" in text
    assert "<str>" not in text and "{" not in text
    assert "..." not in ran("restore", "--help").stdout.partition("Commands:")[2], "a verb's text is not cut"


def test_help_and_usage_errors_are_chinese_where_asked() -> None:
    text = ran("vm", "create", "--help", "--lang", "zh").stdout
    assert "用法：" in text and "选项：" in text and "必填" in text and "Usage" not in text and "required" not in text
    for arguments, why in [
        (["order", "show"], "缺少参数 'NUMBER'"),
        (["vm", "list", "--x"], "没有选项 --x"),
        (["vm", "list", "x"], "多余的参数：x"),
        (["vm", "lst"], "没有命令 'lst'"),
        (["statement", "show", "tax"], "缺少选项 '--month'"),
        (["vm", "create", "a", "--count", "x"], "'--count' 须为整数"),
        (["vm", "create", "a", "--count", "0"], "'--count' 不得小于 1"),
        (["vm", "create", "a", "--count", "101"], "'--count' 不得大于 100"),
        (["quota", "simulate", "-f", "none.csv"], "文件 'none.csv' 不存在"),
    ]:
        done = ran(*arguments, "--lang", "zh")
        assert done.returncode == 2 and why in done.stderr.splitlines()[1], done.stderr


def test_a_context_takes_the_url_of_a_server_only(tmp_path: pathlib.Path) -> None:
    wrong = ran("context", "set", "city", "--server", "nonsense", HOME=str(tmp_path))
    assert wrong.returncode == 2 and "'nonsense' is not the URL of a server" in wrong.stderr
    assert ran("context", "set", "city", "--server", "https://cloud.example:8443", HOME=str(tmp_path)).returncode == 0
