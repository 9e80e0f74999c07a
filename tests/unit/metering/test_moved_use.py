"""A move cuts use in two: each side pays its part to the second, and together they pay what one would have paid."""

import collections
import dataclasses
import datetime

from hypothesis import given
from hypothesis import strategies as st

from metering import model, rating, rules
from primitives import money
from tests.unit.metering import worlds
from tests.unit.metering.worlds import OCTOBER

GIVER, TAKER = "税务局", "卫生健康局"
UNTIL = OCTOBER.start_at + datetime.timedelta(seconds=120)


def moved(events: list[model.UsageEvent], at: datetime.datetime) -> list[model.UsageEvent]:
    """The same life, with another owner from `at` on: the state of that moment is said once more, by the taker, as a move does."""
    split = []
    for subject in sorted({event.subject for event in events}):
        own = sorted((event for event in events if event.subject == subject), key=rules.precedence)
        before = [event for event in own if event.at <= at]
        later = [dataclasses.replace(event, tenant=TAKER) for event in own if event.at > at]
        said = [
            dataclasses.replace(before[-1], id=f"{subject}.moved", source="urn:moves", at=at, sequence=99, tenant=TAKER)
            for _ in before[-1:]
        ]
        split += [*before, *said, *later]
    return split


def sums(lines: tuple[model.Line, ...], *, by_tenant: bool = False) -> dict[tuple[str, ...], tuple[int, int]]:
    """(SKU, price version) -> unit-seconds and fen."""
    found: dict[tuple[str, ...], list[int]] = collections.defaultdict(lambda: [0, 0])
    for line in lines:
        key = (line.sku, line.price_version, *([line.tenant] if by_tenant else []))
        found[key][0] += line.unit_seconds
        found[key][1] += line.amount_micro // money.FEN
    return {key: (used, fen) for key, (used, fen) in found.items()}


@given(worlds.events(), worlds.books(), st.integers(-30, 110), st.sampled_from((0, 250_000, 999_999)))
def test_cutting_at_the_move_changes_no_unit_second_and_no_sum_beyond_one_rounding(
    events: list[model.UsageEvent], books: list[model.PriceBook], second: int, microseconds: int
) -> None:
    owned = [dataclasses.replace(event, tenant=GIVER, project="一窗通办") for event in events]
    at = OCTOBER.start_at + datetime.timedelta(seconds=second, microseconds=microseconds)
    whole = rating.rate(rules.intervals(owned, UNTIL), books, OCTOBER)
    parts = rating.rate(rules.intervals(moved(owned, at), UNTIL), books, OCTOBER)
    once, twice = sums(whole.lines), sums(parts.lines)
    assert {key: used for key, (used, _) in once.items()} == {key: used for key, (used, _) in twice.items()}
    assert all(abs(once[key][1] - twice[key][1]) <= 1 for key in once), "one more sum is rounded once, half up to the fen"


@given(worlds.events(), worlds.books(), st.integers(1, 110))
def test_the_giver_pays_up_to_the_second_of_the_move_and_the_taker_from_it_on(
    events: list[model.UsageEvent], books: list[model.PriceBook], second: int
) -> None:
    owned = [dataclasses.replace(event, tenant=GIVER, project="一窗通办") for event in events]
    at = OCTOBER.start_at + datetime.timedelta(seconds=second)
    made = rules.intervals(moved(owned, at), UNTIL)
    assert all(one.span.end_at <= at for one in made if one.tenant == GIVER)
    assert all(one.span.start_at >= at for one in made if one.tenant == TAKER)


def test_a_month_of_one_machine_in_two_parts_is_the_month_to_the_fen() -> None:
    """4 vCPU at 0.09 yuan for 10 days and 21 days: 86.40 + 181.44 = 267.84."""
    prices = [worlds.book("2026", OCTOBER.start_at, worlds.price("cpu_milli", "0.09"))]
    life = [worlds.event(OCTOBER.start_at, amounts={"cpu_milli": 4000})]
    parts = rating.rate(rules.intervals(moved(life, worlds.at("10-11 00:00:00")), OCTOBER.end_at), prices, OCTOBER)
    assert {line.tenant: money.text(line.amount_micro) for line in parts.lines} == {GIVER: "86.40", TAKER: "181.44"}
