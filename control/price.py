"""Price books: make one, list, show, and what a month or a size would cost under another one."""

from collections.abc import Mapping
from typing import Any

from control import access, case, document, usage
from control.recovery import acceptance
from metering import books, model, statements
from metering import service as metering
from primitives import clock, errors, money
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import service as tenants

API_VERSION = document.API_VERSION


def set_book(name: str, spec: books.BookSpec, *, if_match: int | None = None) -> case.UseCase:
    """Make a price book, or change one that has not started."""

    def effect(tx: Transaction, who: tenants_model.Principal, permit: tenants_model.Permit) -> case.Answer:
        before, after = metering.set_price_book(tx, name, spec)
        access.matches(if_match, before.generation if before else 0, kind="price book", name=name)
        plain = None if before is None else book_document(before, tx)
        made = book_document(after, tx)
        return case.Answer(
            status=200 if before else 201,
            body=made,
            kind="price",
            object_id=name,
            generation=after.generation,
            before=plain,
            after=made,
        )

    return case.UseCase(action="price.set", permit=_asked("set"), effect=effect)


def list_books(tx: Transaction, who: tenants_model.Principal) -> list[dict[str, Any]]:
    """All price books, by the moment they come into force."""
    _asked("list")(tx, who)
    return [book_document(book, tx) for book in metering.price_books(tx)]


def show_book(tx: Transaction, who: tenants_model.Principal, name: str) -> dict[str, Any]:
    """One price book.  Raises price.unknown."""
    _asked("show")(tx, who)
    return book_document(metering.price_book(tx, name), tx)


def written_book(tx: Transaction, content: bytes) -> model.PriceBook:
    """The one price book of a YAML text, for a what-if; nothing is stored.  Raises document.invalid, input.invalid."""
    placed = document.read(content)
    if len(placed) != 1 or placed[0].document.kind != "PriceBook":
        raise errors.INVALID(field="book", reason="the text must hold one document of kind PriceBook")
    one = placed[0].document
    return books.book(one.metadata.name, one.spec, generation=1, recorded_at=tx.now())


def stored_book(tx: Transaction, name: str) -> model.PriceBook:
    """A stored book, for a what-if.  Raises price.unknown."""
    return metering.price_book(tx, name)


def try_month(tx: Transaction, who: tenants_model.Principal, book: model.PriceBook, *, month: str, tenant: str) -> dict[str, Any]:
    """What the use of a month costs by the books in force, and what it would if `book` had been in force all month."""
    _asked("try")(tx, who)
    codes = usage.visible(tx, who, "draft", "statement", tenant)
    excluded = acceptance.excluded(tx)
    sums = statements.what_if(tx, month, book, codes=codes, excluded=excluded)
    rows = [_difference(code, now, then) for code, (now, then) in sums.items()]
    whole = _difference("", sum(now for now, _ in sums.values()), sum(then for _, then in sums.values()))
    return {"book": book.name, "month": month, "currency": money.CURRENCY, **whole, "tenants": rows}


def try_size(
    tx: Transaction,
    who: tenants_model.Principal,
    book: model.PriceBook,
    *,
    kind: str,
    amounts: Mapping[str, int],
    service_class: str,
) -> dict[str, Any]:
    """What a size costs in a month of 730 hours by the book in force now, and by `book`.  Raises price.missing."""
    _asked("try")(tx, who)
    root, dimensions = tenants.root(tx).id, {"class": service_class}
    now = metering.monthly_price(tx, tenant_id=root, kind=kind, amounts=amounts, dimensions=dimensions, at=tx.now())
    then = metering.quote(book, kind, amounts, dimensions, tx.now())
    lines = [
        {
            "sku": line.sku,
            "unit": line.unit,
            "units": line.units,
            "unit_price": money.price_text(line.unit_price_micro),
            "amount": money.text(line.amount_micro),
        }
        for line in then.lines
    ]
    compared = _difference("", now.monthly_micro, then.monthly_micro)
    return {"book": book.name, "month": "", "currency": money.CURRENCY, **compared, "in_force": now.price_version, "lines": lines}


def book_document(book: model.PriceBook, tx: Transaction) -> dict[str, Any]:
    """A price book as a document."""
    in_force = metering.book_in_force(tx)
    return {
        "apiVersion": API_VERSION,
        "kind": "PriceBook",
        "metadata": {"name": book.name, "generation": book.generation},
        "spec": books.spec(book),
        "status": {
            "in_force": in_force is not None and in_force.name == book.name,
            "started": book.valid_from <= tx.now(),
            "recorded_at": clock.text(book.recorded_at),
        },
    }


def _difference(tenant: str, now: int, then: int) -> dict[str, Any]:
    row = {"now": money.text(now), "then": money.text(then), "difference": money.text(then - now)}
    return {"tenant": tenant, **row} if tenant else row


def _asked(verb: str) -> case.Permit:
    return lambda tx, who: access.require(tx, who, verb, "price", tenant_id=None)


document.register(
    "PriceBook",
    books.BookSpec,
    lambda one: set_book(one.metadata.name, one.spec, if_match=one.metadata.generation),
    after_kinds={"Tenant"},
)
