"""The inbox."""

from typing import Annotated, Any

import msgspec

from apiserver import page, route
from control import case, notice
from store.transaction import Transaction


class InboxQuery(page.Query, kw_only=True):
    """Which notices."""

    unread: Annotated[bool, msgspec.Meta(description="only those not read yet")] = False


class Notice(msgspec.Struct, kw_only=True):
    """One notice."""

    id: str
    at: str
    code: str
    text: str
    values: dict[str, Any]
    object_id: str
    read_at: str | None


def inbox(tx: Transaction, call: route.Call) -> Any:
    """The notices for me, newest first."""
    before = page.after(call, str)
    rows = notice.inbox(
        tx,
        call.who,
        lang=call.context.lang,
        unread=call.query.unread,
        before=before[0] if before else "",
        limit=call.query.limit + 1,
    )
    return page.of(rows, call, lambda row: [row["id"]])


def read(call: route.Call) -> case.UseCase:
    """I have read it."""
    return notice.mark_read(call.path["notice"], lang=call.context.lang)


ROUTES = [
    route.read("GET", "/v1/notices", "notice.list", inbox, query=InboxQuery, answer=page.Page[Notice]),
    route.change("POST", "/v1/notices/{notice}/read", "notice.read", read, answer=Notice),
]
