"""Random histories of 32 customers over HTTP while the servers are killed: nobody ever gets past a limit, nobody is refused without a reason,
nothing is left behind, and every answer fits one order of events.

Two server processes on one PostgreSQL, one on SQLite (whose file has one owner), killed with SIGKILL at random moments and started again, over a
cloud that loses answers.  `make soak` plays GOVPOOL_HISTORIES (200) of them.  Servers that do one thing wrong show that each check is alive.
"""

import concurrent.futures
import contextlib
import dataclasses
import http.client
import os
import pathlib
import random
import re
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from control import schema
from tests.integration import checker, lab_process, mutants, places, processes
from tests.integration.city import City
from tests.integration.customers import Customer, Network
from tests.integration.onlookers import Auditor, Onlooker, Watcher, left_behind
from tests.integration.reconciler_world import lab_cloud, wait

CUSTOMERS = 32
STEPS = 40
HISTORIES = int(os.environ.get("GOVPOOL_HISTORIES", "200"))
SEED = int(os.environ.get("GOVPOOL_SEED", "0")) or random.randrange(10**6)
TROUBLE = (
    {"do": "late", "on": ["guest.create", "ticket.create"], "percent": 5, "after_s": [0.5, 2]},
    {"do": "lose", "on": ["*"], "percent": 5},
)
Serve = Callable[[str, int], processes.Process]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """How a history is played."""

    seed: int
    serve: Serve = processes.server
    steps: int = STEPS
    districts: int = 4
    kills: int = 6  # of each server, at most
    to_the_end: bool = True  # until everything is deleted and gone


class Servers:
    """Servers that die and come back at random moments until all is calm."""

    def __init__(self, url: str, ports: list[int], play: Play) -> None:
        self.url, self.serve, self.most = url, play.serve, play.kills
        self.calm = threading.Event()
        self.kills = 0
        self.running: dict[int, processes.Process] = {port: play.serve(url, port) for port in ports}
        self.threads = [threading.Thread(target=self._kill, args=(port, random.Random(f"{play.seed}/{port}"))) for port in ports]

    def _kill(self, port: int, chance: random.Random) -> None:
        left = self.most
        while left and not self.calm.wait(chance.uniform(0.5, 3)):
            if not _serves(port):  # it is still starting; a death there says little
                continue
            self.running[port].kill()
            self.kills, left = self.kills + 1, left - 1
            time.sleep(chance.choice([0, 0, 0.5]))
            self.running[port] = self.serve(self.url, port)

    def __enter__(self) -> "Servers":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cease()
        for server in self.running.values():
            server.kill()

    def cease(self) -> None:
        """No more deaths; the last servers run on."""
        self.calm.set()
        for thread in self.threads:
            thread.join()


def _serves(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    return False


def played(url: str, lab: lab_process.Lab, play: Play) -> list[str]:
    """Play a history; everything that is wrong with it, each finding with the check that made it."""
    city = City(url, lab, play.seed, play.districts)
    lab.script(*TROUBLE, seed=play.seed, build_s=[0, 0.3], action_s=[0, 0.2])
    city.share()
    ports = [places.free_port() for _ in range(2 if url.startswith("postgresql") else 1)]
    network = Network([f"http://127.0.0.1:{port}" for port in ports])
    customers = [Customer(city, network, number) for number in range(CUSTOMERS)]
    auditor = Auditor(url, lab.file)
    with Servers(url, ports, play) as servers, contextlib.ExitStack() as onlookers:
        onlookers.callback(network.close)
        looks = [auditor.look, *(Watcher(city, district, network.line()).look for district in city.districts)]
        for look in looks:
            onlookers.callback(Onlooker(look).end)
        with concurrent.futures.ThreadPoolExecutor(CUSTOMERS) as pool:
            all_at_once(pool, lambda customer: customer.run(play.steps), customers)
            servers.cease()
            if play.to_the_end:
                all_at_once(pool, give_up, customers)
                wait(lambda: all(thing.state == "gone" for one in city.districts for thing in one.things.values()), 120)
    found = [f"auditor: {finding}" for finding in auditor.findings]
    found += [f"left behind: {finding}" for finding in left_behind(url) if play.to_the_end]
    verdicts = {one.codes[0]: one.history.check() for one in city.districts}
    found += [f"history of {code}: {verdict}" for code, verdict in verdicts.items() if not verdict.linearizable]
    for one in city.districts:
        if (stuck := verdicts[one.codes[0]].stuck_at) is not None:
            print(*(each.text for each in one.history.until(stuck.returned)), sep="\n")
    operations = sum(len(one.history.operations) for one in city.districts)
    lost = sum(line.lost for line in network.lines)
    tried = sum(verdict.tried for verdict in verdicts.values())
    print(
        f"seed {play.seed}: {operations} operations, {dict(city.refusals)}, {servers.kills} kills, {lost} answers lost, {auditor.instants} instants,"
        f" {tried} configurations, {len(found)} findings"
    )
    if play.to_the_end:
        settle(city)
    city.close()
    return found


def all_at_once(pool: concurrent.futures.Executor, do: Callable[[Customer], None], customers: list[Customer]) -> None:
    """Everybody does it; raises the first error."""
    for done in [pool.submit(do, customer) for customer in customers]:
        done.result()


def give_up(customer: Customer) -> None:
    """A customer deletes what it still has, as soon as that can be deleted."""
    for thing in customer.mine:
        wait(lambda thing=thing: thing.state != "changing", 120)  # type: ignore[misc]
        if thing.state in ("ordered", "there"):
            customer.deletes_one(thing)


def settle(city: City) -> None:
    """The cloud behaves; what was late has landed; a whole sweep cleans up."""
    wait(lambda: not city.lab.pending())
    city.lab.script()
    city.close()
    city.open(owner=True)
    city.sweep()
    city.work()
    city.sweep()


@contextlib.contextmanager
def world(request: pytest.FixtureRequest, folder: pathlib.Path, kind: str) -> Iterator[tuple[str, lab_process.Lab]]:
    """An empty database, and a lab cloud."""
    with lab_cloud(folder) as lab, places.empty_database(request, folder, kind) as url:
        schema.upgrade(url)
        yield url, lab


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_no_history_of_32_customers_breaks_a_limit_or_a_promise(
    request: pytest.FixtureRequest, tmp_path: pathlib.Path, kind: str
) -> None:
    with world(request, tmp_path, kind) as (url, lab):
        assert played(url, lab, Play(seed=SEED)) == []
        assert checker.check(url, lab.file) == []


@pytest.mark.soak
def test_no_history_among_hundreds_does(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> None:
    for number in range(HISTORIES):
        kind = "sqlite" if number % 4 == 0 else "postgresql"
        (tmp_path / str(number)).mkdir()
        with world(request, tmp_path / str(number), kind) as (url, lab):
            play = Play(seed=SEED + number, districts=random.choice([2, 4]), steps=random.choice([20, 40, 80]), kills=20)
            assert played(url, lab, play) == [], f"{play} on {kind}"
            assert checker.check(url, lab.file) == [], f"{play} on {kind}"


TRIES = 5
"""Histories within which a mutant must be caught; nearly always it is the first."""
MUTANTS: list[tuple[Callable[[], None], str, str]] = [
    (mutants.reads_before_it_locks, "postgresql", "history of .*: not linearizable|auditor: .* over-admission"),
    (mutants.checks_again_and_undoes, "sqlite", "history of .*: not linearizable .* refused"),
    (mutants.gives_back_later, "sqlite", "left behind: .* still draws"),
    (mutants.gives_back_when_asked, "sqlite", "auditor: .* unheld: .* holds nothing"),
    (mutants.keeps_the_money, "sqlite", "auditor: .* unheld: money"),
    (mutants.shows_what_was, "sqlite", "history of .*: not linearizable .* shows"),
]


@pytest.mark.parametrize(("mutant", "kind", "finding"), MUTANTS, ids=[mutant.__name__ for mutant, _, _ in MUTANTS])
def test_a_server_that_does_one_thing_wrong_is_caught(
    request: pytest.FixtureRequest, tmp_path: pathlib.Path, mutant: Callable[[], None], kind: str, finding: str
) -> None:
    found: list[str] = []
    for number in range(TRIES):
        (tmp_path / str(number)).mkdir()
        with world(request, tmp_path / str(number), kind) as (url, lab):
            if kind == "postgresql":
                mutants.without_its_check(url)
            serve, to_the_end = mutants.server(mutant), finding.startswith("left")
            found = played(url, lab, Play(seed=SEED + number, serve=serve, steps=20, kills=2, to_the_end=to_the_end))
        print(*found, sep="\n")
        if any(re.match(finding, one) for one in found):
            return
    raise AssertionError(f"{mutant.__name__} was not caught: {found[:5]}")
