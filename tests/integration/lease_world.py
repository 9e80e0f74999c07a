"""Leases in a bureau over a lab cloud: machines with an end, the job that a server runs, and what it told."""

import dataclasses
import datetime
from typing import Any, Final

import pytest

from control import lease, reservation
from primitives import clock, errors
from provisioners import lease as rule
from store import database as store_database
from store import transaction
from tests.integration.office import Office, change, create

DAY: Final = datetime.timedelta(days=1)
BIN_DAYS: Final = 7
POLICY: Final = rule.Policy()
TOLD: Final = transaction.sql("SELECT code, address, values_json FROM notices WHERE code LIKE 'lease.%' ORDER BY id")


def refused(code: str) -> Any:
    """The context of a refusal with a code."""
    return pytest.raises(errors.GovpoolError, match=rf"^{code}: ")


def in_days(days: float) -> str:
    """A moment so many days from now, as an order says it."""
    return clock.text((clock.now() + days * DAY).replace(microsecond=0))


def leased(office: Office, name: str, days: float) -> str:
    """A running machine that ends in so many days; its id."""
    office.order(dataclasses.replace(create(name), end_at=in_days(days)))
    office.work()
    return str(next(row.id for row in office.rows() if row.name == name))


def extension(resource_id: str, until: str) -> reservation.LineWish:
    """An extension of a machine."""
    return dataclasses.replace(change("extend", resource_id), end_at=until)


def turn(database: store_database.Database) -> list[str]:
    """One turn of the job, as the server runs it."""
    done: list[str] = database.lane.run(lambda tx: lease.carry_out(tx, POLICY, bin_days=BIN_DAYS))
    return done


def tick(office: Office) -> None:
    """The job, until nothing is due."""
    while turn(office.database):
        continue


def told(office: Office) -> list[str]:
    """Codes of the notices about leases, in their order."""
    return [row["code"] for row in office.read(lambda tx: tx.execute(TOLD))]


def guest(office: Office, resource_id: str) -> str:
    """What the cloud's own inventory shows of a resource: its state, '' for nothing."""
    found = office.lab.guests(resource_id)
    assert len(found) <= 1
    return str(found[0]["state"]) if found else ""
