"""The peers of `make bench-quota`: three ordinary ways to hold a quota in PostgreSQL, each driven by pgbench in its best form.

Conditional update in one server-side function; SELECT FOR UPDATE with the decision in the client; compare-and-swap with retry, as etcd does it.
pgbench is a C program with prepared statements and sends over a local socket, so what is measured is the shape and not a slow client.
"""

import dataclasses
import os
import pathlib
import re
import resource
import subprocess
import tempfile
from typing import Final

from benchmarks import city
from store import database as store_database

SCHEMA: Final = pathlib.Path(__file__).with_name("quota_peers.sql")
DATABASE: Final = "peers"

_AMOUNTS: Final = "\\set leaf random(:low, :high)\n\\set c random(1, 4)\n\\set r :c * 4\n\\set d :c * 40\n"
_WRITE: Final = (
    "UPDATE node SET cpu = cpu + :c, ram = ram + :r, disk = disk + :d, machines = machines + 1, addresses = addresses + 1, gpus = gpus + 1"
    " WHERE id IN (:leaf, :bureau, 0);\n"
    "INSERT INTO taken (node, cpu, ram, disk, machines, addresses, gpus) VALUES (:leaf, :c, :r, :d, 1, 1, 1);\n"
)
_FITS: Final = (
    "bool_and(n.cpu + :c <= n.most AND n.ram + :r <= n.most AND n.disk + :d <= n.most"
    " AND n.machines < n.most AND n.addresses < n.most AND n.gpus < n.most)"
)
_PATH: Final = "n.id IN (l.id, l.parent, 0)"
SCRIPTS: Final = {
    "conditional update": f"{_AMOUNTS}SELECT take(:leaf, :c, :r, :d);\n",
    "select for update": (
        f"{_AMOUNTS}BEGIN;\n"
        f"SELECT ({_FITS})::int AS fits, max(up) AS bureau FROM (SELECT n.*, l.parent AS up FROM node l JOIN node n ON {_PATH}"
        " WHERE l.id = :leaf ORDER BY n.id DESC FOR UPDATE OF n) n \\gset\n"
        f"\\if :fits\n{_WRITE}\\endif\nCOMMIT;\n"
    ),
    "compare and swap": (
        f"{_AMOUNTS}BEGIN;\n"
        f"SELECT ({_FITS})::int AS fits, max(l.parent) AS bureau, array_agg(n.version ORDER BY n.id DESC) AS seen"
        f" FROM node l JOIN node n ON {_PATH} WHERE l.id = :leaf \\gset\n"
        "\\if :fits\nSELECT swap(:leaf, :bureau, :seen, :c, :r, :d);\n\\endif\nCOMMIT;\n"
    ),
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """What one round of a peer gave."""

    per_s: float
    latencies_s: list[float]
    cpu_s: float  # of the server and of pgbench
    retries: int


def prepare(url: str) -> None:
    """Make the peers' database in the cluster of `url`."""
    connection = store_database.connect(url)
    connection.rows(f"CREATE DATABASE {DATABASE}", None)
    connection.close()
    _psql(url, "-v", "ON_ERROR_STOP=1", "-f", str(SCHEMA))


def run(url: str, shape: str, *, callers: int, departments: int, seconds: float) -> Took:
    """Run one shape for whole seconds (pgbench knows no others) and prove that what it counted is what it handed out."""
    low, high = (100, 199) if departments > 1 else (105, 105)
    with tempfile.TemporaryDirectory(prefix="govpool-bench-") as name:
        script = pathlib.Path(name) / "script.sql"
        script.write_text(SCRIPTS[shape], encoding="utf-8")
        retried = "--max-tries=0" if shape == "compare and swap" else "--max-tries=1"
        command = [
            str(city.postgresql_programs() / "pgbench"), "--no-vacuum", "--protocol=prepared", f"--client={callers}", "--jobs=2", retried,
            f"--time={max(1, round(seconds))}", f"--define=low={low}", f"--define=high={high}", "--log",
            f"--log-prefix={name}/log", f"--file={script}",
        ]  # fmt: skip
        before, server = resource.getrusage(resource.RUSAGE_CHILDREN), city.server_cpu_s(url)
        done = subprocess.run(command, env=_environment(url), capture_output=True, text=True, check=False)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = city.server_cpu_s(url) - server + after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        if done.returncode:
            raise SystemExit(f"benchmarks: pgbench failed\n{done.stderr[-2000:]}")
        lines = [line.split() for log in pathlib.Path(name).glob("log*") for line in log.read_text(encoding="utf-8").splitlines()]
    latencies = [int(line[2]) / 1e6 for line in lines if line[2].isdigit()]
    rate = re.search(r"tps = ([\d.]+)", done.stdout)
    tries = re.search(r"total number of retries: (\d+)", done.stdout)
    if rate is None:
        raise SystemExit(f"benchmarks: pgbench said\n{done.stdout[-2000:]}")
    _prove(url)
    if not latencies:  # not one came through within the time
        latencies = [seconds]
    return Took(per_s=float(rate[1]), latencies_s=latencies, cpu_s=cpu, retries=int(tries[1]) if tries else 0)


def _prove(url: str) -> None:
    """Every level has drawn what was handed out at and below it."""
    wrong = _psql(
        url,
        "-At",
        "-c",
        "WITH held AS (SELECT node, sum(cpu) AS cpu, count(*) AS machines FROM taken GROUP BY node) SELECT count(*) FROM ("
        "SELECT n.id FROM node n LEFT JOIN node l ON l.id >= 100 AND (n.id = 0 OR l.id = n.id OR l.parent = n.id)"
        " LEFT JOIN held ON held.node = l.id GROUP BY n.id HAVING coalesce(sum(held.cpu), 0) <> max(n.cpu)"
        " OR coalesce(sum(held.machines), 0) <> max(n.machines)) AS wrong",
    )
    if wrong.strip() != "0":
        raise SystemExit(f"benchmarks: a peer lost count at {wrong.strip()} of its nodes")


def _psql(url: str, *arguments: str) -> str:
    command = [str(city.postgresql_programs() / "psql"), "-qX", *arguments]
    done = subprocess.run(command, env=_environment(url), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"benchmarks: psql failed\n{done.stderr[-2000:]}")
    return done.stdout


def _environment(url: str) -> dict[str, str]:
    return os.environ | {"PGHOST": url.partition("host=")[2], "PGUSER": "govpool", "PGDATABASE": DATABASE}
