"""The beginning of an installation: its row, the root of the tree, and the three administrators with their one-use codes.

Runs on the server's console with the database under the lock file, never through the API: whoever can do this owns the machine.
"""

import dataclasses
import datetime
from typing import Final

from audit import model as audit_model
from audit import service as audit
from store import database as store_database
from store import installation
from store.transaction import Transaction
from tenants import faults, model, people, signin, tree
from tenants.records import tree as records


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Administrator:
    """One of the three: login name and the person's name."""

    role: model.Role
    account: str
    name: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A one-use code for `govpool login`, valid 24 h; shown once."""

    role: str
    account: str
    code: str


PLACEHOLDERS: Final = (
    Administrator(role=model.Role.SYSTEM_ADMIN, account="system-admin", name="系统管理员 System administrator"),
    Administrator(role=model.Role.SECURITY_ADMIN, account="security-admin", name="安全管理员 Security administrator"),
    Administrator(role=model.Role.AUDIT_ADMIN, account="audit-admin", name="审计管理员 Audit administrator"),
)
"""Used where no name is given; `person update` puts the real names in."""


def initialise(
    database: store_database.Database,
    *,
    code: str = "root",
    name: str = "政务云 Government cloud",
    administrators: tuple[Administrator, ...] = PLACEHOLDERS,
    valid_from: datetime.datetime | None = None,
) -> list[Code]:
    """Make installation, root tenant (known since `valid_from`, now if None) and administrators; returns their codes.

    Raises init.done, input.invalid.
    """
    root = tree.NewTenant(code=code, name=name, parent=None, valid_from=valid_from)
    return database.lane.run(lambda tx: _initialise(tx, root, administrators))


def enrol(database: store_database.Database, account: str) -> Code:
    """A fresh code for any account, administrators included: the way back in for one who lost it.  Raises object.unknown."""
    return database.lane.run(lambda tx: _enrol(tx, account))


def administrators_of(tx: Transaction) -> list[model.Account]:
    """The accounts that hold an administrator role at the root; a restore prints new codes for them."""
    top = records.root(tx)
    if top is None:
        return []
    here = people.bindings(tx, model.Scope(tenant_ids=(top.id,), everything=False))
    three = {str(role) for role in people.ADMINISTRATORS}
    return [people.account(tx, row["account"]) for row in here if row["role"] in three]


def _initialise(tx: Transaction, new: tree.NewTenant, administrators: tuple[Administrator, ...]) -> list[Code]:
    before = records.root(tx)
    if before is not None or installation.find(tx) is not None:
        raise faults.INITIALISED(tenant=before.code if before else "?")
    made = installation.create(tx)
    root = tree.create(tx, new)
    codes, facts = [], {}
    for each in administrators:
        account = people.create_account(tx, each.account, people.create_person(tx, each.name), root)
        people.grant(tx, None, account, each.role, root)
        codes.append(Code(role=str(each.role), account=account.code, code=signin.new_code(tx, account)))
        facts[str(each.role)] = account.id
    line = audit_model.Line(
        actor="console",
        action="installation.create",
        tenant_id=root.id,
        kind="installation",
        object_id=made.id,
        facts=facts,
    )
    audit.append(tx, line)
    return codes


def _enrol(tx: Transaction, account: str) -> Code:
    found = people.account(tx, account)
    code = signin.enrol(tx, found, at_console=True)
    roles = [str(binding.role) for binding in people.account_roles(tx, found)]
    line = audit_model.Line(
        actor="console",
        action="account.enrol",
        tenant_id=found.tenant_id,
        kind="account",
        object_id=found.id,
        facts={"at": "console"},
    )
    audit.append(tx, line)
    return Code(role=" ".join(roles), account=found.code, code=code)
