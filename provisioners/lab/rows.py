"""Rows of the lab cloud's file as its API shows them, and what is due in it by now."""

import json
import sqlite3

from primitives import clock
from provisioners.lab import book as books
from provisioners.lab import wire


def guest_of(row: sqlite3.Row) -> wire.Guest:
    """The guest of a row of `placement.GUESTS`."""
    plain = dict(row)
    for name in ("tenant_id", "deleted_at", "surge_host"):
        del plain[name]
    return wire.Guest(**plain | {name: json.loads(plain[name]) for name in ("amounts", "addresses", "metadata", "surge")})


def ticket_of(row: sqlite3.Row) -> wire.Ticket:
    """The ticket of a row."""
    plain = dict(row)
    del plain["tenant_id"]
    return wire.Ticket(**plain)


def due(book: books.Book) -> list[sqlite3.Row]:
    """What is due by now, in its order."""
    return book.all("SELECT * FROM pending WHERE due_us <= ? ORDER BY due_us, id LIMIT 200", clock.to_us(clock.now()))
