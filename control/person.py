"""Persons: personal data, seen by the administrators who need it, corrected on request.  Never in the trail: only the
person's id is.
"""

from typing import Any

from control import access, case
from store.transaction import Transaction
from tenants import faults, model, people, service


def list_persons(tx: Transaction, who: model.Principal) -> list[dict[str, Any]]:
    """The persons whose accounts are at home where the caller may list persons, by name."""
    scope = access.scope(tx, who, verb="list", kind="person")
    return people.persons(tx, scope)


def show_person(tx: Transaction, who: model.Principal, person_id: str) -> dict[str, Any]:
    """One person with his accounts."""
    _permit(tx, who, person_id, "show")
    return _shown(tx, person_id)


def update_person(person_id: str, *, name: str | None, contact: str | None) -> case.UseCase:
    """Correct a name or contact (a right that everyone has over his data; the system administrator writes it)."""

    def effect(tx: Transaction, _: model.Principal, permit: model.Permit) -> case.Answer:
        found = people.person(tx, person_id)
        new_name, new_contact = (old if new is None else new for old, new in ((found.name, name), (found.contact, contact)))
        changed = people.update_person(tx, found, name=new_name, contact=new_contact)
        return case.Answer(
            body=_shown(tx, person_id),
            kind="person",
            object_id=person_id,
            tenant_id=permit.tenant_id,
            before=people.commitment(found),
            after=people.commitment(changed),
        )

    return case.UseCase(action="person.update", permit=lambda tx, who: _permit(tx, who, person_id, "update"), effect=effect)


def _permit(tx: Transaction, who: model.Principal, person_id: str, verb: str) -> model.Permit:
    """By a role where one of the person's accounts is at home; a person may always look at himself."""
    if person_id == who.person_id and verb == "show":
        return access.own(who, "whoami", "account")
    homes = sorted({row["tenant_id"] for row in people.accounts_of_person(tx, person_id)})
    seen = [home for home in homes if service.sees(tx, who, home)]
    if not seen:
        raise faults.UNKNOWN(kind="person")
    return access.require(tx, who, verb, "person", tenant_id=seen[0])


def _shown(tx: Transaction, person_id: str) -> dict[str, Any]:
    found = people.person(tx, person_id)
    accounts = [row["code"] for row in people.accounts_of_person(tx, person_id)]
    return {"id": found.id, "name": found.name, "contact": found.contact, "accounts": accounts}
