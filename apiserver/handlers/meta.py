"""The server about itself: health, readiness, OpenAPI, the docs page that needs no other host, metrics."""

import pathlib
from typing import Any, Final

import msgspec

from apiserver import faults, openapi, route, routes
from control import metrics, status
from primitives import version
from store.transaction import Transaction

_STATIC: Final = pathlib.Path(__file__).parent.parent / "static"
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_FILES: Final = {
    "docs.html": "text/html; charset=utf-8",
    "docs.css": "text/css; charset=utf-8",
    "docs.js": "text/javascript; charset=utf-8",
}


class Health(msgspec.Struct, kw_only=True):
    """How the process is."""

    status: str
    version: str


def healthz(call: route.Call) -> Any:
    """Whether the process answers; it asks nothing else."""
    return {"status": "ok", "version": version.VERSION}


def readyz(call: route.Call) -> Any:
    """Whether the database takes writes and the workers are alive."""
    reason = status.unready(call.wiring, call.wiring.services)
    if reason:
        raise faults.NOT_READY(reason=reason)
    return {"status": "ready", "version": version.VERSION}


def scrape(call: route.Call) -> Any:
    """Metrics in the Prometheus text format: from this machine, or with the token of a viewer at the root."""

    def reading(tx: Transaction) -> bytes:
        if call.context.token or not metrics.local(call.context.source):
            metrics.allowed(tx, call.context)
        return metrics.exposition(tx, call.wiring, call.counts)

    if not call.context.token and not metrics.local(call.context.source):
        raise faults.NO_TOKEN()
    return route.Raw(content=call.read(reading), media="text/plain; version=0.0.4; charset=utf-8")


def api(call: route.Call) -> Any:
    """The OpenAPI 3.1 document."""
    return route.Raw(content=openapi.document(tuple(routes.gathered())), media="application/json")


def docs(call: route.Call) -> Any:
    """The page that lists all operations; served offline."""
    return _static("docs.html")


def docs_file(call: route.Call) -> Any:
    """Style and script of the docs page."""
    if call.path["file"] not in _FILES:
        raise faults.NO_ROUTE(path=f"/docs/{call.path['file']}")
    return _static(call.path["file"])


def _static(name: str) -> route.Raw:
    return route.Raw(content=(_STATIC / name).read_bytes(), media=_FILES[name], headers=(("Content-Security-Policy", _POLICY),))


ROUTES = [
    route.now("GET", "/healthz", "health.show", healthz, answer=Health),
    route.look("GET", "/readyz", "ready.show", readyz, answer=Health),
    route.look("GET", "/metrics", "metrics.show", scrape, media="text/plain"),
    route.now("GET", "/openapi.json", "openapi.show", api),
    route.now("GET", "/docs", "docs.show", docs, media="text/html"),
    route.now("GET", "/docs/{file}", "docs.file", docs_file, media="text/css"),
]
