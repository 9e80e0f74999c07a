"""Routes of halls."""

from typing import Any

import msgspec

from apiserver import page, route
from control import case, hall


class Hall(msgspec.Struct, kw_only=True):
    """A hall as a document."""

    apiVersion: str
    kind: str
    metadata: dict[str, Any]
    spec: hall.Spec
    status: dict[str, Any]


def list_halls(tx: Any, call: route.Call) -> Any:
    """Halls of the data centre, by code."""
    return page.whole(hall.list_halls(tx, call.who), call, lambda row: [row["metadata"]["name"]])


def show_hall(tx: Any, call: route.Call) -> Any:
    """One hall."""
    return hall.show_hall(tx, call.who, call.path["hall"])


def set_hall(call: route.Call) -> case.UseCase:
    """Make a hall be as the body says."""
    return hall.set_hall(call.path["hall"], call.body, if_match=call.context.if_match)


ROUTES = [
    route.read("GET", "/v1/halls", "hall.list", list_halls, query=page.Query, answer=page.Page[Hall]),
    route.read("GET", "/v1/halls/{hall}", "hall.show", show_hall, answer=Hall),
    route.change("PUT", "/v1/halls/{hall}", "hall.set", set_hall, body=hall.Spec, answer=Hall),
]
