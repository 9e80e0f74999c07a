"""Servers that do one thing wrong on purpose, as peers do or as a hasty change might: the checks of histories must catch each of them.

Only tests start them.  Each function changes the loaded program of its own process, before it serves.
"""

import collections
import dataclasses
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.integration import processes


def server(mutant: Callable[[], None]) -> Callable[[str, int], processes.Process]:
    """Starts whole servers with the mutation."""
    return lambda url, port: processes.Process(_serve, mutant, url, (*processes.SETTINGS, f"port={port}"))


def _serve(mutant: Callable[[], None], url: str, given: tuple[str, ...]) -> None:
    mutant()
    processes._serve(url, given)


def reads_before_it_locks() -> None:
    """The guard reads, reckons and writes the sum, and the reading is done before the lane's lock is taken: the lost update."""
    from quotas import records
    from store import engines, transaction

    begin = engines.PostgresqlConnection.begin
    seen: dict[tuple[str, str], dict[str, Any]] = {}

    def reads_and_begins(self: engines.PostgresqlConnection) -> None:
        seen.clear()
        seen.update({(row["tenant_id"], row["name"]): row for row in self.rows("SELECT * FROM grants", None)})
        time.sleep(0.002)
        begin(self)

    def draw(tx: Any, tenant_id: str, amounts: Mapping[str, int]) -> dict[str, tuple[int, int]]:
        after = {}
        for name, amount in amounts.items():
            row = seen.get((tenant_id, name))
            if row is not None and row["drawn"] + amount <= row["subtree_quota"] + row["borrowing_limit"]:
                row["drawn"] += amount
                text = transaction.sql("UPDATE grants SET drawn = :drawn WHERE tenant_id = :tenant_id AND name = :name")
                tx.execute(text, drawn=row["drawn"], tenant_id=tenant_id, name=name)
                after[name] = (row["drawn"], row["local_quota"])
        return after

    engines.PostgresqlConnection.begin = reads_and_begins  # type: ignore[method-assign]
    records.draw = draw


def checks_again_and_undoes() -> None:
    """Whoever asks is counted while he waits, and is refused when all who wait do not fit together: the recount of Nova."""
    from control import order, plan
    from quotas import guard
    from templates import catalog

    waiting: dict[int, dict[str, int]] = {}
    submit, draw = order.submit, guard.draw

    def submits(wish: order.OrderWish, **more: Any) -> Any:
        use_case, mine = submit(wish, **more), id(wish)
        asked: collections.Counter[str] = collections.Counter()
        for line in wish.lines:
            if line.action == "create":
                for name, amount in plan.created(line.kind, line.wish, catalog)[0].items():
                    asked[name] += amount * line.count
        waiting[mine] = dict(asked)

        def effect(tx: Any, who: Any, permit: Any) -> Any:
            waiting.pop(mine, None)
            return use_case.effect(tx, who, permit)

        return dataclasses.replace(use_case, effect=effect)

    def draws(tx: Any, path: Sequence[str], amounts: Mapping[str, int]) -> None:
        draw(tx, path, amounts)
        others = {name: more for name in amounts if (more := sum(one.get(name, 0) for one in list(waiting.values())))}
        draw(tx, path, others)
        guard.give_back(tx, path, others)

    order.submit, guard.draw = submits, draws


def gives_back_later() -> None:
    """A release is two transactions: the reservation goes in the first, the units go back in the second, if that is lived to see."""
    from quotas import guard, records, service
    from store import lane
    from tenants import service as tenants

    lanes: list[lane.Lane] = []
    work = lane.Lane._work

    def works(self: lane.Lane) -> None:
        lanes.append(self)
        work(self)

    def release(tx: Any, *, holder: str) -> bool:
        held = records.find(tx, holder)
        if held is None:
            return False
        records.drop(tx, holder)

        def give_back(tx: Any) -> None:
            guard.give_back(tx, tenants.path_ids(tx, held.tenant_id), held.amounts)

        tx.after_commit.append(lambda: threading.Timer(0.2, lanes[0].submit, [give_back]).start())
        return True

    lane.Lane._work, service.release = works, release  # type: ignore[method-assign]


def gives_back_when_asked() -> None:
    """Quota goes back when the delete is ordered, not when the cloud shows that nothing is left."""
    from control import order
    from quotas import service as quotas

    hand_over = order._hand_over

    def hands_over(tx: Any, order: Any, line: Any) -> None:
        hand_over(tx, order, line)
        if line.action == "delete":
            quotas.release(tx, holder=line.resource_id)

    order._hand_over = hands_over


def keeps_the_money() -> None:
    """What ends gives its units back, and goes on holding its money to the end of the year."""
    from quotas.budgets import service as budgets

    def release(tx: Any, **_: Any) -> list[Any]:
        return []

    budgets.release = release


def shows_what_was() -> None:
    """A look at a tenant's quota is answered out of a memory that is up to 0.3 s old."""
    from control import grant

    show = grant.show_grants
    kept: dict[str, tuple[float, Any]] = {}

    def shows(tx: Any, who: Any, tenant: str) -> Any:
        at, rows = kept.get(tenant, (0.0, None))
        if time.monotonic() > at + 0.3:
            rows = show(tx, who, tenant)
            kept[tenant] = time.monotonic(), rows
        return rows

    grant.show_grants = shows


def without_its_check(url: str) -> None:
    """Take away the CHECK that stands behind the guard of a PostgreSQL database: it would stop a mutant at the last moment."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ALTER TABLE grants DROP CONSTRAINT grants_drawn_range")
