"""The server about itself: health, readiness, OpenAPI, the docs page, metrics."""

from typing import Any

import msgspec

from apiserver import openapi, route


class Health(msgspec.Struct, kw_only=True):
    """That the process answers."""

    status: str
    version: str


def healthz(call: route.Call) -> Any:
    """Whether the process answers; it asks nothing else."""
    from primitives import version

    return {"status": "ok", "version": version.VERSION}


ROUTES = [
    route.now("GET", "/healthz", "health.show", healthz, answer=Health, open=True),
    route.now("GET", "/openapi.json", "openapi.show", openapi.show, open=True),
]
