"""Which installation this database belongs to, and its epoch, which a restore raises: tokens and leases of older epochs are void."""

import dataclasses
from typing import Final

import sqlalchemy as sa

from primitives import clock, ids
from store import faults, tables
from store.transaction import Transaction


@dataclasses.dataclass(frozen=True, slots=True)
class Installation:
    """The row."""

    id: str
    epoch: int
    accepted_epoch: int

    @property
    def accepted(self) -> bool:
        """False between a restore and `restore accept`: sweeps then only report."""
        return self.accepted_epoch == self.epoch


_READ: Final = sa.select(tables.INSTALLATION)
_INSERT: Final = sa.insert(tables.INSTALLATION)
_RAISE: Final = sa.update(tables.INSTALLATION).values(epoch=sa.bindparam("to"))
_ACCEPT: Final = sa.update(tables.INSTALLATION).values(accepted_epoch=tables.INSTALLATION.c.epoch)


def find(tx: Transaction) -> Installation | None:
    """The installation, or None before `init`."""
    row = tx.one(_READ)
    return None if row is None else Installation(row["id"], row["epoch"], row["accepted_epoch"])


def get(tx: Transaction) -> Installation:
    """The installation.  Raises store.not_initialised."""
    found = find(tx)
    if found is None:
        raise faults.NOT_INITIALISED()
    return found


def create(tx: Transaction) -> Installation:
    """Make the one row; the primary key refuses a second."""
    made = Installation(ids.new("inst"), 1, 1)
    tx.execute(_INSERT, one=1, id=made.id, epoch=1, accepted_epoch=1, created_at=clock.to_us(tx.now()))
    return made


def raise_epoch(tx: Transaction, above: int = 0) -> Installation:
    """After a restore: everything that carries an older epoch is void.  The new one is also greater than `above`."""
    tx.execute(_RAISE, to=max(get(tx).epoch, above) + 1)
    return get(tx)


def accept(tx: Transaction) -> None:
    """The restored state is accepted by persons: sweeps act again."""
    tx.execute(_ACCEPT)
