"""A department, a pool over a real lab cloud, and a reconciler that can be started, stopped and waited for."""

import contextlib
import dataclasses
import datetime
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from control import settings
from control.reconciler import engine, sweep
from control.wiring import Wiring
from pools import model as pools_model
from pools import service as pools
from primitives import ids
from provisioners import contract, model
from provisioners import service as provisioners
from quotas import grants
from quotas import model as quotas_model
from quotas import service as quotas
from store import database as store_database
from store import installation
from store.transaction import Transaction
from tenants import tree
from tests.integration import lab_process

SMALL = {"cpu_milli": 2000, "ram_mib": 4096, "disk_gib": 40, "instances": 1}
GRANT = {"cpu_milli": 10**6, "ram_mib": 10**7, "disk_gib": 10**6, "instances": 10**4, "pods": 10**4}
LAB_HOST = {
    "name": "h01",
    "zone": "az1",
    "service_class": "general",
    "hall": "hall-1",
    "physical": {"cpu_milli": 10**6, "ram_mib": 10**7, "disk_gib": 10**6, "disk_gib.ssd": 10**6},
}


class World:
    """Everything a test of the reconciler needs.  `create` is how the cloud makes guests: on a ticket, or by tag only."""

    driver = "lab"

    def __init__(self, url: str, lab: lab_process.Lab, create: str = "ticket") -> None:
        self.url = url
        self.lab = lab
        self.open(owner=True)
        driver_settings = {"url": lab.url, "create": create, "poll_s": 0, "call_s": 5, "late_s": 2}
        self.lane(lambda tx: self._found(tx, driver_settings))
        self.sweep()

    def open(self, *, owner: bool) -> None:
        """Open the database; not as its owner while a process under test owns it."""
        self.database = store_database.open_database(self.url, owner=owner)
        self.wiring = Wiring(self.database, settings.Settings(workers=4, lease_s=5))
        self.sweeper = sweep.Sweeper(self.wiring, every_s=0)

    def close(self) -> None:
        """Close the database."""
        self.database.close()

    def share(self) -> None:
        """Let a process under test own the database, and look on."""
        self.close()
        self.open(owner=False)

    def lane(self, use_case: Callable[[Transaction], Any]) -> Any:
        """Run a use case."""
        return self.database.lane.run(use_case)

    def read(self, function: Callable[[Transaction], Any]) -> Any:
        """Run a read."""
        return self.database.read(function)

    def sweep(self) -> model.Sweep:
        """One whole sweep."""
        (cloud,) = self.sweeper._clouds.all()
        swept = self.sweeper.sweep(cloud)
        assert swept is not None
        return swept

    def swept_since(self, moment: datetime.datetime) -> bool:
        """Whether a whole sweep began after a moment and ended well."""
        sweeps = self.read(provisioners.last_sweeps)
        return bool(sweeps) and all(one.started_at > moment and not one.error for one in sweeps)

    @contextlib.contextmanager
    def working(self) -> Iterator[engine.Reconciler]:
        """A reconciler at work."""
        reconciler = engine.Reconciler(self.wiring, threads=4, lease_s=5)
        reconciler.start()
        try:
            yield reconciler
        finally:
            reconciler.stop()

    def work(self, until: Callable[[], bool] | None = None, timeout_s: float = 60) -> None:
        """Let a reconciler work until everything rests, or until something holds."""
        with self.working():
            wait(until or self.at_rest, timeout_s)

    def at_rest(self) -> bool:
        """Whether no row needs a worker now; what lies in the bin waits for its time."""
        rows = self.read(lambda tx: provisioners.listed(tx, provisioners.Filter(tenant_ids=None, living_only=False), limit=10_000))
        return all((row.next_at is None or row.state is model.State.BIN) and not row.leased_by and not row.pending for row in rows)

    def want(self, name: str, *, kind: str = contract.VIRTUAL_MACHINE, amounts: Mapping[str, int] = SMALL) -> str:
        """Reserve, hold and want one resource, as an order does; its id."""
        resource_id = ids.new(model.ID_PREFIX[kind])

        def use_case(tx: Transaction) -> None:
            physical = {key: amount for key, amount in amounts.items() if key not in ("instances", "pods")}
            quotas.reserve(tx, tenant_id=self.tenant_id, amounts=amounts, holder=resource_id, expires_at=None)
            chosen = pools.choose(tx, kind=kind, zone="", service_class="", protection_level=2, amounts=physical, pool="")
            pools.hold(
                tx,
                pool_id=chosen.pool_id,
                zone=chosen.zone,
                service_class=chosen.service_class,
                amounts=physical,
                holder=resource_id,
            )
            provisioners.want(
                tx,
                model.WantedResource(
                    resource_id=resource_id, kind=kind, name=name, tenant_id=self.tenant_id, tenant=self.tenant, project_id=self.project_id,
                    project=self.project, pool_id=chosen.pool_id, pool=chosen.code, zone=chosen.zone,
                    service_class=chosen.service_class, amounts=amounts, spec={"image": "debian-12"},
                ),
            )  # fmt: skip

        self.lane(use_case)
        return resource_id

    def change(self, resource_id: str, action: str, **more: Any) -> None:
        """Another generation is wanted; a resize holds the greater of both sizes, as an order does."""

        def use_case(tx: Transaction) -> None:
            if amounts := more.get("amounts"):
                present = provisioners.get(tx, resource_id).amounts
                held = {name: max(amounts.get(name, 0), present.get(name, 0)) for name in {*amounts, *present}}
                quotas.change(tx, holder=resource_id, amounts=held)
                pools.change(tx, holder=resource_id, amounts={name: n for name, n in held.items() if name != "instances"})
            provisioners.change_wanted(tx, resource_id=resource_id, action=action, **more)

        self.lane(use_case)

    def delete(self, resource_id: str, bin_days: int = 0) -> None:
        """Nobody wants it any more."""
        self.lane(lambda tx: provisioners.unwant(tx, resource_id=resource_id, bin_days=bin_days))

    def forget_what_the_cloud_was_told(self) -> None:
        """As in a database that knows nothing of the department's project and limits in the cloud."""
        pool_id = self.sweeper._clouds.all()[0].pool_id
        self.lane(lambda tx: provisioners.tell(tx, pool_id, self.tenant_id, cloud_id="", epoch=0, limits={}))
        self.lane(
            lambda tx: [
                provisioners.store(tx, row, dataclasses.replace(row, limited=False)) for row in provisioners.living(tx, pool_id)
            ]
        )

    def get(self, resource_id: str) -> model.Resource:
        """The row."""
        found: model.Resource = self.read(lambda tx: provisioners.get(tx, resource_id))
        return found

    def drawn(self, name: str) -> int:
        """Units that the department holds."""
        return int(self.read(lambda tx: quotas.standing(tx, tenant_id=self.tenant_id, name=name)).drawn)

    def usage(self, resource_id: str) -> list[tuple[str, int]]:
        """State and cpu_milli of each usage event of a resource, in their order."""
        from metering.records import usage

        events = self.read(lambda tx: usage.of_subject(tx, resource_id))
        return [(str(event.state), event.amounts.get("cpu_milli", 0)) for event in sorted(events, key=lambda event: event.sequence)]

    def _found(self, tx: Transaction, driver_settings: dict[str, Any]) -> None:
        self.installation = installation.create(tx).id
        city = tree.create(tx, tree.NewTenant(code="nanhai", name="南海区", parent=None))
        bureau = tree.create(tx, tree.NewTenant(code="tax", name="税务局", parent=city))
        self.tenant_id, self.tenant = bureau.id, bureau.code
        self.project = "one-window"
        self.project_id = tree.create_project(tx, bureau, self.project, "一窗受理").id
        for name, amount in GRANT.items():
            for tenant in (city, bureau):
                grants.set_grant(tx, tenant_id=tenant.id, name=name, grant=quotas_model.Grant(granted=amount))
        add_pool(tx, driver_settings, self.driver)


def wait(holds: Callable[[], bool], timeout_s: float = 60) -> None:
    """Wait until something holds; the limit only ends a test that hangs."""
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)


def wait_in_vain(holds: Callable[[], bool], looks: int = 40) -> bool:
    """Look again and again at something that must not come; whether it came."""
    for _ in range(looks):
        if holds():
            return True
        time.sleep(0.05)
    return False


@contextlib.contextmanager
def lab_cloud(folder: pathlib.Path) -> Iterator[lab_process.Lab]:
    """A lab cloud with room for everything."""
    lab = lab_process.Lab(folder / "lab.db")
    lab.script(hosts=[LAB_HOST])
    try:
        yield lab
    finally:
        lab.stop()


def add_pool(tx: Transaction, driver_settings: dict[str, Any], driver: str = "lab") -> None:
    """One pool, over the lab cloud unless another driver is named."""
    spec = pools_model.PoolSpec(name="市级资源池", driver=driver, driver_settings=driver_settings)
    pools.create(tx, code="city", spec=spec, kinds=model.ID_PREFIX)
