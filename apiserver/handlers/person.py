"""Routes of persons: personal data, for the administrators who need it and for the person himself."""

from typing import Annotated, Any

import msgspec

from apiserver import page, route
from control import case, person


class Correction(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is corrected; a field left out stays."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)] | None = None
    contact: Annotated[str, msgspec.Meta(max_length=200)] | None = None


class Person(msgspec.Struct, kw_only=True):
    """A person; `accounts` only where one is shown."""

    id: str
    name: str
    contact: str
    accounts: list[str] = []


def list_persons(tx: Any, call: route.Call) -> Any:
    """Persons whose accounts are at home where the caller may list persons."""
    return page.whole(person.list_persons(tx, call.who), call, lambda row: [row["name"], row["id"]])


def show_person(tx: Any, call: route.Call) -> Any:
    """One person with the accounts."""
    return person.show_person(tx, call.who, call.path["person"])


def update_person(call: route.Call) -> case.UseCase:
    """Correct name or contact."""
    return person.update_person(call.path["person"], name=call.body.name, contact=call.body.contact)


ROUTES = [
    route.read("GET", "/v1/persons", "person.list", list_persons, query=page.Query, answer=page.Page[Person]),
    route.read("GET", "/v1/persons/{person}", "person.show", show_person, answer=Person),
    route.change("PATCH", "/v1/persons/{person}", "person.update", update_person, body=Correction, answer=Person),
]
