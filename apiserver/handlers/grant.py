"""Routes of quotas: grants, moves of grants, defaults of new tenants, the names that are counted."""

from typing import Annotated, Any, Literal

import msgspec

from apiserver import page, route
from control import case, grant, simulation, simulation_file
from primitives import quantity

Code = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64, description="such as cpu_milli or disk_gib.ssd")]
Generation = Annotated[int, msgspec.Meta(ge=0, le=quantity.BOUND)]
Over = Annotated[bool, msgspec.Meta(description="let the grant be less than what is used; only shrinking passes until it fits")]


class GrantQuery(page.Query, kw_only=True):
    """Filters of the list."""

    tenant: Annotated[str, msgspec.Meta(max_length=63, description="this tenant and those below it")] = ""
    name: Annotated[str, msgspec.Meta(max_length=64)] = ""


class SetQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How a grant may be set."""

    allow_over: Over = False


class GrantChange(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What becomes of the grant of one name; a field left out stays."""

    name: Name
    granted: grant.Granted | msgspec.UnsetType = msgspec.UNSET
    lending_limit: grant.Amount | msgspec.UnsetType | None = msgspec.UNSET
    borrowing_limit: grant.Amount | msgspec.UnsetType = msgspec.UNSET
    generation: Annotated[
        Generation | None, msgspec.Meta(description="refuse if the grant is no longer at this generation; 0: not granted yet")
    ] = None


class Changes(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Changes of several names of one tenant, all or none."""

    grants: Annotated[list[GrantChange], msgspec.Meta(min_length=1, max_length=64)]
    allow_over: Over = False


class Move(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Granted units that go from one tenant to another."""

    giver: Code
    taker: Code
    amounts: Annotated[dict[Name, Annotated[int, msgspec.Meta(ge=1, le=quantity.BOUND)]], msgspec.Meta(min_length=1, max_length=64)]
    allow_over: Over = False


class Default(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a new tenant is granted."""

    granted: grant.Amount


class Grant(msgspec.Struct, kw_only=True):
    """A grant as a document."""

    apiVersion: str
    kind: Literal["Grant"]
    metadata: dict[str, Any]
    spec: dict[str, Any]
    status: dict[str, Any]


class Standing(msgspec.Struct, kw_only=True):
    """How a tenant stands for one name, in the unit of that name."""

    tenant: str
    name: str
    granted: int
    used: int
    lending_limit: int | None
    borrowing_limit: int
    limit: int
    kept: int
    borrowed: int
    over_by: int
    generation: int
    promised: int | msgspec.UnsetType = msgspec.UNSET
    available: int | msgspec.UnsetType = msgspec.UNSET
    borrowable: int | msgspec.UnsetType = msgspec.UNSET
    lent: int | msgspec.UnsetType = msgspec.UNSET
    lenders: dict[str, int] | msgspec.UnsetType = msgspec.UNSET


class NewTenantDefault(msgspec.Struct, kw_only=True):
    """What a new tenant is granted of one name."""

    name: str
    granted: int


class Counted(msgspec.Struct, kw_only=True):
    """A thing that is counted; people read `per_shown` units as one `shown`."""

    name: str
    unit: str
    shown: str
    per_shown: int
    en: str
    zh: str


class SimulationQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the report lists."""

    all: Annotated[bool, msgspec.Meta(description="list the admitted requests too")] = False


class Short(msgspec.Struct, kw_only=True):
    """One level and name at which requests fail."""

    tenant: str
    name: str
    refused: int
    short_by_most: int


class Verdict(msgspec.Struct, kw_only=True):
    """What would become of one request; `lines` of the file."""

    lines: list[int]
    order: str
    tenant: str
    verdict: str
    code: str
    breaches: list[dict[str, Any]]
    why: str


class Simulation(msgspec.Struct, kw_only=True):
    """What would become of a file of requests; `codes` counts refusals by their code, `where` by level and name."""

    at: str
    rows: int
    requests: int
    admitted: int
    refused: int
    codes: dict[str, int]
    where: list[Short]
    verdicts: list[Verdict]


def list_grants(tx: Any, call: route.Call) -> Any:
    """How the tenants that the caller sees stand."""
    rows = grant.list_grants(tx, call.who, tenant=call.query.tenant, name=call.query.name)
    return page.whole(rows, call, lambda row: [row["tenant"], row["name"]])


def show_grants(tx: Any, call: route.Call) -> Any:
    """How one tenant stands for every name: lent and borrowed now, and what it could still reserve (`available`) and borrow (`borrowable`)."""
    return grant.show_grants(tx, call.who, call.path["tenant"])


def show_grant(tx: Any, call: route.Call) -> Any:
    """The grant of one name as a document."""
    return grant.show_grant(tx, call.who, call.path["tenant"], call.path["name"])


def set_grant(call: route.Call) -> case.UseCase:
    """Set the grant of one name; only somebody above the tenant may."""
    return grant.set_grant(
        call.path["tenant"],
        call.path["name"],
        call.body,
        if_match=call.context.if_match,
        allow_over=call.query.allow_over,
    )


def set_grants(call: route.Call) -> case.UseCase:
    """Change the grants of several names at once, all or none."""
    changes = [grant.Change(**msgspec.structs.asdict(each)) for each in call.body.grants]
    return grant.set_grants(call.path["tenant"], changes, allow_over=call.body.allow_over)


def move_grants(call: route.Call) -> case.UseCase:
    """Move granted units from one tenant to another in one transaction."""
    return grant.move_grants(call.body.giver, call.body.taker, call.body.amounts, allow_over=call.body.allow_over)


def list_defaults(tx: Any, call: route.Call) -> Any:
    """What new tenants are granted."""
    return grant.list_defaults(tx, call.who)


def set_default(call: route.Call) -> case.UseCase:
    """Set what new tenants are granted of a name, as far as their parent has it."""
    return grant.set_default(call.path["name"], call.body.granted)


def simulate(tx: Any, call: route.Call) -> Any:
    """Play a CSV file of requests against a copy of today's state and say who would be refused where; nothing is changed or held."""
    return simulation.simulate(tx, call.who, call.raw, everything=call.query.all, lang=call.context.lang)


def list_names(tx: Any, call: route.Call) -> Any:
    """Everything that is counted, with its unit; a class such as disk_gib.ssd counts on both names."""
    return grant.list_names()


ROUTES = [
    route.read("GET", "/v1/grants", "grant.list", list_grants, query=GrantQuery, answer=page.Page[Standing]),
    route.read("GET", "/v1/grants/{tenant}", "grant.standings", show_grants, answer=list[Standing]),
    route.change("PATCH", "/v1/grants/{tenant}", "grant.set_several", set_grants, body=Changes, answer=list[Standing]),
    route.read("GET", "/v1/grants/{tenant}/{name}", "grant.show", show_grant, answer=Grant),
    route.change(
        "PUT", "/v1/grants/{tenant}/{name}", "grant.set", set_grant, query=SetQuery, body=grant.Spec, answer=Grant, if_match=True
    ),
    route.change("POST", "/v1/grant-moves", "grant.move", move_grants, body=Move, answer=list[Standing]),
    route.read("GET", "/v1/grant-defaults", "grant.defaults", list_defaults, answer=list[NewTenantDefault]),
    route.change("PUT", "/v1/grant-defaults/{name}", "grant.set_default", set_default, body=Default, answer=NewTenantDefault),
    route.read("GET", "/v1/quota-names", "grant.names", list_names, answer=list[Counted]),
    route.read(
        "POST",
        "/v1/quota-simulations",
        "grant.simulate",
        simulate,
        query=SimulationQuery,
        raw="text/csv",
        limit=simulation_file.BYTES_MAX,
        answer=Simulation,
    ),
]
