"""Whatever happens to a quota tree, the room and Kueue's definition agree after each step; on both databases.

`make soak` goes GOVPOOL_STEPS (1,000,000) steps, in chunks by seed over all cores.  A chunk that was done is written down with a digest of the code
and not done again, so an interrupted soak goes on where it was; a seed that fails is named, and fails again.
"""

import concurrent.futures
import hashlib
import json
import multiprocessing
import os
import pathlib
import shutil
import sqlite3
import time
import types
from collections.abc import Callable, Mapping
from typing import Any

import hypothesis
import hypothesis.errors
import pytest
from hypothesis import stateful

from control import schema as control_schema
from quotas import records, repair, rules
from store import batch
from tenants import service as tenants
from tests.integration import kueue_machine

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS_EACH = 60
STEPS = int(os.environ.get("GOVPOOL_STEPS", "1000000"))
CHUNK = 200
"""Trees of one seed: some 11,000 steps."""
POSTGRESQL_EACH = 10
"""Of so many chunks one is played on PostgreSQL, which takes several times as long."""


def play(url: str, trees: int, *, seed: int | None = None, shrink: bool = True) -> dict[str, int]:
    """So many trees with up to STEPS_EACH steps; how many steps there were, and how many were refused."""
    phases = [hypothesis.Phase.generate, *([hypothesis.Phase.shrink] if shrink else [])]
    chosen = hypothesis.settings(
        max_examples=trees,
        stateful_step_count=STEPS_EACH,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    with kueue_machine.machine(url) as made:
        stateful.run_state_machine_as_test(made if seed is None else hypothesis.seed(seed)(made), settings=chosen)
        return dict(made.steps)


def test_the_room_agrees_with_the_definition_of_kueue_through_any_history(database_url: str) -> None:
    steps = play(database_url, 100 if database_url.startswith("sqlite") else 20)
    print(steps)
    assert steps["all"] >= 500 and steps["refused"] >= 100


def lends_everything(patch: pytest.MonkeyPatch) -> None:
    """A lending limit is not looked at."""
    patch.setattr(rules, "local_quota", lambda subtree_quota, lending_limit: 0)


def lets_the_root_borrow(patch: pytest.MonkeyPatch) -> None:
    """From nobody."""
    bounded = rules.bounded
    patch.setattr(rules, "bounded", lambda grant, *, is_root: bounded(grant, is_root=False))


def keeps_an_excess(patch: pytest.MonkeyPatch) -> None:
    """An allowed excess stays allowed after it has shrunk, and may grow again."""
    patch.setattr(records, "_LESS", "drawn = drawn - {k}")


def gives_back_where_it_was(patch: pytest.MonkeyPatch) -> None:
    """Along the path that the tenant had before it was moved."""
    known: dict[str, list[str]] = {}
    remembering = types.SimpleNamespace(
        all_tenants=tenants.all_tenants, path_ids=lambda tx, tenant_id: known.setdefault(tenant_id, tenants.path_ids(tx, tenant_id))
    )
    patch.setattr(repair, "tenants", remembering)


def counts_a_class_once(patch: pytest.MonkeyPatch) -> None:
    """On its own name alone."""
    counted = rules.counted

    def once(amounts: Mapping[str, int]) -> dict[str, int]:
        return {name: amount for name, amount in counted(amounts).items() if name in amounts}

    patch.setattr(rules, "counted", once)


def keeps_what_a_refused_one_drew(patch: pytest.MonkeyPatch) -> None:
    """Counters that were decided in memory stay when the use case is refused."""
    patch.setattr(batch.Batch, "_take_back_lines", lambda self: None)


def shows_what_the_leaf_has(patch: pytest.MonkeyPatch) -> None:
    """`available` does not ask the levels above."""
    patch.setattr(rules, "available", lambda path: max(0, path[0].limit - path[0].drawn))


MUTANTS: list[Callable[[pytest.MonkeyPatch], None]] = [
    lends_everything, lets_the_root_borrow, keeps_an_excess, gives_back_where_it_was, counts_a_class_once,
    keeps_what_a_refused_one_drew, shows_what_the_leaf_has,
]  # fmt: skip


CAUGHT = (AssertionError, batch.RerunError, sqlite3.IntegrityError, hypothesis.errors.Flaky, ExceptionGroup)
"""Model and room disagree, the guard or a CHECK of the database says no, or the failure was another one when it was played again."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.__name__ for mutant in MUTANTS])
def test_a_room_that_does_one_thing_wrong_is_caught(
    mutant: Callable[[pytest.MonkeyPatch], None],
    sqlite_template: pathlib.Path,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = f"sqlite://{shutil.copy(sqlite_template, tmp_path / 'govpool.db')}"
    mutant(monkeypatch)
    with pytest.raises(CAUGHT):  # noqa: PT012 -- a few seeds, so that none depends on luck
        for seed in range(1, 6):
            play(url, 200, seed=seed, shrink=False)


@pytest.mark.soak
def test_a_million_steps_agree(request: pytest.FixtureRequest, sqlite_template: pathlib.Path, tmp_path: pathlib.Path) -> None:
    cluster: Any = request.getfixturevalue("cluster")
    log = ROOT / "build" / "soak" / f"kueue-machine-{digest()}.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    done = {line["seed"]: line for line in map(json.loads, log.read_text().splitlines())} if log.exists() else {}
    total, seed, began, fresh = sum(line["all"] for line in done.values()), 0, time.monotonic(), 0
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
        running: set[concurrent.futures.Future[dict[str, Any]]] = set()
        while total < STEPS or running:
            while total < STEPS and len(running) < (os.cpu_count() or 1):
                seed += 1
                if seed not in done:
                    on_postgresql = seed % POSTGRESQL_EACH == 0
                    url = cluster.fresh() if on_postgresql else f"sqlite://{shutil.copy(sqlite_template, tmp_path / f'{seed}.db')}"
                    running.add(pool.submit(chunk, url, seed))
            ended, running = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for one in ended:
                line = one.result()
                with log.open("a") as stream:
                    stream.write(json.dumps(line) + "\n")
                total, fresh = total + line["all"], fresh + line["all"]
                print(f"{total:,} steps agree, {fresh / (time.monotonic() - began):,.0f} a second", flush=True)


def chunk(url: str, seed: int) -> dict[str, Any]:
    """The trees of one seed, in a process of its own."""
    control_schema.declare_tables()
    began = time.monotonic()
    try:
        steps = play(url, CHUNK, seed=seed)
    except Exception as error:
        raise AssertionError(
            f"seed {seed} on {url.partition(':')[0]}: {error}\n" + "\n".join(getattr(error, "__notes__", ()))
        ) from error
    return {"seed": seed, "database": url.partition(":")[0], "seconds": round(time.monotonic() - began, 1), **steps}


def digest() -> str:
    """Of the code that is played: the room, what it stands on, the machine and the model."""
    files = [path for room in ("quotas", "store", "tenants", "primitives") for path in sorted((ROOT / room).rglob("*.py"))]
    whole = hashlib.sha256()
    for path in [*files, pathlib.Path(kueue_machine.__file__), pathlib.Path(kueue_machine.__file__).with_name("kueue_model.py")]:
        whole.update(path.read_bytes())
    return whole.hexdigest()[:12]
