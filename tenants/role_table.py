"""Who may do what: role x kind x verb as data.  What does not stand here is forbidden; a decision names its line.

Read it as a document (`govpool role table`, docs/explanation/people-and-roles.md has the reasons).  A role counts at the node it
is bound at and below.  Things of the installation itself (pools, prices, meters ...) belong to the root, so only a role bound at
the root counts for them; EVERYWHERE lists the few of them that a role bound at any node may look at.
"""

import functools
from typing import Final

from tenants import model

_RESOURCES: Final = ("resource", "vm", "volume", "container")
_ACTIONS: Final = "create delete undelete start stop restart resize scale update extend move"
_LOOK: Final = {
    "tenant": "list show",
    "project": "list show",
    "grant": "list show simulate",
    "budget": "list show",
    "order": "list show",
    "approval_rule": "list show",
    **dict.fromkeys(_RESOURCES, "list show"),
    "pool": "list show",
    "size": "list show",
    "image": "list show",
    "lease": "list show",
    "price": "list show try",
    "usage": "list show",
    "statement": "list show draft export",
    "energy": "list show",
    "pue": "list show",
    "account": "create_service",  # for a program, within the roles one holds oneself
    "role": "table",
    "notice": "list read",
}
"""What everyone who works in a tenant may see of it: no person, no other account, no trail."""


def _with(base: dict[str, str], **more: str) -> dict[str, str]:
    """`base` and `more`, verbs of the same kind joined."""
    return {kind: " ".join(filter(None, (base.get(kind, ""), more.get(kind, "")))) for kind in base | more}


_VERBS: Final[dict[model.Role, dict[str, str]]] = {
    # Orders for the department, and manages what was delivered.  Decides nothing.
    model.Role.REQUESTER: _with(
        _LOOK,
        order="submit withdraw",
        **dict.fromkeys(_RESOURCES, _ACTIONS),
    ),
    # Says yes or no for the department, opens its projects, and reads its part of the trail (GB/T 22239, 8.2.3.3).
    model.Role.APPROVER: _with(
        _LOOK,
        order="approve refuse withdraw",
        tenant="export",
        project="create update",
        member="list",
        audit="list read export verify",
    ),
    # Runs the pool: hardware, grants, repairs.  Makes no tenant, grants no role, signs no bill.
    model.Role.OPERATOR: _with(
        _LOOK,
        tenant="freeze unfreeze offboard merge",
        project="create update",
        grant="set move recall check repair",
        pool="set pause resume",
        host="list show set remove",
        size="set",
        image="set",
        usage="import",
        order="approve refuse withdraw shrink",
        approval_rule="set",
        quarantine="list show adopt release delete",
        hall="list show set",
        meter="list show set swap",
        reading="list import",
        energy="compute",
        backup="list verify",
        status="show",
        metrics="read",
        **dict.fromkeys(_RESOURCES, _ACTIONS + " find retry write_off adopt"),
    ),
    # Prices, closes and signs.  Touches nothing that produces the use it bills.
    model.Role.FINANCE: _with(
        _LOOK,
        price="set",
        statement="close issue void correct",
        budget="set",
    ),
    # Looks: leadership, supervisors.  At the root it also sees the machinery, and may scrape /metrics.
    model.Role.VIEWER: _with(
        _LOOK,
        grant="check",
        host="list show",
        hall="list show",
        meter="list show",
        reading="list",
        quarantine="list show",
        status="show",
        metrics="read",
    ),
    # System administrator (GB/T 22239, 8.1.5.1): resources, configuration, backup; makes tenants and accounts, but grants no power.
    model.Role.SYSTEM_ADMIN: _with(
        _LOOK,
        tenant="create update move merge freeze unfreeze offboard export",
        project="create update",
        member="list add",
        approval_rule="set",
        person="list show create update",
        account="list show enrol disable",
        binding="list grant",
        grant="check",
        pool="set pause resume",
        host="list show set remove",
        size="set",
        image="set",
        hall="list show set",
        meter="list show set swap",
        quarantine="list show",
        backup="list create verify restore accept",
        status="show",
        metrics="read",
        **dict.fromkeys(_RESOURCES, "find write_off"),
    ),
    # Security administrator (8.1.5.3): who may do what.  Makes no account, so a role and a new login never come from one hand.
    model.Role.SECURITY_ADMIN: {
        "tenant": "list show freeze unfreeze",
        "member": "list remove",
        "person": "list show",
        "account": "list show disable",
        "token": "list revoke",
        "binding": "list grant revoke",
        "approval_rule": "set",
        "role": "table",
        "backup": "accept",
        "notice": "list read",
        "status": "show",
    },
    # Audit administrator (8.1.5.2): reads the whole trail, and what is needed to understand it.  Changes nothing.
    model.Role.AUDIT_ADMIN: {
        "tenant": "list show",
        "member": "list",
        "person": "list show",
        "account": "list show",
        "binding": "list",
        "token": "list",
        "role": "table",
        "grant": "check",
        "audit": "list read export verify",
        "backup": "accept",
        "notice": "list read",
        "status": "show",
    },
}

TABLE: Final[dict[model.Role, frozenset[tuple[str, str]]]] = {
    role: frozenset((kind, verb) for kind, verbs in kinds.items() for verb in verbs.split()) for role, kinds in _VERBS.items()
}
"""(kind, verb) pairs that a role allows."""

SELF: Final = frozenset(
    {
        (kind, verb)
        for kind, verbs in {"token": "list rotate revoke", "account": "list whoami enrol disable"}.items()
        for verb in verbs.split()
    }
)
"""What every account may do with itself and its service accounts, role or none: rule 'self.token.rotate'."""

EVERYWHERE: Final = frozenset(
    {(kind, verb) for kind in ("pool", "size", "image", "price", "pue") for verb in ("list", "show")}
    | {("price", "try"), ("role", "table")}
)
"""Things of the installation that a role bound at any node may look at: without them nobody could order."""

READING: Final = frozenset({"list", "show", "read", "export", "verify", "find", "draft", "try", "table", "simulate", "check"})
"""Verbs that change nothing.  All others are refused in a frozen tenant ..."""

UNFROZEN: Final = frozenset({model.Role.OPERATOR, model.Role.SYSTEM_ADMIN, model.Role.SECURITY_ADMIN, model.Role.AUDIT_ADMIN})
"""... but to these roles, who must be able to wind it up or set it free."""

ADMINISTRATORS: Final = frozenset({model.Role.SYSTEM_ADMIN, model.Role.SECURITY_ADMIN, model.Role.AUDIT_ADMIN})
"""No person holds two of them, over all accounts."""

GRANTABLE: Final[dict[model.Role, frozenset[model.Role]]] = {
    model.Role.SYSTEM_ADMIN: frozenset({model.Role.REQUESTER, model.Role.VIEWER}),
    model.Role.SECURITY_ADMIN: frozenset(model.Role),
}
"""Which role grants which, at its node and below.  Nobody grants himself; power over others comes from the security
administrator alone.
"""


@functools.cache
def roles_for(kind: str, verb: str) -> tuple[model.Role, ...]:
    """The roles that allow `verb` on `kind`, in their order."""
    return tuple(role for role in model.Role if (kind, verb) in TABLE[role])


def kinds() -> list[str]:
    """All kinds in the table, sorted."""
    return sorted({kind for pairs in TABLE.values() for kind, _ in pairs})


def lines() -> list[dict[str, str]]:
    """The table for print: one line per kind and verb with the roles that allow it, and where they must be bound."""
    pairs = sorted({pair for allowed in TABLE.values() for pair in allowed})
    return [
        {
            "kind": kind,
            "verb": verb,
            "roles": " ".join(roles_for(kind, verb)),
            "bound": "anywhere" if (kind, verb) in EVERYWHERE else "there or above",
        }
        for kind, verb in pairs
    ]
