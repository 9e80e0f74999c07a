"""A list is walked page by page: nothing is skipped, nothing comes twice, and a forged cursor is a clear fault."""

import base64
import contextlib
import types
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from apiserver import page
from primitives import errors


def call(limit: int, cursor: str = "") -> Any:
    """A call as `page` sees it."""
    return types.SimpleNamespace(query=page.Query(limit=limit, cursor=cursor))


@hypothesis.given(
    st.sets(st.tuples(st.text(max_size=5).filter(lambda t: "\x00" not in t), st.integers(0, 9)), max_size=30), st.integers(1, 7)
)
def test_walking_the_pages_gives_every_row_once(rows: set[tuple[str, int]], limit: int) -> None:
    ordered = sorted(rows)
    seen: list[Any] = []
    cursor = ""
    while True:
        asked = call(limit, cursor)
        after = page.after(asked, str, int)
        found = [row for row in ordered if after is None or row > tuple(after)][: limit + 1]
        answer = page.of(found, asked, list)
        assert len(answer["items"]) <= limit
        seen += answer["items"]
        if answer["next"] is None:
            break
        cursor = answer["next"]
    assert seen == ordered


@hypothesis.given(st.text(max_size=60))
def test_no_cursor_makes_another_exception(cursor: str) -> None:
    with contextlib.suppress(errors.GovpoolError):
        page.after(call(5, cursor), str)


@pytest.mark.parametrize(
    "content", ['["a"]', "[1, 2]", "{}", '["a", true]', '["a", 9223372036854775808]', '["a\\u0000", 1]', '["\\ud800", 1]']
)
def test_a_cursor_of_another_shape_is_refused(content: str) -> None:
    forged = base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")
    with pytest.raises(errors.GovpoolError, match=r"input\.cursor"):
        page.after(call(5, forged), str, int)
