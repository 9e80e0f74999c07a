"""Routes that prove and mend what is held: `quota check`, `quota repair`."""

from typing import Annotated, Any

import msgspec

from apiserver import route
from control import case, quota_check, quota_repair


class Finding(msgspec.Struct, kw_only=True):
    """One thing that is not as it must be; `repair` says what a repair does about it, '' where a person must decide."""

    code: str
    tenant: str
    object: str
    name: str
    field: str
    stored: int
    derived: int
    repair: str


class Report(msgspec.Struct, kw_only=True):
    """What was found; `digest` names what a repair is agreed to."""

    at: str
    sound: bool
    findings: int
    codes: dict[str, int]
    repairable: int
    digest: str
    listed: list[Finding]


class NewRepair(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is agreed to."""

    digest: Annotated[
        str, msgspec.Meta(max_length=80, description="of the check that was looked at; refused if something else differs now")
    ]


class Repaired(msgspec.Struct, kw_only=True):
    """What was put right; `left` holders wait for the next repair."""

    repaired: list[Finding]
    left: int


def check(tx: Any, call: route.Call) -> Any:
    """Prove in one snapshot that every sum is right and that nobody holds more or less than he should."""
    return quota_check.check(tx, call.who)


def repair(call: route.Call) -> case.Answer:
    """Add up again from the reservations, release what is nobody's, hold what should be held; no limit is loosened."""
    found = call.read(lambda tx: quota_repair.seen(tx, call.who))
    return call.perform(quota_repair.repair(found, call.body.digest))


ROUTES = [
    route.read("GET", "/v1/quota-check", "quota.check", check, answer=Report),
    route.work("POST", "/v1/quota-repairs", "quota.repair", repair, body=NewRepair, answer=Repaired),
]
