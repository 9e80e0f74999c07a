"""An independent model of the money of a city: fractions, whole lists, no guard.  Shares no code with `quotas.budgets`.

A machine is a list of stretches (tenant, from, to, price).  What is encumbered is the cost of what lies behind the last settlement, what is spent is
what was metered before it; an order is admitted if afterwards no hard budget above it holds more than it was given.
"""

import dataclasses
import datetime
import fractions
import math

SHANGHAI = datetime.timezone(datetime.timedelta(hours=8))
FEN = 10_000
_US = datetime.timedelta(microseconds=1)


def year_start(year: int) -> datetime.datetime:
    """Midnight of New Year in Asia/Shanghai."""
    return datetime.datetime(year, 1, 1, tzinfo=SHANGHAI)


def year_of(at: datetime.datetime) -> int:
    """The calendar year in Asia/Shanghai."""
    return at.astimezone(SHANGHAI).year


def price_of(monthly: int, start_at: datetime.datetime, end_at: datetime.datetime) -> fractions.Fraction:
    """What a time costs, exactly."""
    return fractions.Fraction(monthly * ((end_at - start_at) // _US), 730 * 3600 * 10**6)


@dataclasses.dataclass(slots=True)
class Stretch:
    """One time of one machine at one price, within one year."""

    tenant: str
    start_at: datetime.datetime
    end_at: datetime.datetime
    monthly: int
    settled_to: datetime.datetime  # what lies before is expense

    @property
    def held(self) -> int:
        """What is encumbered of it, rounded up."""
        left = max(self.start_at, self.settled_to)
        return math.ceil(price_of(self.monthly, left, self.end_at)) if left < self.end_at else 0


@dataclasses.dataclass(slots=True)
class Money:
    """What one tenant was given for a year."""

    limit: int
    hard: bool


class Model:
    """The whole city."""

    def __init__(self, parents: dict[str, str]) -> None:
        self.parents = parents
        self.machines: dict[str, list[Stretch]] = {}
        self.open_ended: set[str] = set()
        self.budgets: dict[tuple[str, int], Money] = {}
        self.expenses: dict[tuple[str, str], int] = {}
        self.rolled_to = 0

    def path(self, tenant: str) -> list[str]:
        """The tenant and everyone above it."""
        found = [tenant]
        while self.parents[found[-1]]:
            found.append(self.parents[found[-1]])
        return found

    def encumbered(self, node: str, year: int) -> int:
        """All that is held at and below a tenant in a year."""
        return sum(
            one.held
            for stretches in self.machines.values()
            for one in stretches
            if year_of(one.start_at) == year and node in self.path(one.tenant)
        )

    def spent(self, node: str, year: int) -> int:
        """All that is expense at and below a tenant in a year."""
        return sum(
            amount for (tenant, month), amount in self.expenses.items() if month[:4] == str(year) and node in self.path(tenant)
        )

    def committed(self, node: str, year: int) -> int:
        """Both."""
        return self.encumbered(node, year) + self.spent(node, year)

    def roll(self, now: datetime.datetime) -> None:
        """What is open-ended goes on through a year that has begun."""
        for year in range(self.rolled_to + 1 if self.rolled_to else year_of(now), year_of(now) + 1):
            for holder in self.open_ended:
                last = self.machines[holder][-1]
                if last.end_at == year_start(year):
                    self.machines[holder].append(
                        Stretch(last.tenant, year_start(year), year_start(year + 1), last.monthly, year_start(year))
                    )
        self.rolled_to = year_of(now)

    def stretches(self, tenant: str, now: datetime.datetime, end_at: datetime.datetime | None, monthly: int) -> list[Stretch]:
        """From now to an end, cut at the turns of years; without an end to the next one."""
        until, found, start_at = end_at or year_start(year_of(now) + 1), [], now
        while start_at < until:
            stop_at = min(until, year_start(year_of(start_at) + 1))
            found.append(Stretch(tenant, start_at, stop_at, monthly, start_at))
            start_at = stop_at
        return found

    def fits(self, before: dict[tuple[str, int], int]) -> bool:
        """Whether no hard budget that holds more than `before` holds more than it was given."""
        return all(not money.hard or self.committed(*key) <= max(money.limit, before[key]) for key, money in self.budgets.items())

    def all_committed(self) -> dict[tuple[str, int], int]:
        """Of every budget."""
        return {key: self.committed(*key) for key in self.budgets}

    def cut(self, holder: str, now: datetime.datetime) -> None:
        """Nothing is used from now on."""
        kept = [one for one in self.machines[holder] if one.start_at < now]
        for one in kept:
            one.end_at = min(one.end_at, now)
        self.machines[holder] = kept
        self.open_ended.discard(holder)

    def settle(self, now: datetime.datetime) -> dict[tuple[str, str], int]:
        """The expense of each tenant and month up to now, whole fen half up; nothing before now is encumbered any more."""
        exact: dict[tuple[str, str], fractions.Fraction] = {}
        for one in (one for stretches in self.machines.values() for one in stretches):
            start_at, end_at = one.start_at, min(one.end_at, now)
            while start_at < end_at:
                local = start_at.astimezone(SHANGHAI)
                turn = datetime.datetime(local.year + local.month // 12, local.month % 12 + 1, 1, tzinfo=SHANGHAI)
                key = (one.tenant, f"{local.year}-{local.month:02}")
                stop_at = min(end_at, turn)
                exact[key] = exact.get(key, fractions.Fraction()) + price_of(one.monthly, start_at, stop_at)
                start_at = stop_at
            one.settled_to = max(one.settled_to, now)
        self.expenses = {key: math.floor(amount / FEN + fractions.Fraction(1, 2)) * FEN for key, amount in exact.items()}
        return self.expenses

    def cost(self, node: str, year: int) -> fractions.Fraction:
        """What all use of a year costs at and below a tenant, past and to come, exactly."""
        return sum(
            (
                price_of(one.monthly, one.start_at, one.end_at)
                for stretches in self.machines.values()
                for one in stretches
                if year_of(one.start_at) == year and node in self.path(one.tenant)
            ),
            fractions.Fraction(),
        )
