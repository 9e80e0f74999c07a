"""What the lab cloud shows: one guest or ticket, the inventory by pages, its record, its hosts.  Reads only."""

import json
from typing import Any, Final

import msgspec

from provisioners.lab import book as books
from provisioners.lab import placement, rows, wire, world

PAGE_MAX: Final = 1000


def read(now: world.World, parts: list[str], query: dict[str, str]) -> msgspec.Struct | dict[str, Any]:
    """GET /v1/...  Raises Refused."""
    book = now.book
    match parts:
        case ["tenants", installation, code, "limits"]:
            tenant = now.tenant(installation, code)
            return {"limits": json.loads(tenant["limits"]), "used": book.usage(f"tenant:{tenant['id']}")}
        case ["tenants", installation, code]:
            tenant = now.tenant(installation, code)
            return wire.Tenant(id=tenant["id"], name=tenant["name"], epoch=tenant["epoch"])
        case ["tickets", ticket_id]:
            return now.ticket(ticket_id)
        case ["guests", guest_id]:
            return now.deleted(guest_id) if "deleted" in query else now.guest(guest_id)
        case ["hosts"]:
            return wire.Hosts(hosts=placement.hosts(book))
        case ["inventory"]:
            return _inventory(book, query)
        case ["events"]:
            limit = number(query, "limit", 1, PAGE_MAX, PAGE_MAX)
            rows = book.all(
                "SELECT * FROM record WHERE seq > ? ORDER BY seq LIMIT ?", number(query, "after", 0, 2**63 - 1, 0), limit + 1
            )
            events = [
                wire.Entry(seq=r["seq"], at=r["at"], verb=r["verb"], guest=msgspec.json.decode(r["guest"], type=wire.Guest))
                for r in rows[:limit]
            ]
            return wire.Events(events=events, more=len(rows) > limit)
    raise nothing_here()


def nothing_here() -> world.RefusedError:
    """404 for a path that the cloud does not have."""
    return world.RefusedError(404, "path.unknown", "there is nothing here")


def number(query: dict[str, str], field: str, low: int, high: int, default: int) -> int:
    """A whole number of the query string; 400 input.invalid outside [low, high]."""
    text = query.get(field, "")
    if not text:
        return default
    if len(text) > 19 or not (text.isascii() and text.isdecimal()) or not low <= int(text) <= high:
        raise world.RefusedError(400, "input.invalid", f"{field} is a number from {low} to {high}")
    return int(text)


def _inventory(book: books.Book, query: dict[str, str]) -> wire.Inventory:
    """One page: guests by id, then tickets by id.  `after` is 'g:<id>' or 't:<id>'."""
    limit = number(query, "limit", 1, PAGE_MAX, PAGE_MAX)
    named = {"installation": query.get("installation", ""), "resource_id": query.get("resource_id", "")}
    stage, _, last = query.get("after", "g:").partition(":")
    chosen = "(:installation = '' OR {0}installation = :installation) AND (:resource_id = '' OR {0}resource_id = :resource_id)"
    guests: list[wire.Guest] = []
    if stage == "g":
        sql = f"{placement.GUESTS} WHERE g.deleted_at IS NULL AND g.id > :last AND {chosen.format('g.')} ORDER BY g.id LIMIT :limit"
        guests = [rows.guest_of(row) for row in book.all(sql, **named, last=last, limit=limit)]
        if len(guests) == limit:
            return wire.Inventory(guests=guests, tickets=[], after=f"g:{guests[-1].id}")
        last, limit = "", limit - len(guests)
    sql = f"SELECT * FROM tickets WHERE state <> 'deleted' AND id > :last AND {chosen.format('')} ORDER BY id LIMIT :limit"
    tickets = [rows.ticket_of(row) for row in book.all(sql, **named, last=last, limit=limit)]
    return wire.Inventory(guests=guests, tickets=tickets, after=f"t:{tickets[-1].id}" if len(tickets) == limit else "")
