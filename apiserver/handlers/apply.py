"""`apply` and `diff`: a file of documents as one change, all or nothing."""

from typing import Any

import msgspec

from apiserver import route
from control import case, document, yaml_text


class Applied(msgspec.Struct, kw_only=True):
    """What one document did, or would do."""

    kind: str
    name: str
    tenant: str
    project: str
    outcome: str
    changes: list[dict[str, Any]]


class Report(msgspec.Struct, kw_only=True):
    """All documents of the file in the order of their application."""

    documents: list[Applied]
    counts: dict[str, int]


def apply(call: route.Call) -> case.Answer:
    """Make everything as the documents say; with `dry_run` only say what would change."""
    return call.perform(document.applied(call.raw))


ROUTES = [
    route.work("POST", "/v1/apply", "document.apply", apply, raw="application/yaml", limit=yaml_text.BYTES_MAX, answer=Report),
]
