"""Routes of price books, and what-if: a month or a size under another book."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec

from apiserver import page, route
from control import case, price, yaml_text
from metering import books, model
from primitives import errors
from store.transaction import Transaction
from templates import catalog

_AMOUNT: Final = re.compile("[0-9]{1,10}")


class Try(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What to price: the use of a month, or a size (by its name, or amounts such as cpu_milli=4000,ram_mib=8192)."""

    month: Annotated[str, msgspec.Meta(max_length=7)] = ""
    tenant: Annotated[str, msgspec.Meta(max_length=63)] = ""
    kind: Annotated[str, msgspec.Meta(max_length=63)] = "VirtualMachine"
    size: Annotated[str, msgspec.Meta(max_length=63)] = ""
    amounts: Annotated[str, msgspec.Meta(max_length=500)] = ""
    service_class: Annotated[str, msgspec.Meta(max_length=63)] = ""


class Book(msgspec.Struct, kw_only=True):
    """A price book as a document."""

    apiVersion: str
    kind: str
    metadata: dict[str, Any]
    spec: dict[str, Any]
    status: dict[str, Any]


class Compared(msgspec.Struct, kw_only=True):
    """Money by the books in force (`now`) and by the tried book (`then`); of a month by tenant, of a size by SKU."""

    book: str
    month: str
    currency: str
    now: str
    then: str
    difference: str
    tenants: list[dict[str, str]] = []
    in_force: str = ""
    lines: list[dict[str, Any]] = []


def list_books(tx: Transaction, call: route.Call) -> Any:
    """Price books, by the moment they come into force."""
    rows = price.list_books(tx, call.who)
    return page.whole(rows, call, lambda row: [row["spec"]["valid_from"], row["metadata"]["name"]])


def show_book(tx: Transaction, call: route.Call) -> Any:
    """One price book."""
    return price.show_book(tx, call.who, call.path["name"])


def set_book(call: route.Call) -> case.UseCase:
    """Make a price book, or change one that has not started; a started one stays as it is for ever."""
    return price.set_book(call.path["name"], call.body, if_match=call.context.if_match)


def try_book(tx: Transaction, call: route.Call) -> Any:
    """What a month's use or a size would cost under a stored price book."""
    return _tried(tx, call, price.stored_book(tx, call.path["name"]))


def try_text(tx: Transaction, call: route.Call) -> Any:
    """What a month's use or a size would cost under the price book sent as YAML; nothing is stored."""
    return _tried(tx, call, price.written_book(tx, call.raw))


def _tried(tx: Transaction, call: route.Call, book: model.PriceBook) -> Any:
    query: Try = call.query
    if bool(query.month) == bool(query.size or query.amounts):
        raise errors.INVALID(field="month", reason="give either a month, or a size or amounts")
    if query.month:
        return price.try_month(tx, call.who, book, month=query.month, tenant=query.tenant)
    amounts = catalog.size(query.size) if query.size else _amounts(query.amounts)
    return price.try_size(tx, call.who, book, kind=query.kind, amounts=amounts, service_class=query.service_class)


def _amounts(text: str) -> Mapping[str, int]:
    amounts: dict[str, int] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        if not name or not _AMOUNT.fullmatch(value) or int(value) > model.AMOUNT_BOUND:
            raise errors.INVALID(field="amounts", reason=f"{part[:40]!r} is not an amount such as cpu_milli=4000")
        amounts[name] = int(value)
    return amounts


ROUTES = [
    route.read("GET", "/v1/price-books", "price.list", list_books, query=page.Query, answer=page.Page[Book]),
    route.read("GET", "/v1/price-books/{name}", "price.show", show_book, answer=Book),
    route.change("PUT", "/v1/price-books/{name}", "price.set", set_book, body=books.BookSpec, answer=Book),
    route.read("GET", "/v1/price-books/{name}/try", "price.try", try_book, query=Try, answer=Compared),
    route.read(
        "POST",
        "/v1/price-tries",
        "price.try_text",
        try_text,
        query=Try,
        raw="application/yaml",
        limit=yaml_text.BYTES_MAX,
        answer=Compared,
    ),
]
