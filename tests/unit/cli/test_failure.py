"""Errors: four lines in the language of the person, and the exit code that scripts rely on."""

import pytest

from apiclient import failure as api
from cli import failure, texts
from primitives import errors

PROBLEM = {
    "code": "quota.exceeded",
    "kind": "quota",
    "title": "Quota or budget exceeded",
    "detail": "cpu_milli: asked 16000, used 40000, limit 48000",
    "mend": "govpool quota show tax",
    "trace": "req-01k87psdq4ejsaurc7bser737j",
    "findings": [],
}


def test_the_four_lines_in_english(capsys: pytest.CaptureFixture[str]) -> None:
    texts.settle("en")
    assert failure.tell(api.ProblemError(PROBLEM, 409), ["vm", "create", "--size", "x"]) == 6
    assert capsys.readouterr().err == (
        "error: govpool vm create: Quota or budget exceeded (quota.exceeded)\n"
        "  why:   cpu_milli: asked 16000, used 40000, limit 48000\n"
        "  mend:  govpool quota show tax\n"
        "  trace: req-01k87psdq4ejsaurc7bser737j\n"
    )


def test_the_four_lines_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    texts.settle("zh")
    failure.tell(api.ProblemError(PROBLEM | {"title": "超出配额或预算"}, 409), ["vm", "create"])
    texts.settle("en")
    assert capsys.readouterr().err == (
        "错误：govpool vm create: 超出配额或预算 (quota.exceeded)\n"
        "  原因：cpu_milli: asked 16000, used 40000, limit 48000\n"
        "  办法：govpool quota show tax\n"
        "  追踪：req-01k87psdq4ejsaurc7bser737j\n"
    )


def test_what_the_parser_says_is_said_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    from cli import main

    for arguments, words in [
        (["vm", "lst"], "没有命令"),
        (["vm", "create", "web"], "缺少"),
        (["vm", "list", "--colour"], "没有"),
        (["vm", "list", "extra"], "多余"),
    ]:
        assert main.run([*arguments, "--lang", "zh"]) == 2
        assert words in capsys.readouterr().err, arguments
    texts.settle("en")


def test_findings_are_listed_and_bounded(capsys: pytest.CaptureFixture[str]) -> None:
    findings = [{"place": f"line {n}", "code": "x", "detail": "wrong"} for n in range(25)]
    failure.tell(api.ProblemError(PROBLEM | {"findings": findings}, 400), ["apply"])
    printed = capsys.readouterr().err
    assert "line 19: wrong" in printed and "line 20" not in printed and "and 5 more" in printed


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("invalid", 2),
        ("not_found", 3),
        ("unauthenticated", 4),
        ("forbidden", 5),
        ("quota", 6),
        ("conflict", 7),
        ("stale", 7),
        ("too_large", 2),
        ("unavailable", 1),
        ("internal", 1),
    ],
)
def test_exit_codes_follow_the_kind(kind: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert failure.tell(api.ProblemError(PROBLEM | {"kind": kind}, 400), ["vm"]) == code
    fault = next(one for one in errors.CATALOGUE.values() if one.kind.value == kind) if kind in ("invalid", "internal") else None
    if fault:
        assert failure.tell(fault(field="a", reason="b"), ["serve"]) == code
    capsys.readouterr()


def test_a_server_that_does_not_answer_and_a_defect_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    assert failure.tell(api.ConnectionFailedError("http://127.0.0.1:1", "refused"), ["vm", "list"]) == 1
    assert "no answer from http://127.0.0.1:1: refused" in capsys.readouterr().err
    assert failure.tell(KeyError("x"), ["vm", "list"]) == 1
    assert "--debug" in capsys.readouterr().err
