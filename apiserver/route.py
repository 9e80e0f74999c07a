"""How a route is declared.  A handler module lists its routes in `ROUTES`; the app, OpenAPI and the tests read nothing else.

    class GrantQuery(page.Query):   # unknown parameters are refused
        tenant: Annotated[str, msgspec.Meta(max_length=63)] = ""

    class GrantSpec(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
        granted: Annotated[int, msgspec.Meta(ge=0, le=10**15)]

    def list_grants(tx, call):      # read: a reader thread, one snapshot; call.who is the principal
        '''The grants of a tenant.'''       # the text in OpenAPI and /docs
        rows = grant.list_grants(tx, call.who, tenant=call.query.tenant, after=page.after(call, 2), limit=call.query.limit + 1)
        return page.of(rows, call, lambda row: [row["tenant"], row["name"]])

    def set_grant(call):            # change: only described here; `control.case` runs it on the lane
        return grant.set_grant(call.path["tenant"], call.path["name"], call.body.granted, if_match=call.context.if_match)

    def import_usage(call):         # work: a worker thread; call.raw are the bytes; has call.perform(use_case), call.read(function)
        return call.perform(usage_import.begin(call.raw))

    ROUTES = [
        route.read("GET", "/v1/grants", "grant.list", list_grants, query=GrantQuery, answer=page.Page[Grant]),
        route.change("PUT", "/v1/grants/{tenant}/{name}", "grant.set", set_grant, body=GrantSpec, answer=Grant, if_match=True),
        route.work("POST", "/v1/usage-imports", "usage.import", import_usage, raw="application/x-ndjson", answer=Report),
    ]

Path parameters are 1 to 128 printable characters without '/', as text.  A read answers JSON-able builtins, or `route.Raw` for a
file; when the answer is a document, its `metadata.generation` becomes the ETag.  `if_match=True` refuses a call without If-Match.
"""

import collections
import dataclasses
from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar

from control import case

T = TypeVar("T")
BODY_LIMIT: Final = 1 << 20
"""Bytes of a JSON body."""
RAW_LIMIT: Final = 64 << 20
"""Bytes of an import, unless the route says less."""

Style = Literal["now", "look", "read", "change", "work"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """An answer that is not JSON: an export, a page."""

    content: bytes
    media: str
    filename: str = ""  # ASCII; offered as a download when not empty
    headers: tuple[tuple[str, str], ...] = ()


@dataclasses.dataclass(slots=True, kw_only=True)
class Call:
    """One request, decoded and bounded, as its handler sees it."""

    route: "Route"
    path: dict[str, str]
    query: Any
    body: Any
    raw: bytes
    context: case.Context
    wiring: Any
    who: Any = None  # the principal; reads and work only
    dry_run: bool = False  # the caller wants a rehearsal
    counts: "collections.Counter[tuple[str, str, int]]" = dataclasses.field(
        default_factory=collections.Counter
    )  # of this process; for /metrics

    def perform(self, use_case: case.UseCase, *, part: str = "") -> case.Answer:
        """Run a use case on the lane and wait for its durable commit; for `work` handlers, never for `change`.

        `part` names one of several steps, so that each has an idempotency key of its own.
        """
        return case.perform(self.wiring, self.rehearsed(use_case), self.context.part(part) if part else self.context)

    def rehearsed(self, use_case: Any) -> Any:
        """The use case as the caller wants it: with `dry_run` it is decided and answered, and nothing is kept."""
        return dataclasses.replace(use_case, dry_run=True) if self.dry_run else use_case

    def read(self, function: Callable[[Any], T]) -> T:
        """Run a read on a snapshot; for `work` handlers."""
        return self.wiring.database.read(function)  # type: ignore[no-any-return]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """The declaration of one operation."""

    method: str
    path: str
    action: str  # '<kind>.<verb>': the OpenAPI operationId, and the audit action of a change
    handler: Callable[..., Any]
    style: Style
    query: type | None = None
    body: type | None = None
    raw: str = ""  # the media type of a raw body
    answer: Any = None  # the struct of the answer; None = any JSON
    media: str = "application/json"  # of the answer
    limit: int = BODY_LIMIT
    open: bool = False  # no token and no idempotency key needed: login, health
    if_match: bool = False
    status: int = 200

    @property
    def mutating(self) -> bool:
        """Whether it may change something."""
        return self.style in ("change", "work")


def now(method: str, path: str, action: str, handler: Callable[..., Any], **declared: Any) -> Route:
    """An answer that needs neither database nor token: `handler(call)` on the event loop."""
    return Route(method=method, path=path, action=action, handler=handler, style="now", open=True, **declared)


def look(method: str, path: str, action: str, handler: Callable[..., Any], **declared: Any) -> Route:
    """An answer about the process itself, without a token: `handler(call)` in a worker thread, which may wait."""
    return Route(method=method, path=path, action=action, handler=handler, style="look", open=True, **declared)


def read(method: str, path: str, action: str, handler: Callable[..., Any], **declared: Any) -> Route:
    """A read: `handler(tx, call)` on a snapshot in a reader thread."""
    return Route(method=method, path=path, action=action, handler=handler, style="read", **declared)


def change(method: str, path: str, action: str, handler: Callable[..., Any], **declared: Any) -> Route:
    """A change: `handler(call)` returns the `case.UseCase` that the lane runs."""
    return Route(method=method, path=path, action=action, handler=handler, style="change", **declared)


def work(method: str, path: str, action: str, handler: Callable[..., Any], **declared: Any) -> Route:
    """Longer work: `handler(call)` in a worker thread returns a `case.Answer`."""
    declared.setdefault("limit", RAW_LIMIT if declared.get("raw") else BODY_LIMIT)
    return Route(method=method, path=path, action=action, handler=handler, style="work", **declared)
