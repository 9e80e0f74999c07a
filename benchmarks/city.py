"""The city of the benchmarks: a root, 10 bureaus, 40 departments, room, quota and money without end, and a database of either kind to hold it.

Nothing in it is ever refused, so that what is measured is the whole accepted order.  PostgreSQL is a cluster of its own with its default durability.
"""

import contextlib
import dataclasses
import os
import pathlib
import pwd
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Final

from control import init, order, plan, reservation, schema
from metering import books
from metering import service as metering
from pools import model as pools_model
from pools import service as pools
from provisioners import contract
from provisioners import model as provisioners_model
from quotas import grants
from quotas import model as quotas_model
from quotas.budgets import appropriations
from quotas.budgets import model as budget_model
from quotas.budgets import rules as budget_rules
from store import database as store_database
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import people, signin, tree
from tenants import service as tenants

BUREAUS: Final = 10
DEPARTMENTS: Final = 40
PROJECT: Final = "main"
NAMES: Final = ("cpu_milli", "ram_mib", "disk_gib", "disk_gib.ssd", "instances", "public_ips")
ENOUGH: Final = 10**12
BUDGET: Final = budget_model.Budget(
    appropriated_micro=10**15, carried_over_micro=0, hard=True, thresholds=(budget_rules.threshold("80"),)
)
HOST: Final = contract.Host(
    name="h01",
    zone="az1",
    service_class="general",
    hall="h1",
    enabled=True,
    physical=dict.fromkeys(("cpu_milli", "ram_mib", "disk_gib"), ENOUGH),
    usable=dict.fromkeys(("cpu_milli", "ram_mib", "disk_gib"), ENOUGH),
    used={},
)
PRICES: Final = (
    books.PriceSpec(sku="vm-vcpu", kind=plan.VIRTUAL_MACHINE, name="cpu_milli", unit="vCPU-Hours", price="0.1000"),
    books.PriceSpec(sku="vm-ram", kind=plan.VIRTUAL_MACHINE, name="ram_mib", unit="GiB-Hours", price="0.0100"),
    books.PriceSpec(sku="vm-disk", kind=plan.VIRTUAL_MACHINE, name="disk_gib", unit="GiB-Hours", price="0.0010"),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Department:
    """Who orders: a department with a requester's token."""

    tenant: str
    token: str


def found(url: str) -> list[Department]:
    """Make the schema and the city in an empty database; its departments."""
    schema.upgrade(url)
    opened = store_database.open_database(url)
    try:
        init.initialise(opened, code="city", name="清河市")
        return opened.lane.run(_settle)
    finally:
        opened.close()


def machine(tenant: str, name: str) -> order.OrderWish:
    """An order of one machine: 4 vCPU, 8 GiB, 100 GiB of SSD; five quota names, three of them with room and price."""
    wish = plan.Wish(name=name, size="medium", image="debian-12", disk_class="ssd")
    line = reservation.LineWish(action="create", kind=plan.VIRTUAL_MACHINE, wish=wish)
    return order.OrderWish(tenant=tenant, project=PROJECT, lines=[line])


def _settle(tx: Transaction) -> list[Department]:
    city = tenants.root(tx)
    spec = pools_model.PoolSpec(name="市级资源池", driver="lab", driver_settings={"url": "http://127.0.0.1:9"})
    pool = pools.create(tx, code="gov", spec=spec, kinds=provisioners_model.ID_PREFIX)
    pools.record_capacity(tx, pool_id=pool.id, hosts=[HOST])
    metering.set_price_book(tx, "2026", books.BookSpec(valid_from="2026-01-01T00:00:00+08:00", currency="CNY", prices=[*PRICES]))
    _grant(tx, city)
    bureaus = [tree.create(tx, tree.NewTenant(code=f"b{n:02}", name=f"第{n}局", parent=city)) for n in range(BUREAUS)]
    for bureau in bureaus:
        _grant(tx, bureau)
    made = []
    for n in range(DEPARTMENTS):
        department = tree.create(tx, tree.NewTenant(code=f"d{n:02}", name=f"第{n}处", parent=bureaus[n % BUREAUS]))
        _grant(tx, department)
        tree.create_project(tx, department, PROJECT, "政务系统")
        account = people.create_account(tx, f"d{n:02}.req", people.create_person(tx, f"申请岗{n}"), department)
        people.grant(tx, None, account, tenants_model.Role.REQUESTER, department)
        made.append(Department(tenant=department.code, token=signin.issue(tx, account)))
    return made


def _grant(tx: Transaction, tenant: tenants_model.Tenant) -> None:
    for name in NAMES:
        grants.set_grant(tx, tenant_id=tenant.id, name=name, grant=quotas_model.Grant(granted=ENOUGH))
    appropriations.set_budget(tx, tenant_id=tenant.id, year=budget_rules.year_of(tx.now()), budget=BUDGET)


# -- databases ---------------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def sqlite() -> Iterator[str]:
    """The URL of a SQLite file in a folder of its own, on the disk that holds temporary files."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="govpool-bench-"))
    try:
        yield f"sqlite://{folder / 'govpool.db'}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The URL of an empty database in a PostgreSQL of our own (fsync and synchronous_commit on); as root it runs as 'postgres'."""
    programs = postgresql_programs()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="govpool-bench-pg-"))
    as_user: list[str] = []
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = ["runuser", "-u", "postgres", "--"]

    def run(program: str, *arguments: str) -> None:
        command = [*as_user, str(programs / program), "--pgdata", str(folder / "data"), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=folder)

    run("initdb", "--auth", "trust", "--username", "govpool", "--encoding", "UTF8", "--locale", "C.UTF-8")
    options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c shared_buffers=256MB -c max_connections=300"
    run("pg_ctl", "--options", options, "--log", str(folder / "log"), "--wait", "start")
    try:
        yield f"postgresql://govpool@/postgres?host={folder}"
    finally:
        run("pg_ctl", "--mode", "fast", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def postgresql_programs() -> pathlib.Path:
    """Where the newest PostgreSQL of this machine keeps its programs."""
    programs = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), default=None)
    if programs is None:
        raise SystemExit("benchmarks: PostgreSQL is not installed; see deploy/packages")
    return programs


DATABASES: Final = {"sqlite": sqlite, "postgresql": postgresql}


def server_cpu_s(url: str) -> float:
    """CPU seconds that the PostgreSQL processes behind `url` have used, ended ones included; 0 for SQLite."""
    if not url.startswith("postgresql:"):
        return 0.0
    folder = pathlib.Path(url.partition("host=")[2])
    postmaster = int((folder / "data" / "postmaster.pid").read_text(encoding="utf-8").split()[0])
    return tree_cpu_s(postmaster)


def tree_cpu_s(pid: int) -> float:
    """CPU seconds of a process and of its children, living or waited for."""
    ticks = os.sysconf("SC_CLK_TCK")
    total = 0
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(stat.parent.name) == pid:
                total += sum(int(ticks_of) for ticks_of in fields[11:15])  # utime, stime and those of waited-for children
            elif int(fields[1]) == pid:
                total += int(fields[11]) + int(fields[12])
    return total / ticks


# -- a server ----------------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def serving(
    url: str, home: pathlib.Path, *settings: str, one_each: bool = False
) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """`govpool serve` on a free port: its URL and process.  `one_each`: every use case in a transaction of its own."""
    ready, log = home / "url", home / "serve.log"
    ready.unlink(missing_ok=True)
    entry = ["-m", "cli.main"]
    if one_each:
        entry = ["-c", "from store import lane; lane.BATCH_MAX = 1; from cli import main; main.main()"]
    pairs = [word for pair in settings for word in ("--set", pair)]
    command = [sys.executable, *entry, "serve", "--database", url, "--port", "0", "--ready-file", str(ready), *pairs]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GOVPOOL_")}
    with log.open("wb") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, stdin=subprocess.DEVNULL, env=environment)
    try:
        deadline = time.monotonic() + 60
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"benchmarks: the server did not start\n{log.read_text(encoding='utf-8')[-2000:]}")
            time.sleep(0.05)
        yield ready.read_text(encoding="utf-8").strip(), process
    finally:
        process.terminate()
        process.wait(60)
