"""How the server is, for those who run it."""

from typing import Any

import msgspec

from apiserver import route
from control import status
from store.transaction import Transaction


class ServiceState(msgspec.Struct, kw_only=True):
    """One background service of the process that answered."""

    name: str
    state: str


class Status(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The state of the server; what only those who run it may see is left out for others."""

    version: str
    installation: str
    now: str
    database: str
    unread_notices: int
    epoch: int | None = None
    restore_accepted: bool | None = None
    lane_backlog: int | None = None
    services: list[ServiceState] | None = None
    workers: list[dict[str, Any]] | None = None
    at_work: int | None = None
    backlog: int | None = None
    backlog_oldest_at: str | None = None
    attempts_open: int | None = None
    attempt_oldest_at: str | None = None
    quarantined: int | None = None
    resources: dict[str, int] | None = None
    orders: dict[str, int] | None = None
    sweeps: list[dict[str, Any]] | None = None


def show(tx: Transaction, call: route.Call) -> Any:
    """Workers, backlog, oldest attempt, last sweep."""
    return status.show(tx, call.who, call.wiring.database, call.wiring.services)


ROUTES = [route.read("GET", "/v1/status", "status.show", show, answer=Status)]
