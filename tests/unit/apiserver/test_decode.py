"""Whatever a client sends becomes a bounded struct or a clear fault, never another exception."""

import json
from typing import Annotated, Any

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from apiserver import decode, faults, page, route
from primitives import errors


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A body with bounds."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=8)]
    count: Annotated[int, msgspec.Meta(ge=0, le=10)] = 0
    free: Any = None


class Query(page.Query, kw_only=True):
    """A query with a flag."""

    unread: bool = False


PUT = route.change("PUT", "/v1/things/{name}", "thing.set", lambda call: None, body=Body, if_match=True)
LIST = route.read("GET", "/v1/things", "thing.list", lambda tx, call: None, query=Query)
BARE = route.read("GET", "/v1/thing", "thing.show", lambda tx, call: None)


def refused(code: str, function: Any, *arguments: Any) -> errors.GovpoolError:
    """The fault that a call ends in."""
    with pytest.raises(errors.GovpoolError) as raised:
        function(*arguments)
    assert raised.value.code == code
    return raised.value


def fault_of(function: Any, *arguments: Any) -> errors.Fault | None:
    """The fault that a call ends in, if any; any other exception goes through."""
    try:
        function(*arguments)
    except errors.GovpoolError as error:
        return error.fault
    return None


@pytest.mark.parametrize(
    ("content", "field"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b"null", "body"),
        (b'{"name": 1}', "name"),
        (b'{"name": ""}', "name"),
        (b'{"name": "123456789"}', "name"),
        (b'{"name": "a", "count": -1}', "count"),
        (b'{"name": "a", "count": 1e3}', "count"),
        (b'{"name": "a", "count": 99999999999999999999999999}', "count"),
        (b'{"name": "a", "free": 1e999}', "free"),
        (b'{"name": "a", "other": 1}', "body"),
        (b'{"name": "\xff"}', "body"),
        (b'{"name": "a\\u0000"}', "body"),
        (b'{"name": "\\ud800"}', "body"),
        ('{"name": "税务局"}'.encode("gb18030"), "body"),
        (b'{"name": "a"} {"name": "b"}', "body"),
    ],
)
def test_a_wrong_body_names_the_field(content: bytes, field: str) -> None:
    assert refused("input.invalid", decode.body, PUT, content).values["field"] == field


def test_a_body_nested_too_deep_is_refused_before_it_is_built() -> None:
    for content in (b"[" * 100_000, b'{"name":' * 33, b'{"name":"a","free":' + b"[" * 32 + b"]" * 32 + b"}"):
        refused("input.too_deep", decode.body, PUT, content)
    assert decode.body(PUT, b'{"name":"a","free":' + b"[" * 31 + b"]" * 31 + b"}").name == "a"


def test_brackets_inside_text_are_not_depth() -> None:
    text = "[{" * 50 + '"'
    assert decode.body(PUT, json.dumps({"name": "a", "free": text}).encode()).free == text


@hypothesis.given(st.binary(max_size=200))
def test_no_bytes_make_another_exception(content: bytes) -> None:
    fault = fault_of(decode.body, PUT, content)
    assert fault in (None, errors.INVALID, faults.TOO_DEEP)


@hypothesis.given(st.binary(max_size=100))
def test_no_query_string_makes_another_exception(content: bytes) -> None:
    for declared in (PUT, LIST, BARE):
        assert fault_of(decode.query, declared, content) in (None, errors.INVALID)


def test_an_unknown_parameter_is_refused_everywhere() -> None:
    for declared in (PUT, LIST, BARE):
        refused("input.invalid", decode.query, declared, b"color=red")
    refused("input.invalid", decode.query, LIST, b"limit=5&limit=6")
    refused("input.invalid", decode.query, LIST, b"limit=501")
    refused("input.invalid", decode.query, LIST, b"cursor=%00")
    assert decode.query(LIST, b"limit=500&unread=true") == (Query(limit=500, unread=True), False)


def test_only_a_change_can_be_rehearsed() -> None:
    assert decode.query(PUT, b"dry_run=true") == (None, True)
    refused("input.invalid", decode.query, PUT, b"dry_run=1")
    refused("input.invalid", decode.query, LIST, b"dry_run=true")


def test_a_change_needs_a_key_and_login_does_not() -> None:
    error = refused("idempotency.missing", decode.idempotency_key, PUT, None, "key-1")
    assert "key-1" in error.mend("en")
    for bad in ("", "a" * 129, "a b", "é", "a\n"):
        refused("idempotency.invalid", decode.idempotency_key, PUT, bad, "key-1")
    login = route.change("POST", "/v1/login", "login", lambda call: None, open=True)
    assert decode.idempotency_key(login, None, "key-1") == ""


def test_if_match_is_the_etag_that_was_read() -> None:
    assert decode.if_match(PUT, '"3"') == decode.if_match(PUT, "3") == 3
    refused("precondition.missing", decode.if_match, PUT, None)
    for bad in ('W/"3"', "*", '"x"', '"-1"', "", '"' + "9" * 16 + '"', "٣"):
        refused("input.invalid", decode.if_match, PUT, bad)
    assert decode.if_match(LIST, None) is None


@pytest.mark.parametrize(
    ("header", "lang"),
    [
        (None, "zh"),
        ("", "zh"),
        ("en", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en;q=0.5, zh;q=0.7", "zh"),
        ("fr", "zh"),
        ("en;q=x, en;q=0.1", "en"),
        ("*", "zh"),
    ],
)
def test_the_language_is_the_one_wanted_most(header: str | None, lang: str) -> None:
    assert decode.language(header, "zh") == lang


def test_a_reason_is_percent_encoded_text() -> None:
    assert decode.reason("%E6%8C%89%E6%96%87%E5%8F%B7") == "按文号"
    for bad in ("%ff", "%00", "a" * 501):
        refused("input.invalid", decode.reason, bad)
