"""Routes of backups: create one on the server, list them, accept a restored state.  Verifying and restoring are local commands."""

from typing import Any

import msgspec

from apiserver import route
from control import backup, case
from control.recovery import acceptance
from primitives import errors
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


class News(msgspec.Struct, kw_only=True):
    """One line of a cloud's record that the restored database does not know."""

    at: str
    verb: str


class Outcome(msgspec.Struct, kw_only=True):
    """What acceptance makes of a finding."""

    en: str
    zh: str


class Finding(msgspec.Struct, kw_only=True):
    """One resource of which the restored database and its cloud tell different things."""

    resource: str
    tenant: str
    project: str
    kind: str
    name: str
    pool: str
    happened: str
    state: str
    amounts: dict[str, int]
    news: list[News]
    outcome: Outcome


class Restored(msgspec.Struct, kw_only=True):
    """A restored state: who accepted it, whether that is enough, and what happened in the clouds since the backup."""

    epoch: int
    accepted: bool
    by: list[str]
    findings: list[Finding]


def create(call: route.Call) -> case.Answer:
    """Write a backup of the present state into the server's folder."""
    if call.dry_run:
        raise errors.INVALID(field="dry_run", reason="a backup cannot be rehearsed")
    return backup.create(call.wiring, backup.folder_of(call.wiring.settings, call.wiring.database.url), call.context)


def listed(tx: Transaction, call: route.Call) -> Any:
    """The finished backups in the server's folder, newest first."""
    return backup.listed(tx, call.who, backup.folder_of(call.wiring.settings, call.wiring.database.url))


def show(tx: Transaction, call: route.Call) -> Any:
    """What happened in the clouds between the backup and the restore, and what acceptance makes of it."""
    return acceptance.show(tx, call.who, call.wiring)


def accept(call: route.Call) -> case.Answer:
    """Accept a restored state; the second administrator of another role completes it, and what was found is taken over."""
    return acceptance.accept(call.wiring, call.context, dry_run=call.dry_run)


ROUTES = [
    route.work("POST", "/v1/backups", "backup.create", create, answer=Backup, status=201),
    route.read("GET", "/v1/backups", "backup.list", listed, answer=list[Listed]),
    route.read("GET", "/v1/restore", "restore.show", show, answer=Restored),
    route.work("POST", "/v1/restore/acceptances", "backup.accept", accept, answer=Restored),
]
