"""Intervals to money: exact, rounded once, conserved under every view, and equal to a recomputation that shares no code."""

import collections
import datetime
import fractions
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering import model, rating, rules
from primitives import interval
from tests.unit.metering import worlds
from tests.unit.metering.worlds import DELETED, OCTOBER, RUNNING, STANDARD, STOPPED, at, book, event, price

SPAN = interval.Interval(OCTOBER.start_at, OCTOBER.start_at + datetime.timedelta(seconds=100))
PER = {"cpu_milli": 1000, "ram_mib": 1024, "disk_gib": 1}


def rate(events: list[model.UsageEvent], books: list[model.PriceBook], span: interval.Interval) -> model.Rating:
    return rating.rate(rules.intervals(events, span.end_at), books, span)


def yuan(lines: tuple[model.Line, ...]) -> fractions.Fraction:
    return fractions.Fraction(sum(line.amount_micro for line in lines), 10**6)


def second_by_second(
    events: list[model.UsageEvent], books: list[model.PriceBook]
) -> dict[tuple[str, str, str, str], dict[str, fractions.Fraction]]:
    """Yuan per (tenant, project, SKU, book) and resource: for each second the winning event and the book in force, nothing rounded."""
    sums: dict[tuple[str, str, str, str], dict[str, fractions.Fraction]] = collections.defaultdict(dict)
    for second in range(100):
        start_at = SPAN.start_at + datetime.timedelta(seconds=second)
        in_force = max((b for b in books if b.valid_from <= start_at), key=lambda b: (b.valid_from, b.recorded_at))
        for subject in {e.subject for e in events}:
            known = [e for e in events if e.subject == subject and e.at < start_at + datetime.timedelta(seconds=1)]
            winner = max(known, key=lambda e: (e.at, e.sequence, e.id, e.source), default=None)
            for one in in_force.prices if winner else ():
                if winner is None or winner.state not in one.states or not winner.amounts.get(one.name):
                    continue
                cost = fractions.Fraction(winner.amounts[one.name] * one.micro, 3600 * PER[one.name] * 10**6)
                rows = sums[winner.tenant, winner.project, one.sku, in_force.name]
                rows[subject] = rows.get(subject, fractions.Fraction(0)) + cost
    return sums


@given(worlds.events(), worlds.books())
def test_a_statement_is_price_times_the_integral_of_usage_second_by_second(
    events: list[model.UsageEvent], books: list[model.PriceBook]
) -> None:
    expected = second_by_second(events, books)
    found: dict[tuple[str, str, str, str], dict[str, int]] = collections.defaultdict(dict)
    for line in rate(events, books, SPAN).lines:
        rows = found[line.tenant, line.project, line.sku, line.price_version]
        assert line.resource not in rows
        rows[line.resource] = line.amount_micro
    assert {key: set(rows) for key, rows in found.items()} == {key: set(rows) for key, rows in expected.items()}
    for key, exact_rows in expected.items():
        fen = sum(exact_rows.values()) * 100
        rounded = fen.numerator // fen.denominator + (1 if fen % 1 >= fractions.Fraction(1, 2) else 0)
        assert sum(found[key].values()) == rounded * 10_000
        for resource, exact in exact_rows.items():  # a row is at most one fen away from its exact share
            assert abs(fractions.Fraction(found[key][resource], 10**6) - exact) < fractions.Fraction(2, 100)


@given(worlds.events(), worlds.books(), st.randoms(use_true_random=False))
def test_any_order_or_repetition_of_events_gives_the_same_statement(
    events: list[model.UsageEvent], books: list[model.PriceBook], chance: random.Random
) -> None:
    disturbed = events + [chance.choice(events) for _ in events]
    chance.shuffle(disturbed)
    assert rate(disturbed, books, SPAN) == rate(events, books, SPAN)


@given(worlds.events(), worlds.books())
def test_money_is_conserved_from_rows_to_groups_to_statements_to_the_root(
    events: list[model.UsageEvent], books: list[model.PriceBook]
) -> None:
    lines = rate(events, books, SPAN).lines
    own: dict[str, int] = dict.fromkeys(worlds.TENANTS, 0)
    for line in lines:
        own[line.tenant] += line.amount_micro
    own["市政府"] = 0
    paths = {
        "市政府": ["市政府"],
        "税务局": ["市政府", "税务局"],
        "公安局": ["市政府", "公安局"],
        "教育局": ["市政府", "公安局", "教育局"],
    }
    rolled = rating.rolled_up(own, paths)
    assert rolled["市政府"] == sum(line.amount_micro for line in lines)
    assert rolled["公安局"] == own["公安局"] + own["教育局"]


@given(worlds.events(), worlds.books(), st.integers(1, 99))
def test_unit_seconds_of_two_parts_of_a_month_are_those_of_the_whole(
    events: list[model.UsageEvent], books: list[model.PriceBook], cut: int
) -> None:
    def used(span: interval.Interval) -> collections.Counter[tuple[str, str, str]]:
        found: collections.Counter[tuple[str, str, str]] = collections.Counter()
        for line in rating.rate(rules.intervals(events, SPAN.end_at), books, span).lines:
            found[line.resource, line.sku, line.price_version] += line.unit_seconds
        return found

    middle = SPAN.start_at + datetime.timedelta(seconds=cut)
    assert used(interval.Interval(SPAN.start_at, middle)) + used(interval.Interval(middle, SPAN.end_at)) == used(SPAN)


@given(worlds.events(), worlds.books(), st.integers(-50, 150))
def test_no_line_ends_after_the_watermark(events: list[model.UsageEvent], books: list[model.PriceBook], known: int) -> None:
    """ManageIQ/manageiq#13134 charged hours of the future."""
    watermark = OCTOBER.start_at + datetime.timedelta(seconds=known)
    lines = rating.rate(rules.intervals(events, min(watermark, OCTOBER.end_at)), books, OCTOBER).lines
    assert all(OCTOBER.start_at <= line.start_at < line.end_at <= watermark for line in lines)


@pytest.mark.parametrize(
    ("name", "amount", "month_yuan"), [("cpu_milli", 4000, "267.84"), ("ram_mib", 8192, "535.68"), ("disk_gib", 100, "6696.00")]
)
def test_a_known_month_bills_the_known_amount_in_every_unit(name: str, amount: int, month_yuan: str) -> None:
    """opencost/opencost#3781 was wrong by 730: 0.09 yuan an hour for 744 hours of October, by vCPU, GiB of memory and GiB of disk."""
    lines = rate(
        [event(OCTOBER.start_at, amounts={name: amount})], [book("b", at("01-01 00:00:00"), price(name, "0.09"))], OCTOBER
    ).lines
    assert [line.unit_seconds for line in lines] == [amount * 744 * 3600]
    assert yuan(lines) == fractions.Fraction(month_yuan)


def test_a_month_is_cut_at_midnight_in_beijing() -> None:
    running = [event(at("09-01 00:00:00"), amounts={"disk_gib": 1})]
    lines = rate(running, [book("b", at("01-01 00:00:00"), price("disk_gib", "1"))], OCTOBER).lines
    assert (lines[0].start_at.isoformat(), lines[0].end_at.isoformat()) == (
        "2026-09-30T16:00:00+00:00",
        "2026-10-31T16:00:00+00:00",
    )


def test_february_of_a_leap_year_has_696_hours() -> None:
    february = interval.month("2028-02")
    one_yuan_an_hour = [book("b", at("01-01 00:00:00"), price("disk_gib", "1"))]
    assert yuan(rate([event(at("01-01 00:00:00"), amounts={"disk_gib": 1})], one_yuan_an_hour, february).lines) == 696


def test_a_price_change_at_noon_makes_two_lines_that_meet() -> None:
    books = [book("旧价", at("01-01 00:00:00"), price("disk_gib", "1")), book("新价", at("10-16 12:00:00"), price("disk_gib", "2"))]
    before, after = rate([event(at("09-01 00:00:00"), amounts={"disk_gib": 1})], books, OCTOBER).lines
    assert (before.price_version, before.end_at) == ("旧价", at("10-16 12:00:00"))
    assert (after.price_version, after.start_at) == ("新价", at("10-16 12:00:00"))
    assert yuan((before, after)) == 15 * 24 + 12 + 2 * (12 + 15 * 24)


def test_of_two_books_with_one_start_the_later_recorded_holds() -> None:
    start = at("01-01 00:00:00")
    wrong, right = book("误价", start, price("disk_gib", "9"), recorded=1), book("更正", start, price("disk_gib", "1"), recorded=2)
    lines = rate([event(OCTOBER.start_at, amounts={"disk_gib": 1})], [right, wrong], OCTOBER).lines
    assert {line.price_version for line in lines} == {"更正"}


def test_a_stopped_guest_pays_disk_and_address_only() -> None:
    stopped = [event(OCTOBER.start_at, STOPPED, worlds.VM | {"public_ips": 1})]
    assert {line.sku for line in rate(stopped, [book("b", at("01-01 00:00:00"), *STANDARD)], OCTOBER).lines} == {
        "virtualmachine-disk_gib",
        "virtualmachine-public_ips",
    }


def test_no_price_is_never_a_silent_zero() -> None:
    """CloudKitty logs a warning and charges nothing where data are missing."""
    rated = rate([event(at("10-05 00:00:00"))], [book("b", at("10-10 00:00:00"), *STANDARD)], OCTOBER)
    assert [(gap.name, gap.at) for gap in rated.unpriced] == [
        (name, at("10-05 00:00:00")) for name in ("cpu_milli", "disk_gib", "ram_mib")
    ]
    assert {line.start_at for line in rated.lines} == {at("10-10 00:00:00")}


def test_counted_things_are_free_unless_the_book_prices_them() -> None:
    one = [event(OCTOBER.start_at, amounts={"disk_gib": 1, "instances": 1})]
    silent = book("b", at("01-01 00:00:00"), price("disk_gib", "1"))
    priced = book("b", at("01-01 00:00:00"), price("disk_gib", "1"), price("instances", "1"))
    assert len(rate(one, [silent], OCTOBER).lines) == 1 and rate(one, [silent], OCTOBER).unpriced == ()
    assert yuan(rate(one, [priced], OCTOBER).lines) == 2 * 744


def test_a_finer_class_is_charged_by_its_own_price_and_not_twice() -> None:
    both = {"disk_gib": 100, "disk_gib.ssd": 40}
    coarse, fine = price("disk_gib", "1"), price("disk_gib.ssd", "3")
    assert rating.charges(book("b", OCTOBER.start_at, coarse, fine), "VirtualMachine", "", RUNNING, both)[0] == [
        (fine, 40),
        (coarse, 60),
    ]
    assert rating.charges(book("b", OCTOBER.start_at, coarse), "VirtualMachine", "", RUNNING, both) == ([(coarse, 100)], [])
    assert rating.charges(book("b", OCTOBER.start_at, coarse), "VirtualMachine", "", RUNNING, {"disk_gib.ssd": 40})[0] == [
        (coarse, 40)
    ]
    assert rating.charges(book("b", OCTOBER.start_at), "VirtualMachine", "", RUNNING, {"disk_gib.ssd": 40})[1] == ["disk_gib.ssd"]


def test_the_price_of_a_class_goes_before_the_price_of_all() -> None:
    usual, fast = price("cpu_milli", "1"), price("cpu_milli", "2", service_class="gold")
    b = book("b", OCTOBER.start_at, usual, fast)
    assert rating.charges(b, "VirtualMachine", "gold", RUNNING, {"cpu_milli": 1})[0] == [(fast, 1)]
    assert rating.charges(b, "VirtualMachine", "", RUNNING, {"cpu_milli": 1})[0] == [(usual, 1)]


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**10))
def test_more_use_never_costs_less(one: int, other: int, micro: int) -> None:
    """ManageIQ's own worked example gets cheaper at a tier edge."""
    p = model.Price(sku="s", kind="VirtualMachine", name="cpu_milli", unit="vCPU-Hours", micro=micro)
    assert rating.fen(min(one, other), p) <= rating.fen(max(one, other), p)


def test_half_a_fen_rounds_up_and_only_once_for_the_group() -> None:
    """Three guests of a third of a fen each make one fen together: rounding each row alone would lose it."""
    tiny = book("b", at("01-01 00:00:00"), price("disk_gib", "0.005"))
    hour = interval.Interval(OCTOBER.start_at, OCTOBER.start_at + datetime.timedelta(hours=1))
    alone = rate([event(hour.start_at, amounts={"disk_gib": 1})], [tiny], hour).lines
    assert yuan(alone) == fractions.Fraction(1, 100)
    three = [event(hour.start_at, amounts={"disk_gib": 1}, subject=f"vm-{n}", id=f"{n}") for n in (3, 1, 2)]
    lines = rate(three, [book("b", at("01-01 00:00:00"), price("disk_gib", "0.003334"))], hour).lines
    assert [(line.resource, line.amount_micro) for line in lines] == [("vm-1", 10_000), ("vm-2", 0), ("vm-3", 0)]


def test_a_replayed_prefix_of_events_does_not_charge_twice() -> None:
    """CloudKitty's retry doubles a frame in its ElasticSearch and OpenSearch stores."""
    events = [event(at("10-02 00:00:00")), event(at("10-05 00:00:00"), STOPPED), event(at("10-09 00:00:00"), DELETED)]
    books = [book("b", at("01-01 00:00:00"), *STANDARD)]
    for length in range(len(events) + 1):
        assert rate(events + events[:length], books, OCTOBER) == rate(events, books, OCTOBER)


def test_a_quote_is_for_730_hours_whatever_the_month() -> None:
    quote, missing = rating.monthly(book("b", at("01-01 00:00:00"), *STANDARD), "VirtualMachine", worlds.VM, {})
    assert missing == []
    assert quote.monthly_micro == sum(line.amount_micro for line in quote.lines)
    by_sku = {line.sku: fractions.Fraction(line.amount_micro, 10**6) for line in quote.lines}
    assert by_sku["virtualmachine-cpu_milli"] == fractions.Fraction("262.80")  # 4 vCPU x 730 h x 0.09
    assert by_sku["virtualmachine-ram_mib"] == fractions.Fraction("255.21")  # 8 GiB x 730 h x 0.0437 = 255.208


def test_a_quote_names_what_has_no_price() -> None:
    assert rating.monthly(book("b", at("01-01 00:00:00")), "VirtualMachine", {"gpus": 1, "instances": 1}, {})[1] == ["gpus"]
