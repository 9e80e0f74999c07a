"""The lowest floor: ids sort by time, months are cut in Beijing, parts sum to the whole, money is exact."""

import datetime
import decimal
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from primitives import clock, errors, ids, interval, money, quantity

MOMENTS = st.datetimes(timezones=st.just(datetime.UTC)).filter(lambda at: 1971 <= at.year < 2199)


def test_ids_ascend_are_labels_and_never_repeat() -> None:
    made = [ids.new("vm") for _ in range(5000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    assert all(re.fullmatch(r"vm-[0-9a-v]{26}", one) for one in made)
    assert ids.is_id(made[0], "vm")
    assert not ids.is_id(made[0], "vol")
    assert ids.kind_of("税务局") == ""


@given(MOMENTS)
def test_a_moment_survives_the_database_and_the_wire(at: datetime.datetime) -> None:
    assert clock.from_us(clock.to_us(at)) == at
    assert clock.parse(clock.text(at)) == at


@pytest.mark.parametrize(
    "text", ["", "2026-10-01", "2026-10-01T00:00:00", "tomorrow", "1969-12-31T23:59:59Z", "2200-01-01T00:00:00Z"]
)
def test_a_time_without_offset_or_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(errors.GovpoolError) as caught:
        clock.parse(text)
    assert caught.value.code == "input.invalid"


def test_october_in_beijing_begins_on_the_last_of_september_in_utc() -> None:
    october = interval.month("2026-10")
    assert clock.text(october.start_at) == "2026-09-30T16:00:00Z"
    assert clock.text(october.end_at) == "2026-10-31T16:00:00Z"
    assert interval.month("2027-12").end_at == interval.month("2028-01").start_at


@given(MOMENTS)
def test_each_moment_lies_in_the_month_it_is_said_to(at: datetime.datetime) -> None:
    if at.astimezone(interval.SHANGHAI).year >= 2000:
        assert interval.month(interval.month_of(at)).contains(at)


@given(st.integers(-(10**15), 10**15), st.dictionaries(st.text(max_size=3), st.integers(0, 10**6), min_size=1, max_size=8))
def test_parts_sum_to_the_whole_and_no_part_is_off_by_one(total: int, weights: dict[str, int]) -> None:
    if sum(weights.values()) == 0:
        with pytest.raises(ValueError, match="weights"):
            quantity.shared(total, weights)
        return
    parts = quantity.shared(total, weights)
    assert sum(parts.values()) == total
    for key, weight in weights.items():
        assert abs(decimal.Decimal(parts[key]) - decimal.Decimal(total) * weight / sum(weights.values())) < 1


@given(st.decimals(-999_999_999, 999_999_999, places=6))
def test_money_survives_its_text(amount: decimal.Decimal) -> None:
    assert decimal.Decimal(money.text(money.parse(f"{amount:.6f}"), 6)) == amount


@given(st.integers(-(10**15), 10**15))
def test_fen_round_half_up_as_decimal_does(micro: int) -> None:
    expected = (decimal.Decimal(micro) / 10**6).quantize(decimal.Decimal("0.01"), decimal.ROUND_HALF_UP)
    assert decimal.Decimal(money.text(micro)) == expected


@pytest.mark.parametrize("text", ["1e3", "0.0000001", "１２", "", ".5", "1,000", "NaN", "1234567890"])
def test_an_amount_that_is_no_plain_decimal_is_refused(text: str) -> None:
    with pytest.raises(errors.GovpoolError):
        money.parse(text)
