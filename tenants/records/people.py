"""SQL of people: persons, accounts, roles bound at nodes."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from primitives import clock
from store import columns, transaction
from tenants import model, tables

_INSERT_PERSON: Final = sa.insert(tables.PERSONS)
_INSERT_ACCOUNT: Final = sa.insert(tables.ACCOUNTS)
_INSERT_BINDING: Final = sa.insert(tables.BINDINGS)
_ACCOUNT: Final = "SELECT id, code, kind, person_id, tenant_id, disabled_at, generation FROM accounts"
_A: Final = tables.ACCOUNTS
_B: Final = tables.BINDINGS
_P: Final = tables.PERSONS
_ACCOUNTS_ALL: Final = (
    sa.select(
        _A.c.id,
        _A.c.code,
        _A.c.kind,
        _A.c.person_id,
        _A.c.tenant_id,
        _A.c.disabled_at,
        _A.c.generation,
        _P.c.name.label("person_name"),
    )
    .select_from(_A.join(_P, _P.c.id == _A.c.person_id))
    .order_by(_A.c.code)
)
_ACCOUNTS_OF: Final = _ACCOUNTS_ALL.where(columns.among(_A.c.tenant_id, "tenant_ids"))
_ACCOUNTS_OWN: Final = _ACCOUNTS_ALL.where(_A.c.person_id == sa.bindparam("person_id"))
_BINDINGS_ALL: Final = (
    sa.select(
        _B.c.id,
        _B.c.role,
        _B.c.granted_at,
        _A.c.code.label("account"),
        _A.c.kind,
        _P.c.id.label("person_id"),
        _P.c.name.label("person_name"),
        tables.TENANTS.c.code.label("tenant"),
        _B.c.tenant_id,
    )
    .select_from(
        _B.join(_A, _A.c.id == _B.c.account_id)
        .join(_P, _P.c.id == _B.c.person_id)
        .join(tables.TENANTS, tables.TENANTS.c.id == _B.c.tenant_id)
    )
    .where(_B.c.revoked_at.is_(None), _A.c.disabled_at.is_(None))
    .order_by(tables.TENANTS.c.code, _A.c.code, _B.c.role)
)
_BINDINGS_OF: Final = _BINDINGS_ALL.where(columns.among(_B.c.tenant_id, "tenant_ids"))
_PERSON_BINDINGS: Final = transaction.sql(
    "SELECT b.role, b.tenant_id FROM bindings b JOIN accounts a ON a.id = b.account_id"
    " WHERE b.person_id = :person_id AND b.revoked_at IS NULL AND a.disabled_at IS NULL AND a.kind = 'person'"
)
_ACCOUNT_BINDINGS: Final = transaction.sql(
    "SELECT role, tenant_id FROM bindings WHERE account_id = :account_id AND revoked_at IS NULL"
)
_HOLDERS: Final = transaction.sql(
    "SELECT count(*) AS holders FROM bindings b JOIN accounts a ON a.id = b.account_id"
    " WHERE b.role = :role AND b.tenant_id = :tenant_id AND b.revoked_at IS NULL AND a.disabled_at IS NULL"
)


def insert_person(tx: transaction.Transaction, person: model.Person) -> None:
    """A person."""
    tx.execute(
        _INSERT_PERSON, id=person.id, name=person.name, contact=person.contact, salt=person.salt, created_at=clock.to_us(tx.now())
    )


def person(tx: transaction.Transaction, person_id: str) -> model.Person | None:
    """The person of an id."""
    row = tx.one(transaction.sql("SELECT id, name, contact, salt FROM persons WHERE id = :person_id"), person_id=person_id)
    return None if row is None else model.Person(**row)


def update_person(tx: transaction.Transaction, person: model.Person) -> None:
    """A new name or contact."""
    tx.execute(
        transaction.sql("UPDATE persons SET name = :name, contact = :contact WHERE id = :id"),
        id=person.id,
        name=person.name,
        contact=person.contact,
    )


_PERSONS_ALL: Final = (
    sa.select(_P.c.id, _P.c.name, _P.c.contact)
    .select_from(_P.join(_A, _A.c.person_id == _P.c.id))
    .distinct()
    .order_by(_P.c.name, _P.c.id)
)
_PERSONS_OF: Final = _PERSONS_ALL.where(columns.among(_A.c.tenant_id, "tenant_ids"))


def persons(tx: transaction.Transaction, tenant_ids: Sequence[str] | None) -> list[dict[str, Any]]:
    """Persons with an account at home in `tenant_ids`, or all, by name."""
    return tx.execute(_PERSONS_ALL) if tenant_ids is None else tx.execute(_PERSONS_OF, tenant_ids=list(tenant_ids))


def insert_account(tx: transaction.Transaction, account: model.Account) -> None:
    """An account."""
    row = {
        "id": account.id,
        "code": account.code,
        "kind": account.kind,
        "person_id": account.person_id,
        "tenant_id": account.tenant_id,
    }
    tx.execute(_INSERT_ACCOUNT, **row, disabled_at=None, generation=account.generation, created_at=clock.to_us(tx.now()))


def account(tx: transaction.Transaction, code: str) -> model.Account | None:
    """The account of a login name."""
    row = tx.one(transaction.sql(f"{_ACCOUNT} WHERE code = :code"), code=code)
    return None if row is None else _account(row)


def accounts(tx: transaction.Transaction, tenant_ids: Sequence[str] | None) -> list[dict[str, Any]]:
    """Accounts with the names of their persons, by login name: those at home in `tenant_ids`, or all."""
    return tx.execute(_ACCOUNTS_ALL) if tenant_ids is None else tx.execute(_ACCOUNTS_OF, tenant_ids=list(tenant_ids))


def accounts_of_person(tx: transaction.Transaction, person_id: str) -> list[dict[str, Any]]:
    """All accounts of one person."""
    return tx.execute(_ACCOUNTS_OWN, person_id=person_id)


def disable(tx: transaction.Transaction, account_id: str) -> None:
    """Disable an account for good: its roles and its tokens end with it."""
    now = clock.to_us(tx.now())
    for statement in (
        "UPDATE accounts SET disabled_at = :now, generation = generation + 1 WHERE id = :account_id AND disabled_at IS NULL",
        "UPDATE bindings SET revoked_at = :now WHERE account_id = :account_id AND revoked_at IS NULL",
        "UPDATE tokens SET revoked_at = :now WHERE account_id = :account_id AND revoked_at IS NULL",
        "UPDATE login_codes SET used_at = :now WHERE account_id = :account_id AND used_at IS NULL",
    ):
        tx.execute(transaction.sql(statement), account_id=account_id, now=now)


def insert_binding(
    tx: transaction.Transaction, binding_id: str, account: model.Account, binding: model.Binding, granted_by_id: str
) -> None:
    """A role of an account at a node; the database refuses what may never be."""
    row = {
        "id": binding_id,
        "account_id": account.id,
        "person_id": account.person_id,
        "kind": account.kind,
        "role": str(binding.role),
    }
    tx.execute(
        _INSERT_BINDING,
        **row,
        tenant_id=binding.tenant_id,
        granted_by_id=granted_by_id,
        granted_at=clock.to_us(tx.now()),
        revoked_at=None,
    )


def revoke_binding(tx: transaction.Transaction, account_id: str, binding: model.Binding) -> bool:
    """End a role; False if it was not held."""
    return bool(
        tx.changed(
            transaction.sql(
                "UPDATE bindings SET revoked_at = :now"
                " WHERE account_id = :account_id AND role = :role AND tenant_id = :tenant_id AND revoked_at IS NULL"
            ),
            now=clock.to_us(tx.now()),
            account_id=account_id,
            role=str(binding.role),
            tenant_id=binding.tenant_id,
        )
    )


def revoke_at(tx: transaction.Transaction, tenant_id: str) -> None:
    """End every role bound exactly at a tenant."""
    tx.execute(
        transaction.sql("UPDATE bindings SET revoked_at = :now WHERE tenant_id = :tenant_id AND revoked_at IS NULL"),
        now=clock.to_us(tx.now()),
        tenant_id=tenant_id,
    )


def bindings(tx: transaction.Transaction, tenant_ids: Sequence[str] | None) -> list[dict[str, Any]]:
    """Living roles with account and person: those bound at `tenant_ids`, or all."""
    return tx.execute(_BINDINGS_ALL) if tenant_ids is None else tx.execute(_BINDINGS_OF, tenant_ids=list(tenant_ids))


def account_bindings(tx: transaction.Transaction, account_id: str) -> list[model.Binding]:
    """Living roles of one account."""
    return [_binding(row) for row in tx.execute(_ACCOUNT_BINDINGS, account_id=account_id)]


def person_bindings(tx: transaction.Transaction, person_id: str) -> list[model.Binding]:
    """Living roles of a person over all personal accounts."""
    return [_binding(row) for row in tx.execute(_PERSON_BINDINGS, person_id=person_id)]


def holders(tx: transaction.Transaction, role: model.Role, tenant_id: str) -> int:
    """How many accounts hold a role exactly at a node."""
    row = tx.one(_HOLDERS, role=str(role), tenant_id=tenant_id)
    return int(row["holders"]) if row else 0


def _account(row: dict[str, Any]) -> model.Account:
    disabled = row.pop("disabled_at") is not None
    return model.Account(**row, disabled=disabled)


def _binding(row: dict[str, Any]) -> model.Binding:
    return model.Binding(role=model.Role(row["role"]), tenant_id=row["tenant_id"])


_CODES: Final = sa.select(_A.c.id, _A.c.code).where(columns.among(_A.c.id, "account_ids"))
_NAMES: Final = sa.select(_P.c.id, _P.c.name).where(columns.among(_P.c.id, "person_ids"))


def account_codes(tx: transaction.Transaction, account_ids: Sequence[str]) -> dict[str, str]:
    """Login names by account id."""
    return {row["id"]: row["code"] for row in tx.execute(_CODES, account_ids=list(account_ids))} if account_ids else {}


def names(tx: transaction.Transaction, person_ids: Sequence[str]) -> dict[str, str]:
    """Names by person id."""
    return {row["id"]: row["name"] for row in tx.execute(_NAMES, person_ids=list(person_ids))} if person_ids else {}
