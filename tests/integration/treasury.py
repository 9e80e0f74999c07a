"""The bureau over a lab cloud with the finance of its city above it: what the tests of money in orders share."""

import contextlib
import dataclasses
import datetime
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from control import budget, expense
from metering import statements
from primitives import clock, errors, interval
from quotas.budgets import appropriations, model, proof, rules, service
from store.transaction import Transaction, sql
from tenants import model as tenants_model
from tenants import service as tenants
from tests.integration.office import Office
from tests.integration.reconciler_world import lab_cloud

YUAN = 10**6
DAY = datetime.timedelta(days=1)
NEW_YEAR = sql("SELECT count(*) AS count FROM notices WHERE code = 'budget.threshold'")


class Treasury(Office):
    """The bureau with the finance of its city above it."""

    finance: tenants_model.Principal

    def found_finance(self) -> None:
        """A person of the city's finance, bound at the root."""

        def use_case(tx: Transaction) -> None:
            root = tenants.root(tx)
            made = self._person(tx, root, "财务岗", "fin.one", tenants_model.Role.FINANCE)
            binding = tenants_model.Binding(role=tenants_model.Role.FINANCE, tenant_id=root.id)
            self.finance = dataclasses.replace(made, bindings=(binding,))
            self.root_id, self.root = root.id, root.code

        self.lane(use_case)

    def give(
        self, yuan: str, *, tenant: str = "", year: int | None = None, allow_over: bool = False, **more: Any
    ) -> dict[str, Any]:
        """Set a budget, of this year unless said otherwise."""
        spec = budget.Spec(appropriated=yuan, **more)
        of_year = year or rules.year_of(clock.now())
        return self.case(budget.set_budget(tenant or self.tenant, of_year, spec, allow_over=allow_over), self.finance)

    def stands(self, tenant_id: str = "", year: int | None = None) -> model.Standing:
        """How the bureau stands in a year, with a budget or without one."""
        of, at_year = tenant_id or self.tenant_id, year or rules.year_of(clock.now())

        def look(tx: Transaction) -> model.Standing:
            found = appropriations.find(tx, tenant_id=of, year=at_year)
            return found or appropriations.nothing(tx, tenant_id=of, year=at_year)

        stands: model.Standing = self.read(look)
        return stands

    def billed(self) -> int:
        """What all statements of this and the last month come to."""

        def total(tx: Transaction) -> int:
            months = {interval.month_of(tx.now()), interval.month_of(tx.now() - 20 * DAY)}
            return sum(one.total_micro for month in months for one in statements.listed(tx, month))

        amount: int = self.read(total)
        return amount

    def holds(self, holder: str) -> list[model.Hold]:
        """What a resource holds."""
        found: list[model.Hold] = self.read(lambda tx: service.held(tx, holders=[holder]))
        return found

    def settle(self) -> None:
        """The job, as a server runs it."""
        expense.settle(self.database)

    def told(self) -> int:
        """Notices about thresholds."""
        return int(self.read(lambda tx: tx.one(NEW_YEAR))["count"])

    def is_sound(self) -> bool:
        """Units, room and money."""
        assert self.read(proof.check) == []
        return super().is_sound()


@contextlib.contextmanager
def treasury(database_url: str, folder: pathlib.Path) -> Iterator[Treasury]:
    """A bureau that orders, and its city's finance; afterwards the clock stands right again."""
    with lab_cloud(folder) as lab:
        made = Treasury(database_url, lab)
        made.found_finance()
        yield made
        made.close()
    clock.shift(datetime.timedelta(0))


def refused(call: Callable[..., Any], *arguments: Any) -> errors.GovpoolError:
    """The refusal of a call."""
    with pytest.raises(errors.GovpoolError) as caught:
        call(*arguments)
    return caught.value


def monthly_of(office: Treasury, number: str) -> int:
    """The price a month of an order."""
    found = office.read(lambda tx: tx.one(sql("SELECT monthly_micro FROM orders WHERE number = :number"), number=int(number)))
    return int(found["monthly_micro"])


def at(moment: datetime.datetime) -> None:
    """It is that moment now."""
    clock.shift(clock.offset() + (moment - clock.now()))
