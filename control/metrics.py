"""/metrics: what a monitoring system sees, read from the database at each scrape; requests are counted by the process that answers.

Names follow the Prometheus conventions: prefix govpool_, base units, _total only on counters.  Energy counts up within the month
(joules) and starts again with the next, which a rate() takes for a reset.  No money, no names of persons.
"""

import collections
import ipaddress
from collections.abc import Iterator
from typing import Final

import prometheus_client
from prometheus_client import core

from audit import service as audit
from control import access, case, notice_delivery, resource
from control.wiring import Wiring
from orders import service as orders
from primitives import clock, interval, version
from pue_monitor import model as pue_model
from pue_monitor import service as pue_monitor
from quotas import service as quotas
from store.transaction import Transaction
from tenants import service as tenants

JOULES_PER_WH: Final = 3600
Metric = core.Metric
Requests = collections.Counter[tuple[str, str, int]]


def local(source: str) -> bool:
    """Whether a scrape comes from this machine itself; such a one needs no token."""
    try:
        return ipaddress.ip_address(source).is_loopback
    except ValueError:
        return False


def allowed(tx: Transaction, context: case.Context) -> None:
    """Raises unless the token may read metrics at the root: they name every tenant."""
    access.require(tx, case.who(tx, context), "read", "metrics", tenant_id=None)


def exposition(tx: Transaction, wiring: Wiring, requests: Requests) -> bytes:
    """The metrics in the text format."""
    registry = prometheus_client.CollectorRegistry(auto_describe=False)
    found = [*_process(wiring, requests), *_quotas(tx), *_work(tx), *_energy(tx)]
    registry.register(_Collected(found))
    return prometheus_client.generate_latest(registry)


class _Collected(prometheus_client.registry.Collector):
    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return iter(self._metrics)


def _process(wiring: Wiring, requests: Requests) -> Iterator[Metric]:
    info = core.InfoMetricFamily("govpool_build", "Version of this server and its database.")
    info.add_metric([], {"version": version.VERSION, "database": wiring.database.dialect})
    yield info
    counted = core.CounterMetricFamily(
        "govpool_requests", "Requests answered by this process.", labels=["method", "route", "status"]
    )
    for (method, path, status), count in sorted(requests.items()):
        counted.add_metric([method, path, str(status)], count)
    yield counted
    yield core.GaugeMetricFamily(
        "govpool_lane_backlog", "Changes waiting for the next commit.", value=wiring.database.lane.backlog()
    )
    up = core.GaugeMetricFamily("govpool_service_up", "Whether a background service of this process is well.", labels=["service"])
    for one in wiring.services:
        up.add_metric([one.name], 0 if one.wrong() else 1)
    yield up


def _quotas(tx: Transaction) -> Iterator[Metric]:
    labels = ["tenant", "resource"]
    granted = core.GaugeMetricFamily(
        "govpool_quota_granted", "Units granted to a tenant, in the unit of the resource name.", labels=labels
    )
    used = core.GaugeMetricFamily(
        "govpool_quota_used", "Units reserved and confirmed by a tenant and drawn by its children.", labels=labels
    )
    codes = {one.id: one.code for one in tenants.all_tenants(tx)}
    for standing in quotas.standings_of(tx, None):
        granted.add_metric([codes[standing.tenant_id], standing.name], standing.granted)
        used.add_metric([codes[standing.tenant_id], standing.name], standing.drawn)
    yield granted
    yield used


def _work(tx: Transaction) -> Iterator[Metric]:
    work = resource.work(tx)
    for name, counts, text in (
        ("govpool_resources", work["resources"], "Resources by state."),
        ("govpool_orders", orders.counts(tx), "Orders by state."),
        ("govpool_notice_deliveries", notice_delivery.counts(tx), "Notices on their way out, by state."),
    ):
        family = core.GaugeMetricFamily(name, text, labels=["state"])
        for state, count in sorted(counts.items()):
            family.add_metric([state], count)
        yield family
    yield core.GaugeMetricFamily("govpool_workers", "Worker processes seen lately.", value=len(work["workers"]))
    yield core.GaugeMetricFamily("govpool_backlog_resources", "Resources waiting for a worker.", value=work["backlog"])
    yield core.GaugeMetricFamily(
        "govpool_attempts_open", "Cloud calls whose outcome is not known yet.", value=work["attempts_open"]
    )
    oldest_s = _age_s(tx, work["attempt_oldest_at"])
    yield core.GaugeMetricFamily("govpool_attempt_oldest_age_seconds", "Age of the oldest open cloud call.", value=oldest_s)
    yield core.GaugeMetricFamily("govpool_quarantined_items", "Items in clouds that wait for a person.", value=work["quarantined"])
    swept = core.GaugeMetricFamily("govpool_sweep_age_seconds", "Age of the last finished sweep of a pool.", labels=["pool"])
    for sweep in work["sweeps"]:
        if sweep["ended_at"]:
            swept.add_metric([sweep["pool"]], _age_s(tx, sweep["ended_at"]))
    yield swept
    yield core.CounterMetricFamily("govpool_audit_lines", "Lines of the audit trail.", value=audit.head(tx)[0])


def _energy(tx: Transaction) -> Iterator[Metric]:
    energy = core.CounterMetricFamily("govpool_energy_joules", "Energy of a hall since the month began.", labels=["hall", "side"])
    begun_us = clock.to_us(interval.month(interval.month_of(tx.now())).start_at)
    until_us = clock.to_us(tx.now()) // pue_model.QUARTER_US * pue_model.QUARTER_US
    for hall in pue_monitor.halls(tx):
        sums = {"facility": 0, "it": 0}
        for quarter in pue_monitor.quarters(tx, hall, begun_us, until_us):
            sums["facility"] += quarter.facility_wh or 0
            sums["it"] += quarter.it_wh or 0
        for side, energy_wh in sums.items():
            energy.add_metric([hall.code, side], energy_wh * JOULES_PER_WH)
    yield energy


def _age_s(tx: Transaction, at: str | None) -> int:
    return 0 if at is None else max(0, int((tx.now() - clock.parse(at)).total_seconds()))
