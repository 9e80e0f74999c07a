"""Routes of backups: create one on the server, list them, accept a restored state.  Verifying and restoring are local commands."""

from typing import Any

import msgspec

from apiserver import route
from control import backup, case
from store.transaction import Transaction


class Backup(msgspec.Struct, kw_only=True):
    """A finished backup in the server's folder."""

    file: str
    sha256: str
    created_at: str
    epoch: int
    rows: int
    size_bytes: int


class Listed(msgspec.Struct, kw_only=True):
    """A file of the server's backup folder."""

    file: str
    size_bytes: int


class Accepted(msgspec.Struct, kw_only=True):
    """Who accepted the restored state so far, and whether that is enough."""

    epoch: int
    accepted: bool
    by: list[str]


def create(call: route.Call) -> case.Answer:
    """Write a backup of the present state into the server's folder."""
    return backup.create(call.wiring, backup.folder_of(call.wiring.settings, call.wiring.database.url), call.context)


def listed(tx: Transaction, call: route.Call) -> Any:
    """The finished backups in the server's folder, newest first."""
    return backup.listed(tx, call.who, backup.folder_of(call.wiring.settings, call.wiring.database.url))


def accept(call: route.Call) -> case.UseCase:
    """Accept a restored state; the second administrator of another role completes it."""
    return backup.accept()


ROUTES = [
    route.work("POST", "/v1/backups", "backup.create", create, answer=Backup, status=201),
    route.read("GET", "/v1/backups", "backup.list", listed, answer=list[Listed]),
    route.change("POST", "/v1/restore/acceptances", "backup.accept", accept, answer=Accepted),
]
