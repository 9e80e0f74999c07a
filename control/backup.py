"""Backups of a running server; verifying and restoring them at the server's console; accepting a restored state.

A restore raises the epoch, so tokens and leases are void and sweeps only report.  What departments got or gave back between the
backup and the restore is listed and disputed, on no statement, and never deleted, until two of the three administrators accept.
"""

import hashlib
import pathlib
from typing import Any

from audit import model as audit_model
from audit import rules as audit_rules
from audit import service as audit
from control import access, case
from control import settings as control_settings
from primitives import clock
from store import backup
from store import database as store_database
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import people, role_table, signin
from tenants import service as tenants


def create(wiring: case.Wired, folder: pathlib.Path, context: case.Context) -> case.Answer:
    """Write a backup of the present state into the server's folder.  A repeat under the same key gives the same file."""
    wiring.database.read(lambda tx: _permit(tx, case.who(tx, context)))
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    mark = hashlib.sha256(f"{context.idempotency_key}/{context.token}".encode()).hexdigest()[:12]
    path = next(iter(folder.glob(f"*-{mark}.backup")), folder / f"govpool-{clock.now():%Y%m%dT%H%M%SZ}-{mark}.backup")
    if not path.exists():
        wiring.database.read(lambda tx: backup.write(tx, path, {"audit": list(audit.head(tx))}))
    manifest = backup.read_manifest(path)
    digest = _sha256(path)
    body = {
        "file": path.name,
        "sha256": digest,
        "created_at": manifest.created_at,
        "epoch": manifest.epoch,
        "rows": sum(int(told["rows"]) for told in manifest.tables.values()),
        "size_bytes": path.stat().st_size,
    }

    def effect(tx: Transaction, who: tenants_model.Principal, allowed: tenants_model.Permit) -> case.Answer:
        facts = {"file": path.name, "sha256": digest}
        return case.Answer(status=201, body=body, kind="backup", object_id=path.name, after=body, facts=facts)

    return case.perform(wiring, case.UseCase(action="backup.create", permit=_permit, effect=effect), context)


def listed(tx: Transaction, who: tenants_model.Principal, folder: pathlib.Path) -> list[dict[str, Any]]:
    """The finished backups in the server's folder, newest first."""
    access.require(tx, who, "list", "backup", tenant_id=None)
    found = sorted(folder.glob("*.backup"), reverse=True) if folder.is_dir() else []
    return [{"file": path.name, "size_bytes": path.stat().st_size} for path in found]


def verify(path: pathlib.Path) -> dict[str, Any]:
    """Read a whole backup: tables against the manifest, the audit trail re-hashed from its bytes.  Raises backup.broken."""
    manifest = backup.verify(path)
    records = (
        audit_model.Record(
            seq=row["seq"], content=row["content"], leaf_hash=row["leaf_hash"].hex(), chain_hash=row["chain_hash"].hex()
        )
        for row in backup.rows(path, "audit_trail")
    )
    verdict = audit_rules.verify(records)
    if verdict.flaw:
        raise backup.BROKEN(file=path.name, reason=f"audit trail: {verdict.flaw}")
    if [verdict.records, verdict.chain_hash] != manifest.extra.get("audit"):
        raise backup.BROKEN(file=path.name, reason="the audit trail does not end where the manifest says")
    return {
        "file": path.name,
        "created_at": manifest.created_at,
        "installation": manifest.installation,
        "epoch": manifest.epoch,
        "tables": len(manifest.tables),
        "rows": sum(int(told["rows"]) for told in manifest.tables.values()),
        "audit_lines": verdict.records,
    }


def restore(url: str, path: pathlib.Path, *, replace: bool) -> dict[str, Any]:
    """Put a verified backup into an empty database, or with `replace` in the place of the present one, which stays aside under a dated name.

    A local command under the lock file.  Killed at any moment it leaves a database that does not start.  Returns new one-use codes of the
    administrators: all tokens are void.
    """
    report = verify(path)
    lock = _lock(url)
    try:
        backup.refuse_in_use(url)
        above = backup.epoch_of(url)
        if above and not replace:
            raise backup.NOT_EMPTY()
        if above:
            backup.put_aside(url)
        codes = backup.load(url, path, above, lambda tx: _new_codes(tx, path, report))
    finally:
        if lock is not None:
            lock.release()
    return {**report, "epoch": max(int(report["epoch"]), above) + 1, "codes": codes}


def folder_of(settings: control_settings.Settings, url: str) -> pathlib.Path:
    """Where the server keeps its backups: the setting, or `backups` beside a SQLite file."""
    if settings.backup_folder:
        return pathlib.Path(settings.backup_folder)
    beside = store_database.sqlite_path(url).parent if url.startswith("sqlite") else pathlib.Path.cwd()
    return beside / "backups"


def _permit(tx: Transaction, who: tenants_model.Principal) -> tenants_model.Permit:
    return access.require(tx, who, "create", "backup", tenant_id=None)


def _new_codes(tx: Transaction, path: pathlib.Path, report: dict[str, Any]) -> list[dict[str, str]]:
    """A one-use code for every administrator at the root whose account is not disabled; the line of the restore."""
    root = tenants.root(tx)
    codes = []
    for row in people.bindings(tx, tenants_model.Scope(tenant_ids=(root.id,), everything=False)):
        account = people.account(tx, row["account"])
        if row["role"] in role_table.ADMINISTRATORS and not account.disabled:
            code = signin.enrol(tx, account, at_console=True)
            codes.append({"account": account.code, "role": str(row["role"]), "code": code})
    facts = {"file": path.name, "sha256": _sha256(path), "created_at": str(report["created_at"])}
    audit.append(tx, audit_model.Line(actor="console", action="backup.restore", kind="backup", object_id=path.name, facts=facts))
    return codes


def _lock(url: str) -> store_database.LockFile | None:
    if not url.startswith("sqlite"):
        return None
    path = store_database.sqlite_path(url)
    path.parent.mkdir(parents=True, exist_ok=True)
    return store_database.LockFile(path)


def _sha256(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
