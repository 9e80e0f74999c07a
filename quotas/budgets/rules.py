"""Pure decisions about money: what a stretch of time costs, how holds are cut, where money does not suffice, which thresholds are crossed.

    amount = ceil(monthly price x time left / 730 hours)

in exact integers; a hold never crosses a fiscal year, which is the calendar year in Asia/Shanghai.  Every amount is rounded up, so that what is held
is never less than what the use will cost at that price.
"""

import collections
import dataclasses
import datetime
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from primitives import interval, money
from quotas.budgets import faults, model
from quotas.budgets.model import Basis, Change, Hold, Standing, Threshold

MONTH: Final = datetime.timedelta(hours=730)
"""The month of a price a month, as in `metering.rating`: a year of 8,760 hours / 12."""
THRESHOLDS_MAX: Final = 20
_US: Final = datetime.timedelta(microseconds=1)
_THRESHOLD: Final = re.compile(r"(?:(actual|committed|forecast):)?([0-9]{1,4})")

Deltas = Mapping[tuple[str, int], Change]
"""(tenant id, year) -> what changes there."""


# -- time --------------------------------------------------------------------------------------------------------------------------


def year(number: int) -> interval.Interval:
    """A fiscal year.  Raises budget.year."""
    if number not in model.YEARS:
        raise faults.YEAR(year=number, low=model.YEARS[0], high=model.YEARS[-1])
    return interval.Interval(interval.month(f"{number}-01").start_at, interval.month(f"{number}-12").end_at)


def year_of(at: datetime.datetime) -> int:
    """The fiscal year that a moment lies in."""
    return at.astimezone(interval.SHANGHAI).year


def cost(monthly_micro: int, start_at: datetime.datetime, end_at: datetime.datetime) -> int:
    """Micro-yuan of a stretch of time at a monthly price, rounded up; 0 when it is empty."""
    return -(-monthly_micro * max(0, (end_at - start_at) // _US) // (MONTH // _US))


# -- holds -------------------------------------------------------------------------------------------------------------------------


def held(wish: model.Wish, tenant_id: str, start_at: datetime.datetime, first: int = 1) -> list[Hold]:
    """The holds of a resource from `start_at` to its end, one a year, numbered from `first`; open-ended: to the end of this year.

    Raises budget.out_of_range, budget.year for an end beyond all years.
    """
    if not 0 <= wish.monthly_micro <= model.MONTHLY_BOUND_MICRO:
        raise faults.OUT_OF_RANGE(
            holder=wish.holder, monthly=money.text(wish.monthly_micro), most=money.text(model.MONTHLY_BOUND_MICRO)
        )
    found: list[Hold] = []
    here = year(year_of(start_at))
    end_at = here.end_at if wish.end_at is None else wish.end_at
    while start_at < end_at:
        stop_at = min(end_at, here.end_at)
        found.append(
            Hold(
                holder=wish.holder,
                number=first + len(found),
                tenant_id=tenant_id,
                year=year_of(start_at),
                monthly_micro=wish.monthly_micro,
                start_at=start_at,
                end_at=stop_at,
                open_ended=wish.end_at is None,
                amount_micro=cost(wish.monthly_micro, start_at, stop_at),
            )
        )
        start_at = stop_at
        if start_at < end_at:
            here = year(year_of(start_at))
    return found


def cut(holds: Iterable[Hold], at: datetime.datetime) -> list[Hold]:
    """What remains of holds when nothing is used any more from `at` on; use before that may not be metered yet."""
    return [one if one.end_at <= at else _stretched(one, one.start_at, at, open_ended=False) for one in holds if one.start_at < at]


def settled(holds: Iterable[Hold], at: datetime.datetime) -> list[Hold]:
    """What remains encumbered when use before `at` is expense."""
    return [
        one if one.start_at >= at else _stretched(one, at, one.end_at, open_ended=one.open_ended)
        for one in holds
        if one.end_at > at
    ]


def changed(
    holds: Sequence[Hold],
    at: datetime.datetime,
    *,
    monthly_micro: int | None = None,
    end_at: datetime.datetime | None = None,
    open_ended: bool | None = None,
    tenant_id: str = "",
) -> list[Hold]:
    """All holds of one holder when its price, its end or its tenant is another from `at` on; what is not said stays.

    What was held until `at` stays as it was.  A holder whose holds all ended is left alone.
    """
    live = [one for one in holds if one.end_at > at]
    if not live:
        return list(holds)
    last = max(live, key=lambda one: one.number)
    goes_on = last.open_ended if open_ended is None else open_ended
    wish = model.Wish(
        holder=last.holder,
        monthly_micro=last.monthly_micro if monthly_micro is None else monthly_micro,
        end_at=None if goes_on else end_at or last.end_at,
    )
    owner = tenant_id or last.tenant_id
    if (wish.monthly_micro, goes_on, owner) == (last.monthly_micro, last.open_ended, last.tenant_id) and (
        goes_on or wish.end_at == last.end_at
    ):
        return list(holds)
    first = max(one.number for one in holds) + 1
    return [*cut(holds, at), *held(wish, owner, at, first)]


def each_changed(holds: Iterable[Hold], at: datetime.datetime, *, tenant_id: str) -> list[Hold]:
    """The same for the holds of several holders that come to another tenant."""
    by_holder: dict[str, list[Hold]] = {}
    for one in holds:
        by_holder.setdefault(one.holder, []).append(one)
    return [one for own in by_holder.values() for one in changed(own, at, tenant_id=tenant_id)]


def carried(
    held_of_year: Mapping[int, int], before: Sequence[str], after: Sequence[str], deltas: Deltas = MappingProxyType({})
) -> dict[tuple[str, int], Change]:
    """`deltas` with what each year holds taken from the levels `before` and given to the levels `after`."""
    found = dict(deltas)
    for nodes, sign in ((before, -1), (after, 1)):
        for node in nodes:
            for of_year, amount in held_of_year.items():
                found[node, of_year] = found.get((node, of_year), Change()) + Change(encumbered_micro=sign * amount)
    return {key: found[key] for key in sorted(found) if found[key]}


def changes(before: Iterable[Hold], after: Iterable[Hold], paths: Mapping[str, Sequence[str]]) -> dict[tuple[str, int], Change]:
    """What becomes of each level when some holds become others.  `paths`: tenant -> itself and everyone above it."""
    own: collections.Counter[tuple[str, int]] = collections.Counter()
    for holds, sign in ((before, -1), (after, 1)):
        for one in holds:
            own[one.tenant_id, one.year] += sign * one.amount_micro
    found: dict[tuple[str, int], Change] = {}
    for (tenant_id, of_year), amount in own.items():
        for node in paths[tenant_id]:
            found[node, of_year] = found.get((node, of_year), Change()) + Change(encumbered_micro=amount)
    return {key: found[key] for key in sorted(found) if found[key]}


def _stretched(one: Hold, start_at: datetime.datetime, end_at: datetime.datetime, *, open_ended: bool) -> Hold:
    amount = cost(one.monthly_micro, start_at, end_at)
    return dataclasses.replace(one, start_at=start_at, end_at=end_at, open_ended=open_ended, amount_micro=amount)


def grows(before: Sequence[Hold], after: Sequence[Hold]) -> bool:
    """Whether a change asks for more: a higher price, or a longer time.  (Each amount is rounded up, so cutting one may add a micro-yuan.)"""
    if not before or list(before) == list(after):
        return False
    was, now = before[-1], after[-1]
    return now.monthly_micro > was.monthly_micro or now.end_at > was.end_at or (now.open_ended and not was.open_ended)


def path(tenant_id: str, parents: Mapping[str, str]) -> list[str]:
    """A tenant and everyone above it, nearest first, out of `parents` ('' above the root)."""
    found = [tenant_id]
    while parents[found[-1]]:
        found.append(parents[found[-1]])
    return found


def rolled_up(own: Mapping[tuple[str, int], int], parents: Mapping[str, str]) -> dict[tuple[str, int], int]:
    """(tenant, year) -> what it and all below it hold, from what each holds itself."""
    found: collections.Counter[tuple[str, int]] = collections.Counter()
    for (tenant_id, of_year), amount in own.items():
        for node in path(tenant_id, parents):
            found[node, of_year] += amount
    return dict(found)


# -- levels ------------------------------------------------------------------------------------------------------------------------


def after(standing: Standing, change: Change) -> Standing:
    """A level with a change in it, whether it fits or not."""
    encumbered = standing.encumbered_micro + change.encumbered_micro
    spent = standing.spent_micro + change.spent_micro
    over = max(0, encumbered + spent - standing.limit_micro)
    return dataclasses.replace(standing, encumbered_micro=encumbered, spent_micro=spent, over_micro=over)


def breaches(path: Sequence[tuple[str, str]], standings: Iterable[Standing], deltas: Deltas) -> list[model.Breach]:
    """The hard budgets along `path` ((id, code), nearest first) that `deltas` do not fit, by year within a level."""
    places = {tenant_id: (number, code) for number, (tenant_id, code) in enumerate(path)}
    found = [
        model.Breach(
            tenant_id=here.tenant_id,
            tenant=places[here.tenant_id][1],
            year=here.year,
            asked_micro=change.encumbered_micro,
            spent_micro=here.spent_micro,
            encumbered_micro=here.encumbered_micro,
            appropriated_micro=here.limit_micro,
        )
        for here in standings
        if (change := deltas.get((here.tenant_id, here.year))) is not None
        if here.budget.hard and change.encumbered_micro > 0 and here.committed_micro + change.encumbered_micro > here.limit_micro
    ]
    return sorted(found, key=lambda one: (places[one.tenant_id][0], one.year))


def bounded(budget: model.Budget) -> None:
    """Raises budget.amount for money out of bounds, budget.threshold for too many thresholds."""
    for field, amount, low in (
        ("appropriated", budget.appropriated_micro, 1),
        ("carry_over", budget.carried_over_micro, 0),
    ):
        if not low <= amount <= model.AMOUNT_BOUND_MICRO:
            least, most = "0.01" if low else "0.00", money.text(model.AMOUNT_BOUND_MICRO)
            raise faults.AMOUNT(field=field, amount=money.price_text(amount), low=least, high=most)
    if len(budget.thresholds) > THRESHOLDS_MAX:
        raise faults.THRESHOLD(given=f"{len(budget.thresholds)} thresholds")


# -- thresholds --------------------------------------------------------------------------------------------------------------------


def threshold(text: str) -> Threshold:
    """A threshold as people write it: '80' (of what is committed), 'actual:50', 'forecast:100'.  Raises budget.threshold."""
    match = _THRESHOLD.fullmatch(text)
    if match is None or not 1 <= int(match[2]) <= 1000:
        raise faults.THRESHOLD(given=repr(text[:40]))
    return Threshold(basis=Basis(match[1] or Basis.COMMITTED), percent=int(match[2]))


def reached(standing: Standing, forecast_micro: int | None) -> tuple[Threshold, ...]:
    """The thresholds that the budget has reached; those of the forecast as they were told while no forecast is known (None)."""
    amounts = {Basis.ACTUAL: standing.spent_micro, Basis.COMMITTED: standing.committed_micro, Basis.FORECAST: forecast_micro}
    found = []
    for each in standing.budget.thresholds:
        amount = amounts[each.basis]
        if (each in standing.told) if amount is None else amount * 100 >= each.percent * standing.limit_micro:
            found.append(each)
    return tuple(found)


def crossings(standing: Standing, found: Iterable[Threshold], forecast_micro: int | None) -> list[model.Crossing]:
    """The thresholds of `found` that were not told yet."""
    amounts = {Basis.ACTUAL: standing.spent_micro, Basis.COMMITTED: standing.committed_micro, Basis.FORECAST: forecast_micro or 0}
    return [
        model.Crossing(
            tenant_id=standing.tenant_id,
            year=standing.year,
            threshold=each,
            amount_micro=amounts[each.basis],
            limit_micro=standing.limit_micro,
        )
        for each in found
        if each not in standing.told
    ]


# -- forecast ----------------------------------------------------------------------------------------------------------------------


def forecast(standing: Standing, months: Mapping[str, int], at: datetime.datetime) -> model.Forecast:
    """What the year is expected to cost.  `months`: month -> expense at this level, of this year and the one before.

    For the days that are left the greater of two amounts counts: what is encumbered, and the pace of the last whole month (of this month so far where
    there is none).  The error is how far that pace, taken at the start of each whole month behind, missed the month: sum of misses / sum of expenses.
    """
    span = year(standing.year)
    if at >= span.end_at:
        spent = standing.committed_micro
        return model.Forecast(at_year_end_micro=spent, error_percent=_error_percent(months, at), runs_out_on=None)
    from_at = max(at, span.start_at)
    left = span.end_at - from_at
    paced = _paced(months, at) if at >= span.start_at else (0, datetime.timedelta(days=1))
    rest = max(standing.encumbered_micro, -(-paced[0] * (left // _US) // max(1, paced[1] // _US)))
    room = standing.limit_micro - standing.spent_micro
    runs_out = None
    if room <= 0:
        runs_out = from_at
    elif rest > room:
        runs_out = from_at + datetime.timedelta(microseconds=room * (left // _US) // rest)
    return model.Forecast(
        at_year_end_micro=standing.spent_micro + rest,
        error_percent=_error_percent(months, at),
        runs_out_on=None if runs_out is None else runs_out.astimezone(interval.SHANGHAI).date(),
    )


def _paced(months: Mapping[str, int], at: datetime.datetime) -> tuple[int, datetime.timedelta]:
    """Money and the time that it was spent in: of the last whole month with an expense before this one, else of this month so far."""
    here = interval.month(interval.month_of(at))
    before = interval.month_of(here.start_at - _US)
    if months.get(before):
        whole = interval.month(before)
        return months[before], whole.end_at - whole.start_at
    return months.get(interval.month_of(at), 0), max(_US, at - here.start_at)


def _error_percent(months: Mapping[str, int], at: datetime.datetime) -> int | None:
    """How far the pace of one month missed the next, over all pairs of whole months behind; None with no pair."""
    behind = sorted(month for month, amount in months.items() if amount and interval.month(month).end_at <= at)
    missed = total = 0
    for before, here in itertools.pairwise(behind):
        first, second = interval.month(before), interval.month(here)
        if first.end_at == second.start_at:
            said = months[before] * second.seconds // first.seconds
            missed += abs(said - months[here])
            total += months[here]
    return None if not total else -(-missed * 100 // total)


# -- words -------------------------------------------------------------------------------------------------------------------------


def visible(found: Sequence[model.Breach], seen: Sequence[str] | None) -> list[dict[str, Any]]:
    """The breaches as a caller may see them: all numbers of the tenants in `seen` (None: of all), of others only what is missing."""
    return [
        {"tenant": one.tenant, "year": one.year, "short_by": money.text(_up(one.short_by_micro))}
        | (
            {
                "asked": money.text(_up(one.asked_micro)),
                "spent": money.text(one.spent_micro),
                "encumbered": money.text(one.encumbered_micro),
                "appropriated": money.text(one.appropriated_micro),
            }
            if seen is None or one.tenant_id in seen
            else {}
        )
        for one in found
    ]


def told(shown: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Visible breaches as a sentence in both languages."""
    return {"en": "; ".join(map(_told_en, shown)), "zh": "；".join(map(_told_zh, shown))}


def _told_en(one: Mapping[str, Any]) -> str:
    short = f"{one['tenant']} is short by {one['short_by']} yuan in {one['year']}"
    if "asked" not in one:
        return short
    return f"{short} (asked {one['asked']}; {one['spent']} spent and {one['encumbered']} encumbered of {one['appropriated']})"


def _told_zh(one: Mapping[str, Any]) -> str:
    short = f"{one['tenant']} {one['year']} 年缺 {one['short_by']} 元"
    if "asked" not in one:
        return short
    return f"{short}（申请 {one['asked']}，已支出 {one['spent']}、已占用 {one['encumbered']}，共安排 {one['appropriated']}）"


def yuan(micro: int) -> str:
    """An amount for people, rounded up to the fen."""
    return money.text(_up(micro))


def _up(micro: int) -> int:
    """Rounded up to the fen, so that 'short by' is never shown as nothing."""
    return -(-micro // money.FEN) * money.FEN
