"""SQL of price books.  Append-only: a changed book is a new generation, and the last one holds."""

import datetime
import functools
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from metering import books, model, tables
from primitives import canonical, clock
from store.transaction import Transaction

_B: Final = tables.BOOKS
_ALL: Final = sa.select(_B).where(_B.c.recorded_at <= sa.bindparam("by_us")).order_by(_B.c.name, _B.c.generation)
_ONE: Final = sa.select(_B).where(_B.c.name == sa.bindparam("name")).order_by(_B.c.generation.desc()).limit(sa.literal_column("1"))
_NEWER: Final = _B.alias("newer")
_LATEST: Final = (
    sa.select(_B)
    .where(~sa.exists().where(_NEWER.c.name == _B.c.name, _NEWER.c.generation > _B.c.generation))
    .order_by(_B.c.valid_from_at.desc(), _B.c.recorded_at.desc(), _B.c.name.desc())
)
_INSERT: Final = sa.insert(_B)


def known(tx: Transaction, by: datetime.datetime) -> list[model.PriceBook]:
    """Every book as it was known at a moment, by name."""
    last = {row["name"]: row for row in tx.execute(_ALL, by_us=clock.to_us(by))}
    return [_book(row) for row in last.values()]


def find(tx: Transaction, name: str) -> model.PriceBook | None:
    """The last generation of a book."""
    row = tx.one(_ONE, name=name)
    return None if row is None else _book(row)


def in_force(tx: Transaction, at: datetime.datetime) -> model.PriceBook | None:
    """The book that prices a moment, as known now."""
    return next((book for book in tx.known(_LATEST, _books) if book.valid_from <= at), None)


def keep(tx: Transaction, key: Any, value: Any) -> None:
    """Keep what follows from the books alone, until there is another one."""
    tx.keep(key, value, _B)


def insert(tx: Transaction, book: model.PriceBook) -> None:
    """Write down a new generation."""
    tx.execute(
        _INSERT,
        name=book.name,
        generation=book.generation,
        valid_from_at=clock.to_us(book.valid_from),
        spec=canonical.dumps(books.spec(book)).decode(),
        recorded_at=clock.to_us(book.recorded_at),
    )


def _books(rows: list[dict[str, Any]]) -> tuple[model.PriceBook, ...]:
    return tuple(map(_book, rows))


def _book(row: dict[str, Any]) -> model.PriceBook:
    return _read(row["name"], row["generation"], row["spec"], row["recorded_at"])


@functools.lru_cache(maxsize=256)  # rows never change, and each order asks for a price
def _read(name: str, generation: int, spec: str, recorded_at: int) -> model.PriceBook:
    wanted = msgspec.json.decode(spec, type=books.BookSpec)
    return books.book(name, wanted, generation=generation, recorded_at=clock.from_us(recorded_at))
