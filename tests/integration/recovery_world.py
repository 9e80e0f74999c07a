"""A city over a lab cloud that can be backed up, restored and accepted, and what its lab cloud recorded of a resource."""

import contextlib
import dataclasses
import datetime
import functools
import json
import pathlib
import sqlite3
import time
from typing import Any

from audit import service as audit
from control import backup, case, plan
from control.reconciler import clouds
from control.reconciler import job as jobs
from control.recovery import acceptance, look, model
from metering import service as metering
from orders import model as orders_model
from orders import service as orders
from pools import service as pools
from primitives import clock, ids
from provisioners import contract
from provisioners import model as provisioners_model
from provisioners import service as provisioners
from quotas import grants
from quotas import model as quotas_model
from quotas import service as quotas
from store import backup as store_backup
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import people, signin, tree
from tenants import service as tenants
from tests.integration import checker
from tests.integration.reconciler_world import SMALL, World

BIG = {"cpu_milli": 4000, "ram_mib": 8192, "disk_gib": 80, "instances": 1}
ADMINISTRATORS = {"系统管理员": "system_admin", "安全管理员": "security_admin", "审计管理员": "audit_admin"}


class City(World):
    """A world with three administrators that can be backed up, restored and accepted."""

    def __init__(self, url: str, lab: Any, folder: pathlib.Path) -> None:
        super().__init__(url, lab)
        self.folder = folder
        self.codes: dict[str, str] = {}
        self.lane(self._administrators)

    def _administrators(self, tx: Transaction) -> None:
        root = tenants.by_code(tx, "nanhai")
        for name, role in ADMINISTRATORS.items():
            account = people.create_account(tx, role.replace("_", "-"), people.create_person(tx, name), root)
            people.grant(tx, None, account, tenants_model.Role(role), root)

    def back_up(self) -> pathlib.Path:
        """A backup of now."""
        path = self.folder / f"{ids.new('b')}.backup"
        self.read(lambda tx: store_backup.write(tx, path, {"audit": list(audit.head(tx))}))
        return path

    def restore(self, path: pathlib.Path) -> None:
        """Stop, restore in the place of what is there, start, and let two sweeps look."""
        self.close()
        report = backup.restore(self.url, path, replace=True)
        self.codes = {row["role"]: row["code"] for row in report["codes"]}
        self.open(owner=True)
        self.sweep()
        self.sweep()

    def token(self, role: str) -> str:
        """A fresh token of an administrator."""
        token: str = self.lane(lambda tx: signin.login(tx, self.codes[role]))[0]
        return token

    def accept(self, *roles: str) -> dict[str, Any]:
        """Administrators accept in turn; the last answer."""
        answer: dict[str, Any] = {}
        for role in roles:
            answer = self.accept_with(self.token(role), ids.new("key"))
        return answer

    def findings(self) -> dict[str, model.Happened]:
        """What happened, by resource id."""
        return {one.story.resource_id: one.happened for one in look.findings(self.wiring)}

    def accept_with(self, token: str, key: str) -> dict[str, Any]:
        """Accept with a token under an idempotency key."""
        context = case.Context(request_id="r", method="POST", path="/v1/restore/acceptances", token=token, idempotency_key=key)
        answer: dict[str, Any] = acceptance.accept(self.wiring, context).body
        return answer

    def settle(self, *, whole: bool = True) -> None:
        """Let workers and a sweep do what there is to do; then database and cloud agree."""
        self.work()
        self.sweep()
        self.work()
        self.sweep()
        if whole:
            assert checker.check(self.url, self.lab.file) == []

    def agrees(self, *resource_ids: str) -> None:
        """Each resource's intervals are the cloud's own record."""
        for resource_id in resource_ids:
            assert self.intervals(resource_id) == recorded(self.lab.file, resource_id), resource_id

    def rows(self) -> list[provisioners_model.Resource]:
        """All rows."""
        wanted = provisioners.Filter(tenant_ids=None, living_only=False)
        return list(self.read(lambda tx: provisioners.listed(tx, wanted, limit=1000)))

    def names(self) -> set[str]:
        """Names of the living."""
        return {row.name for row in self.rows() if not row.ended}

    def begin(self, resource_id: str) -> None:
        """A worker opens the attempt of the next step and is gone before it makes the call."""
        if not self.get(resource_id).limited:
            row = self.get(resource_id)
            self.sweeper._limits.cover(self.cloud, row.tenant_id)
            self.lane(lambda tx: provisioners.store(tx, row, dataclasses.replace(row, limited=True)))

        def use_case(tx: Transaction) -> None:
            leased = provisioners.lease(tx, "wrk-gone", 100, 1)
            for row in leased:
                if row.id == resource_id:
                    assert jobs.begin(tx, self.sweeper._clouds, "wrk-gone", row.id, row.fence) is not None
            provisioners.abandon(tx, "wrk-gone")

        self.lane(use_case)
        assert self.read(lambda tx: provisioners.open_attempt_of(tx, resource_id)) is not None

    @property
    def cloud(self) -> clouds.Cloud:
        """The one cloud."""
        return self.sweeper._clouds.all()[0]

    def hold_back(self, *resource_ids: str) -> None:
        """Nobody works on these before an hour has passed."""
        for resource_id in resource_ids:
            row = self.get(resource_id)
            later = dataclasses.replace(row, next_at=clock.now() + datetime.timedelta(hours=1))
            self.lane(functools.partial(provisioners.store, before=row, after=later))

    def at_rest(self) -> bool:
        """Whether no row needs a worker in the next minutes: what lies in the bin or is held back has time."""
        soon = clock.now() + datetime.timedelta(minutes=5)
        return all((row.next_at is None or row.next_at > soon) and not row.leased_by for row in self.rows())

    def found_project(self, code: str, name: str) -> None:
        """A new project of the department."""
        self.lane(lambda tx: tree.create_project(tx, tenants.by_id(tx, self.tenant_id), code, name))

    def found_department(self, code: str, name: str) -> None:
        """A new department with grants and a project."""

        def use_case(tx: Transaction) -> None:
            made = tree.create(tx, tree.NewTenant(code=code, name=name, parent=tenants.by_code(tx, "nanhai")))
            tree.create_project(tx, made, "one-window", "一窗受理")
            for each in SMALL:
                grants.set_grant(tx, tenant_id=made.id, name=each, grant=quotas_model.Grant(granted=10**4))

        self.lane(use_case)

    def order_that_waits(self, *names: str) -> list[str]:
        """An order of new guests that waits for its approval: everything is held, nothing is wanted yet."""
        resource_ids = [ids.new("vm") for _ in names]
        place = {"pool_id": self.cloud.pool_id, "pool": "city", "zone": "az1", "service_class": "general"}

        def use_case(tx: Transaction) -> None:
            for resource_id in resource_ids:
                quotas.reserve(tx, tenant_id=self.tenant_id, amounts=SMALL, holder=resource_id, expires_at=None)
                where = {"pool_id": place["pool_id"], "zone": "az1", "service_class": "general"}
                pools.hold(tx, **where, amounts=plan.physical(SMALL), holder=resource_id)
            spec = {"amounts": SMALL, "before": {}, "driver": {"image": "debian-12"}, "end_at": "2046-12-31T16:00:00Z", **place}
            lines = [
                orders_model.Line(
                    position=number, action="create", kind=contract.VIRTUAL_MACHINE, resource_id=one, name=name, spec=spec
                )
                for number, (one, name) in enumerate(zip(resource_ids, names, strict=True), 1)
            ]
            now = tx.now()
            head = orders_model.Order(
                id=ids.new("ord"), number=0, tenant_id=self.tenant_id, project_id=self.project_id,
                state=orders_model.State.WAITING_FOR_APPROVAL, account_id="a", person_id="p", reason="", document_no="",
                monthly_micro=0, approval=("dear",), submitted_at=now, decide_by=now + datetime.timedelta(days=1), ended_at=None,
                generation=1,
            )  # fmt: skip
            orders.submit(tx, head, lines)

        self.lane(use_case)
        return resource_ids

    def approve(self, *resource_ids: str) -> None:
        """A person approves the one order."""

        def use_case(tx: Transaction) -> None:
            order = orders.listed(tx, tenant_ids=None, state="", before=None, limit=1)[0]
            decision = orders_model.Decision(
                order_id=order.id, verdict=orders_model.Verdict.APPROVED, account_id="b", person_id="q", reason="", document_no="",
                decided_at=tx.now(),
            )  # fmt: skip
            order = orders.decide(tx, order, decision)
            for line in orders.lines(tx, [order.id])[order.id]:
                placed = {name: line.spec[name] for name in ("pool_id", "pool", "zone", "service_class", "amounts")}
                provisioners.want(
                    tx,
                    provisioners_model.WantedResource(
                        resource_id=line.resource_id, kind=line.kind, name=line.name, tenant_id=self.tenant_id, tenant="tax",
                        project_id=self.project_id, project=self.project, spec=line.spec["driver"], order_id=order.id, **placed,
                    ),
                )  # fmt: skip

        self.lane(use_case)

    def want(self, name: str, *, project: str = "one-window", department: str = "tax", tagged: bool = True, **more: Any) -> str:
        """As the world wants it, in a project of a department; without `tagged` the cloud does not carry the project."""
        kept = self.tenant_id, self.tenant, self.project_id, self.project
        try:
            self.tenant_id, self.tenant = self.read(lambda tx: tenants.by_code(tx, department)).id, department
            self.project_id = self.read(lambda tx: tenants.project(tx, self.tenant_id, project)).id
            self.project = project if tagged else ""
            return super().want(name, **more)
        finally:
            self.tenant_id, self.tenant, self.project_id, self.project = kept

    def intervals(self, resource_id: str) -> list[tuple[str, int, int, int]]:
        """State, cpu_milli, start and end (seconds) of each interval of use that has ended by now, and of the last one its start alone (end 0)."""
        until = clock.now() + datetime.timedelta(hours=1)  # what is open now is open then
        found = self.read(lambda tx: metering.intervals(tx, resource_id, until=until))
        last = int(until.timestamp())
        spans = [
            (str(one.state), one.amounts.get("cpu_milli", 0), int(one.span.start_at.timestamp()), int(one.span.end_at.timestamp()))
            for one in found
        ]
        return [(*span[:3], 0 if span[3] == last else span[3]) for span in spans]


def recorded(lab_file: pathlib.Path, resource_id: str) -> list[tuple[str, int, int, int]]:
    """The same, out of the lab cloud's own file."""
    with contextlib.closing(sqlite3.connect(lab_file)) as connection:
        rows = connection.execute("SELECT at, guest FROM record WHERE resource_id = ? ORDER BY seq", (resource_id,)).fetchall()
    moments = []
    for at, text in rows:
        guest = json.loads(text)
        state = {"stopped": "stopped", "deleted": ""}.get(guest["state"], "running")
        moments.append((int(datetime.datetime.fromisoformat(at).timestamp()), state, guest["amounts"].get("cpu_milli", 0)))
    made: list[tuple[str, int, int, int]] = []
    for number, (start, state, cpu) in enumerate(moments):
        end = moments[number + 1][0] if number + 1 < len(moments) else 0
        if not state or start == end:
            continue
        if made and made[-1][3] == start and made[-1][:2] == (state, cpu):
            made[-1] = (state, cpu, made[-1][2], end)
        else:
            made.append((state, cpu, start, end))
    return made


def tick() -> None:
    """Let a whole second pass, so that what comes before and after has an interval of its own."""
    time.sleep(1.05)
