"""What the tests of tenants share: experiments that are undone, a city with one bureau, people who sign in."""

from collections.abc import Callable
from typing import Any

import hypothesis
import pytest

from primitives import errors
from store import database as store_database
from store import installation, transaction
from tenants import model, people, signin, tree

QUICK = hypothesis.settings(max_examples=40, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))


class Undone(Exception):
    """Ends an experiment, so that the database is as before."""


def experiment(database: store_database.Database, run: Callable[[transaction.Transaction], Any]) -> None:
    """Run in one transaction and undo it."""

    def undone(tx: transaction.Transaction) -> None:
        run(tx)
        raise Undone

    with pytest.raises(Undone):
        database.lane.run(undone)


def code_of(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    """'' if the call goes through, else the code of its fault."""
    try:
        call(*arguments, **options)
    except errors.GovpoolError as error:
        return error.code
    return ""


def city_and_bureau(tx: transaction.Transaction) -> tuple[model.Tenant, model.Tenant]:
    """An installation whose root has one department."""
    installation.create(tx)
    city = tree.create(tx, tree.NewTenant(code="nanhai", name="南海区", parent=None))
    return city, tree.create(tx, tree.NewTenant(code="tax", name="税务局", parent=city, credit_code="91110000600037341L"))


def principal(tx: transaction.Transaction, account: model.Account) -> model.Principal:
    """The account signed in."""
    return signin.authenticate(tx, signin.issue(tx, account))


def someone(tx: transaction.Transaction, name: str, code: str, tenant: model.Tenant) -> model.Account:
    """A person with an account."""
    return people.create_account(tx, code, people.create_person(tx, name), tenant)
