"""A worker process is killed at every kill point, and again while it recovers; then the checker must find nothing."""

import ast
import pathlib
from collections.abc import Iterator

import pytest

from provisioners import contract
from tests.integration import checker, processes
from tests.integration.reconciler_world import SMALL, World, lab_cloud, wait

ROOT = pathlib.Path(__file__).resolve().parents[2]
CALLS = ("advance", "act", "remove", "revoke", "observe", "capacity", "ensure_tenant", "set_limits")
READS = ("events",)  # only `restore accept` asks for them, and repeats it after a crash
POINTS = [f"{call}.{side}:1" for call in CALLS for side in ("before", "after")]
COMMITS = [f"lane.commit.{side}:{passage}" for side in ("before", "after") for passage in (1, 4, 9)]
VERBS = {name for name, member in vars(contract.Driver).items() if callable(member) and not name.startswith("_")}


def test_a_kill_point_stands_before_and_after_every_driver_call_and_every_commit() -> None:
    calls: set[str] = set()
    for path in (ROOT / "control").rglob("*.py"):
        for call, names in _driver_calls(ast.parse(path.read_text(encoding="utf-8"))):
            assert call in names, f"{path.name}: driver.{call} stands outside around({call!r})"
            calls.add(call)
    assert calls == {*CALLS, *READS}
    lane = (ROOT / "store" / "lane.py").read_text(encoding="utf-8")
    before, commit, after = (lane.index(text) for text in ("lane.commit.before", "connection.commit()", "lane.commit.after"))
    assert before < commit < after
    assert lane.count(".commit()") == 1


def test_the_proof_of_the_kill_points_sees_a_call_without_one() -> None:
    naked = ast.parse("def f(job):\n    with around('act'):\n        job.cloud.driver.act(1)\n    job.cloud.driver.remove(2)\n")
    assert list(_driver_calls(naked)) == [("act", {"act"}), ("remove", set())]


def _driver_calls(tree: ast.AST, names: frozenset[str] = frozenset()) -> Iterator[tuple[str, set[str]]]:
    """Each call of a verb on something called `driver`, with the names of the kill points around it."""
    for node in ast.iter_child_nodes(tree):
        inner = names
        if isinstance(node, ast.With):
            for item in node.items:
                made = item.context_expr
                if isinstance(made, ast.Call) and ast.unparse(made.func).rpartition(".")[2] == "around":
                    assert isinstance(made.args[0], ast.Constant)
                    inner = inner | {str(made.args[0].value)}
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in VERBS
            and ast.unparse(node.func.value).rpartition(".")[2] == "driver"
        ):
            yield node.func.attr, set(inner)
        yield from _driver_calls(node, inner)


@pytest.fixture
def world(database_url: str, tmp_path: pathlib.Path) -> Iterator[World]:
    """A department over a lab cloud, with one guest that runs and one that is to go."""
    with lab_cloud(tmp_path) as lab:
        made = World(database_url, lab)
        yield made
        made.close()


@pytest.mark.parametrize("point", [*POINTS, *COMMITS])
def test_killed_at_a_point_and_again_while_recovering_nothing_is_lost_doubled_or_left(world: World, point: str) -> None:
    runs, goes = world.want("税务申报-运行"), world.want("税务申报-删除")
    world.work()
    world.lab.script(
        {"do": "lose", "on": ["guest.create", "guest.act", "guest.delete"], "times": 3},
        {"do": "late", "on": ["ticket.create"], "times": 1, "after_s": [1, 1]},
    )
    world.want("税务申报-新建")
    world.change(runs, "resize", amounts=SMALL | {"cpu_milli": 4000})
    world.delete(goes)
    world.forget_what_the_cloud_was_told()
    world.share()
    for again in ("", " while recovering"):
        killed = processes.worker(world.url, kill_at=point)
        assert killed.died(20), f"{point} was never reached{again}"
    finish(world)
    assert checker.check(world.url, world.lab.file) == []


def finish(world: World) -> None:
    """A worker that nobody kills works until everything rests; then a whole sweep, begun after the last late call, and what it asks for."""
    surviving = processes.worker(world.url)
    try:
        wait(lambda: world.at_rest() and not world.lab.pending())
    finally:
        surviving.kill()
    world.close()
    world.open(owner=True)
    world.sweep()
    world.work()
    world.sweep()
