"""Which handler modules exist.  A new noun adds its name here, and everything else (routing, OpenAPI, docs, tests) follows."""

import importlib
from typing import Final

from apiserver import route

MODULES: Final = (
    "meta",
    "login",
    "tenant",
    "project",
    "person",
    "account",
    "role",
    "notice",
    "status",
    "pool",
    "grant",
    "budget",
    "recall",
    "quota_check",
    "template",
    "resource",
    "lease",
    "price",
    "order",
    "backup",
    "approval",
    "audit",
    "apply",
    "usage",
    "statement",
    "hall",
    "meter",
    "reading",
    "pue",
)


def gathered() -> list[route.Route]:
    """All routes, in the order of `MODULES`.  Raises ValueError when two claim the same method and path, or the same action."""
    found: list[route.Route] = []
    seen: set[object] = set()
    for name in MODULES:
        for declared in importlib.import_module(f"apiserver.handlers.{name}").ROUTES:
            for claim in ((declared.method, declared.path), declared.action):
                if claim in seen:
                    raise ValueError(f"{claim} is declared twice")
                seen.add(claim)
            found.append(declared)
    return found
