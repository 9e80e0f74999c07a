"""What the decoder says reaches a Chinese reader in Chinese: the table is held against the decoder itself."""

import re
from typing import Annotated, Any, Literal

import msgspec
import pytest

from apiserver import decode, problem, route, wording
from primitives import clock, errors, interval, money
from provisioners import lease
from tenants import faults


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Every kind of bound."""

    a: Annotated[int, msgspec.Meta(ge=1, le=5)] = 1
    b: Annotated[str, msgspec.Meta(min_length=2, max_length=3)] = "ab"
    c: Annotated[list[int], msgspec.Meta(min_length=1, max_length=2)] | None = None
    d: Literal["x", "y"] = "x"
    e: Annotated[str, msgspec.Meta(pattern="^[a-z]+$")] = "a"
    f: Annotated[int, msgspec.Meta(gt=0, lt=9)] = 1
    g: bool = False
    h: Annotated[str, msgspec.Meta(max_length=3)] | None = None
    i: dict[str, int] = {}


class Needed(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A field that must be there."""

    must: int


WRONG = [
    b'{"a": "x"}',
    b'{"a": 0}',
    b'{"a": 6}',
    b'{"a": 99999999999999999999999999}',
    b'{"b": "a"}',
    b'{"b": "abcd"}',
    b'{"c": []}',
    b'{"c": [1, 2, 3]}',
    b'{"c": {}}',
    b'{"d": "z"}',
    b'{"e": "A"}',
    b'{"f": 0}',
    b'{"f": 9}',
    b'{"g": 1}',
    b'{"h": 1}',
    b'{"i": []}',
    b'{"q": 1}',
    b"{",
    b"{]",
    b"[]",
    b'{"b": "\xff"}',
    b'{"b": "\\u0000"}',
]


@pytest.mark.parametrize("content", WRONG)
def test_what_the_decoder_says_is_said_in_chinese(content: bytes) -> None:
    declared = route.change("POST", "/v1/x", "x.make", lambda call: None, body=Body)
    with pytest.raises(errors.GovpoolError) as raised:
        decode.body(declared, content)
    shown = problem.of(raised.value, "zh", "req-1")
    assert any("\u4e00" <= c <= "\u9fff" for c in shown.values["reason"]), shown.values["reason"]
    assert shown.values["reason"] in shown.detail
    assert problem.of(raised.value, "en", "req-1").values["reason"] == raised.value.values["reason"], "English stays as it was"


def test_a_missing_field_and_wrong_times_too() -> None:
    declared = route.change("POST", "/v1/x", "x.make", lambda call: None, body=Needed)
    calls: list[Any] = [
        lambda: decode.body(declared, b"{}"),
        lambda: decode.query(declared, b"a=1"),
        lambda: decode.query(declared, b"dry_run=x"),
        lambda: clock.parse("gestern"),
        lambda: clock.parse("2026-10-01T00:00:00"),
        lambda: interval.month("2026-13"),
    ]
    for call in calls:
        with pytest.raises(errors.GovpoolError) as raised:
            call()
        assert any("\u4e00" <= c <= "\u9fff" for c in wording.chinese(raised.value.values["reason"])), raised.value


def test_a_finding_is_said_in_chinese_behind_its_field_or_alone() -> None:
    assert wording.chinese("amount: '一百' is not a whole number") == "amount: '一百' 不是整数"
    assert wording.chinese("'cpu' is not counted here; known names: cpu_milli") == "没有配额项 'cpu'，可用的配额项：cpu_milli"
    assert wording.chinese("order: nobody knows") == "order: nobody knows"


@pytest.mark.parametrize("text", ["2026-13-45", "2020-01-01", "2099-01-01", "2026-11-25", "2026-12-01T00:00:00.5Z", "gestern"])
def test_an_end_that_cannot_be_is_refused_in_chinese(text: str) -> None:
    with pytest.raises(errors.GovpoolError) as raised:
        lease.end_at(text, clock.parse("2026-11-25T02:00:00Z"))
    assert not re.search("[a-z]{4}", wording.chinese(raised.value.values["reason"]).replace("none", "").replace("gestern", ""))


@pytest.mark.parametrize("text", ["十二万", "120,000", "1e5", ""])
def test_an_amount_that_is_none_is_refused_in_chinese(text: str) -> None:
    with pytest.raises(errors.GovpoolError) as raised:
        money.parse(text)
    assert "不是以元计的金额" in wording.chinese(raised.value.values["reason"])


def test_what_is_unknown_is_named_in_chinese() -> None:
    assert problem.of(faults.UNKNOWN(kind="project"), "zh", "t").detail == "不存在该对象（项目），或您无权查看"
    assert problem.of(faults.UNKNOWN(kind="project"), "zh", "t").values["kind"] == "project"


def test_what_is_not_known_stays_as_it_is() -> None:
    assert wording.chinese("something new (100%) {x}") == "something new (100%) {x}"
