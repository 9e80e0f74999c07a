"""How the server is: whether it can serve, and what it has to do.  Read by `status`, /readyz and /metrics."""

from collections.abc import Sequence
from typing import Any, Final

from control import access, notice, resource, services
from control.wiring import Wiring
from orders import service as orders
from primitives import clock, errors, version
from store import database as store_database
from store import installation
from store.transaction import Transaction
from tenants import model as tenants_model

READY_S: Final = 5
"""How long the lane may take for an empty transaction before the server counts as not ready."""


def unready(wiring: Wiring, running: Sequence[services.Service]) -> str:
    """Why this process cannot serve; '' when the database takes writes and every service is well."""
    try:
        wiring.database.lane.submit(lambda tx: installation.get(tx)).result(READY_S)
    except errors.GovpoolError as error:
        return f"database: {error.text('en')}"
    except TimeoutError:
        return f"database: no commit within {READY_S} s"
    except Exception as error:
        return f"database: {type(error).__name__}"
    return "; ".join(f"{one.name}: {reason}" for one in running if (reason := one.wrong()))


def show(
    tx: Transaction, who: tenants_model.Principal, database: store_database.Database, running: Sequence[services.Service]
) -> dict[str, Any]:
    """The state of this server for those who may see the machinery (status.show); others see that it answers, and their inbox."""
    found = installation.get(tx)
    body: dict[str, Any] = {
        "version": version.VERSION,
        "installation": found.id,
        "now": clock.text(tx.now()),
        "database": database.dialect,
        "unread_notices": notice.unread(tx, who),
    }
    try:
        access.require(tx, who, "show", "status", tenant_id=None)
    except errors.GovpoolError:
        return body
    return body | {
        "epoch": found.epoch,
        "restore_accepted": found.accepted,
        "lane_backlog": database.lane.backlog(),
        "services": [{"name": one.name, "state": one.wrong() or "well"} for one in running],
        "orders": orders.counts(tx),
        **resource.work(tx),
    }
