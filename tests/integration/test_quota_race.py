"""Many ask at once for the last units: exactly as many are admitted as there is room for, and nobody is refused while there is room.

Two processes on PostgreSQL, one on SQLite (whose file has one owner).  This file is also the program of such a process.
"""

import concurrent.futures
import json
import pathlib
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from primitives import errors, ids
from quotas import grants, model, service
from store import database as store_database
from store import installation, transaction
from tenants import tree

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROOM = 100
THREADS = 32
ASKED_EACH = 8
MACHINE = {"instances": 1, "cpu_milli": 2000, "ram_mib": 4096}


def department(tx: transaction.Transaction) -> str:
    """A department four levels down, with room for exactly 100 machines on every level and memory to spare."""
    installation.create(tx)
    above = None
    for code, name in (("foshan", "佛山市"), ("nanhai", "南海区"), ("finance", "财政局"), ("budget", "预算科")):
        above = tree.create(tx, tree.NewTenant(code=code, name=name, parent=above))
        for each, granted in (("instances", ROOM), ("cpu_milli", ROOM * 2000), ("ram_mib", ROOM * 4096 * 2)):
            grants.set_grant(tx, tenant_id=above.id, name=each, grant=model.Grant(granted=granted))
    assert above is not None
    return above.id


def reserve(tx: transaction.Transaction, tenant_id: str, amounts: Mapping[str, int] = MACHINE) -> None:
    """Hold one machine."""
    service.reserve(tx, tenant_id=tenant_id, amounts=amounts, holder=ids.new("vm"), expires_at=None)


def order(database: store_database.Database, tenant_id: str) -> list[dict[str, Any]]:
    """Ask for one machine: [] if it was admitted, else the breaches."""
    try:
        database.lane.run(lambda tx: reserve(tx, tenant_id))
    except errors.GovpoolError as error:
        if error.code != "quota.exceeded":
            raise
        return list(error.values["breaches"])
    return []


def ask(database: store_database.Database, tenant_id: str, threads: int) -> list[list[dict[str, Any]]]:
    """The answers to `threads` callers who ask at once, each several times."""
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        asked = [pool.submit(order, database, tenant_id) for _ in range(threads * ASKED_EACH)]
        return [each.result() for each in asked]


def in_two_processes(url: str, tenant_id: str) -> list[list[dict[str, Any]]]:
    """The answers to two processes with half of the threads each."""
    command = [sys.executable, "-m", "tests.integration.test_quota_race", url, tenant_id]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(2)]
    answers = []
    for process in running:
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0
        answers += json.loads(output)
    return answers


def test_exactly_as_many_are_admitted_as_there_is_room_for(database: store_database.Database) -> None:
    tenant_id = database.lane.run(department)
    one_process = database.dialect == "sqlite"
    answers = ask(database, tenant_id, THREADS) if one_process else in_two_processes(database.url, tenant_id)
    assert len(answers) == THREADS * ASKED_EACH
    assert answers.count([]) == ROOM
    for breaches in filter(None, answers):
        own = {each["name"]: (each["used"], each["limit"]) for each in breaches if each["tenant"] == "budget"}
        assert own == {"instances": (ROOM, ROOM), "cpu_milli": (ROOM * 2000, ROOM * 2000)}, "refused only when it was full"
        assert all(each["short_by"] and "used" not in each for each in breaches if each["tenant"] != "budget")
    held = database.read(lambda tx: {each.name: each.drawn for each in service.standings(tx, tenant_id=tenant_id)})
    assert held == {"instances": ROOM, "cpu_milli": ROOM * 2000, "ram_mib": ROOM * 4096}
    assert database.read(service.check) == []


def without_the_lane(url: str, tenant_id: str) -> int:
    """How many of a caller's requests are admitted, each in a transaction that waits for nobody."""
    connection = store_database.connect(url)
    admitted = 0
    for _ in range(ASKED_EACH):
        connection.rows("BEGIN", None)
        try:
            reserve(transaction.Transaction(connection, 0), tenant_id, {"instances": 1})  # one name: no two lock orders
            connection.commit()
            admitted += 1
        except errors.GovpoolError:
            connection.rollback()
    connection.close()
    return admitted


def test_the_guard_is_right_even_without_the_lane(cluster: Any) -> None:
    database = store_database.open_database(cluster.fresh())
    tenant_id = database.lane.run(department)
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        asked = [pool.submit(without_the_lane, database.url, tenant_id) for _ in range(THREADS)]
        admitted = sum(each.result() for each in asked)
    assert database.read(service.check) == []
    assert admitted == ROOM
    database.close()


if __name__ == "__main__":
    opened = store_database.open_database(sys.argv[1])
    print(json.dumps(ask(opened, sys.argv[2], THREADS // 2)))
    opened.close()
