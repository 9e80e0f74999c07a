"""Lists in pages: `limit`, an opaque keyset cursor, and the one shape of a list: {"items": [...], "next": cursor or null}.

The cursor holds the sort key of the last item, so a page costs the same at any depth and nothing is skipped when rows come and go.
"""

import base64
import binascii
import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from apiserver import faults

T = TypeVar("T")


class Query(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What every list takes.  Subclass it for filters."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=500, description="items per page")] = 100
    cursor: Annotated[str, msgspec.Meta(max_length=1000, description="`next` of the page before")] = ""


class Page(msgspec.Struct, Generic[T], kw_only=True):
    """One page of a list."""

    items: list[T]
    next: str | None = None


def after(call: Any, *kinds: type) -> list[Any] | None:
    """The sort key that the page starts behind, parts of `kinds` (str or int); None for the first page.  Raises input.cursor."""
    cursor: str = call.query.cursor
    if not cursor:
        return None
    try:
        key = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode())
    except (binascii.Error, ValueError) as error:
        raise faults.CURSOR() from error
    if not isinstance(key, list) or len(key) != len(kinds):
        raise faults.CURSOR()
    for part, kind in zip(key, kinds, strict=True):
        if type(part) is not kind or not _storable(part):
            raise faults.CURSOR()
    return key


def of(
    rows: Sequence[Any], call: Any, key: Callable[[Any], list[Any]], shape: Callable[[Any], Any] = lambda row: row
) -> dict[str, Any]:
    """The page of `rows`, of which up to `limit` + 1 were read; `key` gives the sort key of a row, `shape` its form outside."""
    limit: int = call.query.limit
    more = len(rows) > limit
    shown = rows[:limit]
    return {"items": [shape(row) for row in shown], "next": _cursor(key(shown[-1])) if more else None}


def _cursor(key: list[Any]) -> str:
    text = json.dumps(key, ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _storable(part: Any) -> bool:
    if isinstance(part, int):
        return -(2**63) <= part < 2**63
    return "\x00" not in part and not any("\ud800" <= c <= "\udfff" for c in part)


def whole(rows: Sequence[Any], call: Any, key: Callable[[Any], list[Any]]) -> dict[str, Any]:
    """The page of a short list that was read whole, such as the tenants; `rows` are put in the order of `key`."""
    ordered = sorted(rows, key=key)
    behind = after(call, *(type(part) for part in key(ordered[0]))) if ordered else None
    return of([row for row in ordered if behind is None or key(row) > behind][: call.query.limit + 1], call, key)
