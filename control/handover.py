"""Resources that come to belong to another tenant: may they go, and what goes with them.

The cloud keeps each where it is.  A usage event of this second ends the giver's part and begins the taker's, so that both pay to the second.  Used by
`control.move` (an order) and `control.merge`.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from control.reconciler import ending
from metering import model as metering_model
from metering import service as metering
from pools import service as pools
from primitives import errors
from provisioners import changes, faults, model
from provisioners import service as provisioners
from store import installation
from store.transaction import Transaction
from tenants import model as tenants_model

PAGE: Final = 1000
"""Subjects of use that are read at once."""

PROTECTION: Final = errors.Fault(
    "move.protection",
    errors.Kind.CONFLICT,
    en="{name} lies in pool {pool} of protection level {level}, and {taker} needs {needed}",
    zh="{name} 位于等保 {level} 级的资源池 {pool}，{taker} 要求 {needed} 级",
    mend_en="order it anew there, in a pool of that level: govpool pool list",
    mend_zh="请在该单位另行申请，选用符合等保级别的资源池：govpool pool list",
)


def hindrances(tx: Transaction, rows: Sequence[model.Resource], taker: tenants_model.Tenant) -> list[errors.GovpoolError]:
    """Why some of these cannot go now: a change, or a call into the cloud, is under way; its pool is of too low a level for the taker."""
    opened = provisioners.open_attempts(tx, [row.id for row in rows])
    levels = {pool.id: pool.protection_level for pool in pools.pools(tx)}
    found: list[errors.GovpoolError] = []
    for row in rows:
        level = levels.get(row.pool_id, taker.protection_level)
        if row.ended or row.desired is model.Desired.DOWN:
            found.append(faults.STATE(name=row.name, state=str(row.state), action="move", needed="running, stopped, bin, lost"))
        elif row.pending or row.id in opened:
            found.append(faults.BUSY(name=row.name, state=str(row.state), action=row.action))
        elif level < taker.protection_level:
            found.append(PROTECTION(name=row.name, pool=row.pool, level=level, taker=taker.code, needed=taker.protection_level))
    return found


def pass_on(
    tx: Transaction, rows: Sequence[model.Resource], taker: tenants_model.Tenant, place: Callable[[model.Resource], tuple[str, str]]
) -> None:
    """These rows are the taker's from this second on, each in the project (id, code) that `place` says."""
    given = []
    for row in rows:
        project_id, project = place(row)
        given.append(changes.handed_over(row, tenant_id=taker.id, tenant=taker.code, project_id=project_id, project=project))
    provisioners.hand_over(tx, ending.used_each(tx, given, tx.now()))


def pass_on_reported(
    tx: Transaction, cause: str, giver: tenants_model.Tenant, taker: tenants_model.Tenant, codes: Mapping[str, str]
) -> int:
    """The same for what govpool only knows by reported use, in the giver's projects `codes` (old code -> new); how many there were.

    `cause` is the id of what moves it: with the subject it names the event, so it is said once.
    """
    source = f"urn:govpool:{installation.get(tx).id}:moves"
    after, count = "", 0
    while batch := metering.latest(tx, after=after, limit=PAGE, tenants=[giver.code]):
        after = batch[-1].subject
        known = provisioners.get_many(tx, [event.subject for event in batch])
        theirs = [
            event
            for event in batch
            if event.tenant == giver.code and event.project in codes and event.state is not metering_model.State.DELETED
            if event.subject not in known
        ]
        metering.append(
            tx,
            [
                dataclasses.replace(
                    event,
                    id=f"{event.subject}.{cause}",
                    source=source,
                    at=max(event.at, tx.now()),
                    sequence=event.sequence + 1,
                    tenant=taker.code,
                    project=codes[event.project],
                )
                for event in theirs
            ],
        )
        count += len(theirs)
    return count
