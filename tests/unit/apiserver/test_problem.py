"""Every fault of the product becomes problem details that a person and a program can use."""

import datetime
import re
import string
from typing import Any

import msgspec
import pytest

from apiserver import problem, routes
from cli import failure
from primitives import errors


def filling(fault: errors.Fault) -> dict[str, Any]:
    """Some value for every name in the texts of a fault; `{told[en]}` asks for a mapping."""
    texts = fault.en + fault.zh + fault.mend_en + fault.mend_zh
    names = {name for _, name, _, _ in string.Formatter().parse(texts) if name}
    return {name.partition("[")[0]: {"en": "a", "zh": "甲"} if "[" in name else "a" for name in names}


def test_every_kind_of_fault_has_a_status_and_an_exit_code() -> None:
    for kind in errors.Kind:
        assert 400 <= problem.STATUS[kind] <= 599
        assert kind.value in failure.EXIT or kind in (errors.Kind.UNAVAILABLE, errors.Kind.INTERNAL)


def test_every_fault_of_the_product_is_a_whole_problem_in_both_languages() -> None:
    routes.gathered()
    assert len(errors.CATALOGUE) > 30
    for fault in errors.CATALOGUE.values():
        for lang in ("en", "zh"):
            found = problem.of(fault(**filling(fault)), lang, "req-1")
            assert found.detail and found.mend and found.title and found.type == f"urn:govpool:problem:{fault.code}"
            assert fault.code.isascii() and found.trace == "req-1"
            msgspec.json.encode(found)
        if re.sub(r"\{.*?\}", "", fault.zh).strip("：: "):  # else the text is only its values
            assert any("\u4e00" <= c <= "\u9fff" for c in fault.zh), f"{fault.code} has no Chinese"


def test_values_and_findings_travel_and_what_json_does_not_know_becomes_text() -> None:
    at = datetime.datetime(2026, 10, 1, tzinfo=datetime.UTC)
    error = errors.INVALID(field="a", reason="b", at=at, findings=(errors.Finding("line 3", "x.y", "wrong"),))
    found = msgspec.to_builtins(problem.of(error, "en", "req-1"))
    assert found["values"] == {"field": "a", "reason": "b", "at": str(at)}
    assert found["findings"] == [{"place": "line 3", "code": "x.y", "detail": "wrong"}]


@pytest.mark.parametrize(
    ("code", "status", "headers"),
    [
        ("route.method", 405, {"Allow": "GET"}),
        ("input.content_type", 415, {}),
        ("precondition.missing", 428, {}),
        ("server.busy", 503, {"Retry-After": "2"}),
        ("lane.repeat", 503, {"Retry-After": "2"}),
        ("auth.missing", 401, {"WWW-Authenticate": 'Bearer realm="govpool"'}),
        ("internal", 500, {}),
    ],
)
def test_status_and_headers_belong_to_the_fault(code: str, status: int, headers: dict[str, str]) -> None:
    routes.gathered()
    error = errors.CATALOGUE[code](allow="GET")
    assert (problem.status_of(error), problem.headers(error)) == (status, headers)
