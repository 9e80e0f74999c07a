"""Moments for people: Asia/Shanghai, to the second, with the offset."""

import datetime

from hypothesis import given
from hypothesis import strategies as st

from cli import moments


def test_the_october_of_a_statement_begins_on_the_first() -> None:
    assert moments.local("2026-09-30T16:00:00Z") == "2026-10-01T00:00:00+08:00"
    assert moments.local("ended 2026-11-24T22:47:42.786685Z, ours 112") == "ended 2026-11-25T06:47:42+08:00, ours 112"


def test_what_is_no_moment_stays() -> None:
    for text in ("2026-13-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-10-01T00:00:00+08:00", "T", "网站", ""):
        assert moments.local(text) == text


FIRST, LAST = (datetime.datetime.fromisoformat(day) for day in ("1970-01-02", "9999-12-30"))


@given(st.datetimes(min_value=FIRST, max_value=LAST))
def test_a_moment_stays_the_same_moment(at: datetime.datetime) -> None:
    said = datetime.datetime.fromisoformat(moments.local(at.isoformat() + "Z"))
    assert said == at.replace(tzinfo=datetime.UTC, microsecond=0)
