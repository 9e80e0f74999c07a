"""Halls of the data centre: set, list, show; the document kind Hall."""

from typing import Annotated, Any, Final, Literal

import msgspec

from control import access, case, document
from primitives import errors
from pue_monitor import model, service
from store.transaction import Transaction
from tenants import model as tenants_model

CODE: Final = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
Code = Annotated[str, msgspec.Meta(pattern=CODE, max_length=63)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]


class Spec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A hall as a document says it."""

    name: Name
    site: Name
    boundary: Annotated[
        Literal["whole", "part"], msgspec.Meta(description="whole: its sums are a PUE; part: of a data centre, a pPUE")
    ] = "whole"
    category: Annotated[
        int, msgspec.Meta(ge=1, le=3, description="where IT energy is taken: 1 UPS output, 2 PDU output, 3 IT input")
    ] = 1


def set_hall(code: str, spec: Spec, *, if_match: int | None = None) -> case.UseCase:
    """Make a hall be as the spec says; an equal one stays untouched."""

    def effect(tx: Transaction, who: tenants_model.Principal, permit: tenants_model.Permit) -> case.Answer:
        try:
            msgspec.convert(code, Code)
        except msgspec.ValidationError as error:
            raise errors.INVALID(field="name", reason="a code has lower-case letters, digits and inner hyphens") from error
        before = service.find_hall(tx, code)
        access.matches(if_match, before.generation if before else 0, kind="hall", name=code)
        wanted = model.Hall(
            id="", code=code, name=spec.name, site=spec.site, boundary=spec.boundary, category=spec.category, generation=0
        )
        after = service.put_hall(tx, wanted, before)
        body = _document(after)
        return case.Answer(
            status=200 if before else 201,
            body=body,
            kind="hall",
            object_id=after.id,
            generation=after.generation,
            before=None if before is None else _document(before)["spec"],
            after=body["spec"],
        )

    return case.UseCase(
        action="hall.set", permit=lambda tx, who: access.require(tx, who, "set", "hall", tenant_id=None), effect=effect
    )


def list_halls(tx: Transaction, who: tenants_model.Principal) -> list[dict[str, Any]]:
    """All halls by code."""
    access.require(tx, who, "list", "hall", tenant_id=None)
    return [_document(hall) for hall in service.halls(tx)]


def show_hall(tx: Transaction, who: tenants_model.Principal, code: str) -> dict[str, Any]:
    """One hall."""
    access.require(tx, who, "show", "hall", tenant_id=None)
    return _document(service.hall(tx, code))


def _document(hall: model.Hall) -> dict[str, Any]:
    return {
        "apiVersion": document.API_VERSION,
        "kind": "Hall",
        "metadata": {"name": hall.code, "id": hall.id, "generation": hall.generation},
        "spec": {"name": hall.name, "site": hall.site, "boundary": hall.boundary, "category": hall.category},
        "status": {},
    }


document.register("Hall", Spec, lambda one: set_hall(one.metadata.name, one.spec, if_match=one.metadata.generation))
