"""The native limit of each department in each cloud: what is reserved and confirmed there, so that even a zombie cannot exceed it.

Raised before a create or a resize that needs it, lowered by the sweep after releases.  Setting it is idempotent and level-triggered: whoever
sets it computes it from the rows at that moment, and writes down beforehand that nobody knows what the cloud holds: where an answer was lost, a
process died or two writers crossed, that stays written, and the next sweep sets it again.
"""

import collections
import functools
import threading

from control.reconciler import call, clouds
from control.wiring import Wiring
from provisioners import contract, rules
from provisioners import service as provisioners
from store import installation
from store.transaction import Transaction
from tenants import service as tenants


class Limits:
    """Keeps native limits from one process; the lock of a (pool, tenant) keeps this process's writers in order."""

    def __init__(self, wiring: Wiring) -> None:
        self._database = wiring.database
        self._guard = threading.Lock()
        self._locks: dict[tuple[str, str], threading.Lock] = collections.defaultdict(threading.Lock)

    def cover(self, cloud: clouds.Cloud, tenant_id: str) -> call.Answer:
        """Let the cloud know the tenant and allow it what its living resources need.  Limited, or why not."""
        try:
            with self._lock(cloud.pool_id, tenant_id):
                self._set(cloud, tenant_id)
        except contract.DriverError as error:
            return error
        except contract.AnswerLost as lost:
            return call.Lost(str(lost))
        return call.Limited()

    def settle(self, cloud: clouds.Cloud) -> None:
        """Set every limit of a cloud that differs from what is needed now.  Raises what the driver raises."""
        for tenant_id in self._database.read(lambda tx: provisioners.all_told(tx, cloud.pool_id)):
            with self._lock(cloud.pool_id, tenant_id):
                self._set(cloud, tenant_id)

    def _set(self, cloud: clouds.Cloud, tenant_id: str) -> None:
        tenant, told, needed = self._database.read(lambda tx: _need(tx, cloud, tenant_id))
        cloud_id, epoch, limits = told or ("", 0, {})
        if epoch != tenant.epoch or not cloud_id:
            with call.around("ensure_tenant"):
                cloud_id = cloud.driver.ensure_tenant(tenant)
        elif limits == needed:
            return
        unknown = functools.partial(provisioners.tell, pool_id=cloud.pool_id, tenant_id=tenant_id, cloud_id="", epoch=0, limits={})
        mark = self._database.lane.run(
            unknown
        )  # an answer that is lost, or a death here, leaves it so: the next sweep sets it anew
        with call.around("set_limits"):
            cloud.driver.set_limits(tenant, needed)
        said = functools.partial(unknown, cloud_id=cloud_id, epoch=tenant.epoch, limits=needed, mark=mark)
        self._database.lane.run(said)

    def _lock(self, pool_id: str, tenant_id: str) -> threading.Lock:
        with self._guard:
            return self._locks[pool_id, tenant_id]


def _need(
    tx: Transaction, cloud: clouds.Cloud, tenant_id: str
) -> tuple[contract.Tenant, tuple[str, int, dict[str, int]] | None, dict[str, int]]:
    installed, owner = installation.get(tx), tenants.by_id(tx, tenant_id)
    tenant = contract.Tenant(code=owner.code, name=owner.name, installation=installed.id, epoch=installed.epoch)
    held = [rules.held(*each) for each in provisioners.holdings(tx, cloud.pool_id, tenant_id)]
    return tenant, provisioners.told(tx, cloud.pool_id, tenant_id), rules.limits(held, cloud.driver.bounds.limit_step)
