"""The minute look at everything of ours in every cloud: adopt, find again, miss, clean, quarantine, report.

A sweep itself changes nothing in a cloud (but native limits): what must be removed is written on the resource's row, and a worker removes it under
a lease and an attempt.  Between a restore and its acceptance it only reports: rows that differ from the cloud are marked as disputed.
"""

import dataclasses
import datetime
import functools
from collections.abc import Sequence
from typing import Final, TypeVar

import structlog

from control.reconciler import call, clouds, conclusion, ending, limits
from control.wiring import Wiring
from pools import service as pools
from primitives import errors, ids
from provisioners import contract, model, rules
from provisioners import service as provisioners
from provisioners.rules import Finding
from store import installation
from store.transaction import Transaction

T = TypeVar("T")
CHUNK: Final = 100
"""Items judged in one transaction of the lane."""
KEPT: Final = datetime.timedelta(days=30)
"""How long reports of sweeps are kept."""
WHY: Final = {
    "no_row": "it carries our tag, and no resource of ours is known for it",
    "handed": "its resource has another guest or has ended, and it may have been handed to somebody",
    "foreign": "it does not carry our tag",
}

EXPIRED: Final = model.Reason(
    code="reservation.expired",
    en="the cloud did not deliver it in time; order it again when the cloud is well",
    zh="云平台未在规定时间内交付，请待云平台恢复后重新申请",
)

_log = structlog.get_logger("sweep")


class Sweeper:
    """Sweeps all clouds from one process; of several processes one at a time sweeps a pool."""

    def __init__(self, wiring: Wiring, *, every_s: int) -> None:
        self._database = wiring.database
        self._every_s = every_s
        self._reservation = datetime.timedelta(seconds=wiring.settings.reservation_s)
        self._clouds = clouds.Clouds(wiring)
        self._limits = limits.Limits(wiring)

    def sweep_all(self) -> bool:
        """One sweep of each pool whose time has come.  False: nothing more to do at once.  A cloud that fails keeps no other from its sweep."""
        self._database.lane.run(lambda tx: provisioners.expire(tx, older_than=self._reservation, reason=EXPIRED))
        failed = []
        for cloud in self._clouds.all():
            swept = self.sweep(cloud)
            if swept is not None and swept.error:
                failed.append(f"{cloud.pool}: {swept.error}")
        if failed:
            raise SweepFailedError("; ".join(failed))
        return False

    def sweep(self, cloud: clouds.Cloud) -> model.Sweep | None:
        """Look at everything in one cloud; None if another process did so just now.  A failure is in the report."""
        if not self._database.read(lambda tx: _due(tx, cloud, self._every_s)):  # most looks end here, without a write
            return None
        begun = self._database.lane.run(lambda tx: _begun(tx, cloud, self._every_s))
        if begun is None:
            return None
        try:
            ended = self._swept(cloud, begun)
        except (contract.DriverError, contract.AnswerLost, errors.GovpoolError) as error:
            ended = dataclasses.replace(begun, error=str(error)[:500])
        return self._database.lane.run(lambda tx: _ended(tx, ended))

    def _swept(self, cloud: clouds.Cloud, begun: model.Sweep) -> model.Sweep:
        installed = self._database.read(installation.get)
        with call.around("observe"):
            items = list(cloud.driver.observe(""))
        with call.around("capacity"):
            capacity = cloud.driver.capacity()
        self._database.lane.run(lambda tx: pools.record_capacity(tx, pool_id=cloud.pool_id, hosts=capacity.hosts))
        tally = dataclasses.replace(
            begun,
            observed=len(items),
            ours=sum(item.installation == installed.id for item in items),
            report_only=not installed.accepted,
        )
        ordered = sorted(items, key=lambda item: item.resource_id)
        for chunk in _chunks(ordered):
            found = self._database.lane.run(functools.partial(judged, cloud=cloud, sweep=tally, items=chunk))
            tally = _added(tally, found)
        seen = frozenset(item.facts.cloud_id for item in items if item.kind != contract.TICKET)
        living = self._database.read(lambda tx: provisioners.living(tx, cloud.pool_id))
        for rows in _chunks(rules.missing(living, seen, begun.started_at)):
            missed = self._database.lane.run(functools.partial(_missed, sweep=tally, missing=rows, seen=seen))
            tally = dataclasses.replace(tally, missing=tally.missing + missed)
        self._database.lane.run(lambda tx: provisioners.items_not_seen(tx, cloud.pool_id, begun.started_at))
        if installed.accepted:
            self._limits.settle(cloud)
        return tally


class SweepFailedError(Exception):
    """At least one cloud could not be swept."""


def judged(tx: Transaction, cloud: clouds.Cloud, sweep: model.Sweep, items: Sequence[contract.Observed]) -> dict[Finding, int]:
    """Judge some items and act on the rows; how many of each finding."""
    installed = installation.get(tx)
    sweep = dataclasses.replace(sweep, report_only=not installed.accepted)  # it may have been accepted since the sweep began
    resource_ids = sorted({item.resource_id for item in items if item.installation == installed.id and item.resource_id})
    rows, trails = provisioners.get_many(tx, resource_ids), provisioners.trails(tx, resource_ids)
    tally = dict.fromkeys(Finding, 0)
    aside: list[tuple[contract.Observed, str, str]] = []
    for item in items:
        row = rows.get(item.resource_id)
        if row is not None and row.pool_id != cloud.pool_id:
            continue  # two pools of one cloud: its own sweep judges it
        finding = rules.judge(item, installed.id, row, trails.get(item.resource_id, rules.NO_TRAIL), sweep.started_at)
        tally[finding] += 1
        if finding is Finding.FOREIGN:
            aside.append((item, "foreign", WHY["foreign"]))
        elif finding is Finding.QUARANTINE or (sweep.report_only and finding is Finding.STRAY):
            aside.append((item, "ours", WHY["no_row" if row is None else "handed"]))
        elif row is not None and finding in (Finding.DRIFTED, Finding.STRAY):
            rows[row.id] = _acted(tx, sweep, finding, row, item)
    provisioners.items_found(tx, cloud.pool_id, cloud.pool, aside, tx.now())
    return tally


def _acted(tx: Transaction, sweep: model.Sweep, finding: Finding, row: model.Resource, item: contract.Observed) -> model.Resource:
    if sweep.report_only:
        return provisioners.store(tx, row, dataclasses.replace(row, disputed=True))
    if finding is Finding.STRAY:
        ending.trail(tx, row, "resource.clean")
        return provisioners.clean(tx, row, item.facts)
    if row.leased_until_at is not None and row.leased_until_at > tx.now():
        return row  # whoever carries it sees for himself
    return conclusion.drifted(tx, row, item.facts)


def _missed(tx: Transaction, sweep: model.Sweep, missing: Sequence[model.Resource], seen: frozenset[str]) -> int:
    """Rows whose guest was not listed, if they still stand as they were read: a worker looks again before one is called lost."""
    report_only = not installation.get(tx).accepted
    rows = provisioners.get_many(tx, [resource.id for resource in missing])
    opened = provisioners.open_attempts(tx, list(rows))
    still = [row for row in rules.missing(rows.values(), seen, sweep.started_at) if row.id not in opened]
    for row in still:
        after = dataclasses.replace(row, disputed=True) if report_only else dataclasses.replace(row, look=True, next_at=tx.now())
        provisioners.store(tx, row, after)
    return len(still)


def _due(tx: Transaction, cloud: clouds.Cloud, every_s: int) -> bool:
    """Whether the pool's last sweep began at least `every_s` ago, a little early rather than a round late."""
    last = provisioners.sweep_begun_at(tx, cloud.pool_id)
    return last is None or tx.now() - last >= datetime.timedelta(seconds=every_s) * 0.8


def _begun(tx: Transaction, cloud: clouds.Cloud, every_s: int) -> model.Sweep | None:
    """The row of a new sweep, unless another process has just begun one."""
    if not _due(tx, cloud, every_s):
        return None
    begun = model.Sweep(
        id=ids.new("swp"), pool_id=cloud.pool_id, pool=cloud.pool, started_at=tx.now(), ended_at=None, observed=0, ours=0, foreign=0,
        drifted=0, missing=0, strays=0, quarantined=0, report_only=False, error="",
    )  # fmt: skip
    provisioners.begin_sweep(tx, begun)
    return begun


def _ended(tx: Transaction, sweep: model.Sweep) -> model.Sweep:
    ended = dataclasses.replace(sweep, ended_at=tx.now())
    provisioners.end_sweep(tx, ended)
    provisioners.forget_sweeps(tx, tx.now() - KEPT)
    if ended.error:
        _log.warning("sweep.failed", pool=sweep.pool, reason=ended.error)
    return ended


def _added(tally: model.Sweep, found: dict[Finding, int]) -> model.Sweep:
    return dataclasses.replace(
        tally,
        foreign=tally.foreign + found[Finding.FOREIGN],
        drifted=tally.drifted + found[Finding.DRIFTED],
        strays=tally.strays + found[Finding.STRAY],
        quarantined=tally.quarantined + found[Finding.QUARANTINE],
    )


def _chunks(things: Sequence[T]) -> list[Sequence[T]]:
    return [things[start : start + CHUNK] for start in range(0, len(things), CHUNK)]
