"""What customers of a quota tree did and were told, as a history that `linear` can judge: each answer is a claim about one moment.

The state is one `kueue_model.View` per name.  An accepted order claims that it fitted; a refusal claims every level at which it did not, with
the numbers; a look claims all that it showed; a grant that was set claims what became of it.  What a deleted resource held goes back at a moment
between the order and the sight of its absence: that is an operation too, of nobody.
"""

import dataclasses
import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.integration import linear
from tests.integration.kueue_model import Grant, View

State = tuple[View, ...]
Amounts = tuple[tuple[int, int], ...]  # (index of the name, amount)


@dataclasses.dataclass(slots=True)
class History:
    """The history of one tree that shares nothing with others.  Thread-safe."""

    names: Sequence[str]
    codes: Sequence[str]  # of the tenants, by node
    start: State
    operations: list[linear.Operation] = dataclasses.field(default_factory=list)
    guard: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def amounts(self, amounts: Mapping[str, int]) -> Amounts:
        """The part of `amounts` that is watched."""
        return tuple((i, amounts[name]) for i, name in enumerate(self.names) if amounts.get(name))

    def held(self, when: tuple[float, float], node: int, more: Mapping[str, int], text: str) -> None:
        """`more` was admitted; what is negative was given back."""
        changed = self.amounts(more)
        if changed:
            self._add(when, functools.partial(_held, node=node, more=changed), (node, changed), {node}, text)

    def refused(self, when: tuple[float, float], node: int, more: Mapping[str, int], breaches: Sequence[Mapping[str, Any]]) -> None:
        """`more` was refused for these reasons; without one it was money that was missing, and quota was there."""
        told = frozenset((self.codes.index(each["tenant"]), self.names.index(each["name"]), each["short_by"]) for each in breaches)
        text = f"refused {more} at {self.codes[node]}: " + ", ".join(
            f"{b['tenant']} {b['name']} short by {b['short_by']}" for b in breaches
        )
        self._add(when, functools.partial(_refused, node=node, more=self.amounts(more), told=told), None, {node}, text)

    def shown(self, when: tuple[float, float], node: int, rows: Sequence[Mapping[str, Any]]) -> None:
        """A look at a tenant."""
        seen = tuple((self.names.index(row["name"]), dict(row)) for row in rows if row["name"] in self.names)
        text = f"{self.codes[node]} shows " + ", ".join(
            f"{row['name']} {row['used']} of {row['limit']} ({row.get('available', '?')} left)" for _, row in seen
        )
        self._add(when, functools.partial(_shown, node=node, rows=seen), None, {node}, text)

    def granted(
        self, when: tuple[float, float], changes: Sequence[tuple[int, str, Grant]], rows: Sequence[Mapping[str, Any]]
    ) -> None:
        """Grants were set, one after the other at one moment; `rows` is how their tenants stood then."""
        done = tuple((node, self.names.index(name), grant) for node, name, grant in changes)
        seen = tuple((self.codes.index(row["tenant"]), self.names.index(row["name"]), dict(row)) for row in rows)
        text = "set " + ", ".join(f"{name} of {self.codes[node]} to {grant}" for node, name, grant in changes)
        self._add(when, functools.partial(_granted, changes=done, rows=seen), done, {node for node, _, _ in done}, text)

    def moved(
        self,
        when: tuple[float, float],
        nodes: tuple[int, int],
        amounts: Mapping[str, int],
        rows: Sequence[Mapping[str, Any]] | None,
    ) -> None:
        """Granted units went from one tenant to another; `rows` is how both stood then, None: it was refused."""
        giver, taker = nodes
        done = (giver, taker, self.amounts(amounts))
        seen = (
            None
            if rows is None
            else tuple((self.codes.index(row["tenant"]), self.names.index(row["name"]), dict(row)) for row in rows)
        )
        text = f"move {amounts} from {self.codes[giver]} to {self.codes[taker]}" + (" refused" if seen is None else "")
        self._add(when, functools.partial(_moved, done=done, rows=seen), None if seen is None else done, set(nodes), text)

    def not_granted(self, when: tuple[float, float], changes: Sequence[tuple[int, str, Grant]], code: str) -> None:
        """Grants were refused."""
        done = tuple((node, self.names.index(name), grant) for node, name, grant in changes)
        text = f"{code}: " + ", ".join(f"{name} of {self.codes[node]} to {grant}" for node, name, grant in changes)
        self._add(when, functools.partial(_not_granted, changes=done), None, {node for node, _, _ in done}, text)

    def check(self, budget: int = linear.BUDGET) -> linear.Verdict:
        """Whether there is one order of events that explains all answers.

        Where too much was under way at once to tell, each name is judged by itself: what that loses is that an order changes all its names
        at the same moment, which the auditor looks at.
        """
        whole = linear.check(self.operations, self.start, budget=budget)
        if not whole.undecided:
            return whole
        verdicts = [linear.check(self._of_one_name(i), self.start) for i in range(len(self.names))]
        tried = whole.tried + sum(verdict.tried for verdict in verdicts)
        worst = next((one for one in verdicts if not one.linearizable), verdicts[0])
        return dataclasses.replace(worst, tried=tried)

    def until(self, moment: float) -> list[linear.Operation]:
        """What had begun by then, in the order of returns."""
        return sorted((one for one in self.operations if one.invoked <= moment), key=lambda one: one.returned)

    def _of_one_name(self, i: int) -> list[linear.Operation]:
        """What the operations say of one name.  A refused change of grants may have another name for its reason, and says nothing then."""
        found = []
        for one in self.operations:
            call: Any = one.apply  # the partial that `_add` was given
            several = (
                len({each for _, each, _ in call.keywords.get("changes", ())}) > 1
                or len(call.keywords.get("done", ((), (), ()))[2]) > 1
            )
            if several and one.does is None:
                continue
            told = {
                key: _PART[key](value, i) if key in _PART and value is not None else value for key, value in call.keywords.items()
            }
            if any(told.get(key) for key in ("more", "changes", "rows")) or told.get("done", ((), (), ()))[2]:
                does = None if one.does is None else (call.func, *(told.get(key) for key in ("node", "more", "changes", "done")))
                found.append(dataclasses.replace(one, apply=functools.partial(call.func, **told), does=does))
        return found

    def _add(self, when: tuple[float, float], apply: Any, does: Any, near: set[int], text: str) -> None:
        invoked, returned = when
        said = f"[{invoked:.4f} {returned:.4f}] {text}"
        one = linear.Operation(
            invoked=invoked,
            returned=returned,
            apply=apply,
            does=None if does is None else (apply.func, does),
            near=frozenset(near),
            text=said,
        )
        with self.guard:
            self.operations.append(one)


_PART: Mapping[str, Callable[[Any, int], Any]] = {
    "more": lambda more, i: tuple(each for each in more if each[0] == i),
    "told": lambda told, i: frozenset(each for each in told if each[1] == i),
    "changes": lambda changes, i: tuple(each for each in changes if each[1] == i),
    "done": lambda done, i: (*done[:2], tuple(each for each in done[2] if each[0] == i)),
    "rows": lambda rows, i: tuple(each for each in rows if each[-2] == i),
}
"""What an argument of an operation says of one name."""


def _held(state: State, *, node: int, more: Amounts) -> State | None:
    after = list(state)
    for i, k in more:
        if (k > 0 and state[i].breaches(node, k)) or state[i].held[node] + k < 0:
            return None
        after[i] = state[i].holding(node, k)
    return tuple(after)


def _refused(state: State, *, node: int, more: Amounts, told: frozenset[tuple[int, int, int]]) -> State | None:
    found = {(n, i, short) for i, k in more if k > 0 for n, short in state[i].breaches(node, k).items()}
    return state if found == told else None


def _shown(state: State, *, node: int, rows: tuple[tuple[int, dict[str, Any]], ...]) -> State | None:
    return state if all(_fits(state[i], node, row) for i, row in rows) else None


def _granted(
    state: State, *, changes: tuple[tuple[int, int, Grant], ...], rows: tuple[tuple[int, int, dict[str, Any]], ...]
) -> State | None:
    after = list(state)
    for node, i, grant in changes:
        changed = after[i].granting(node, grant)
        if changed != after[i] and not changed.sound_after(after[i]):
            return None
        after[i] = changed
    return tuple(after) if all(_fits(after[i], node, row) for node, i, row in rows) else None


def _not_granted(state: State, *, changes: tuple[tuple[int, int, Grant], ...]) -> State | None:
    return state if _granted(state, changes=changes, rows=()) is None else None


def _moved(
    state: State, *, done: tuple[int, int, Amounts], rows: tuple[tuple[int, int, dict[str, Any]], ...] | None
) -> State | None:
    giver, taker, amounts = done
    changes = []
    for i, amount in amounts:
        for node, more in ((giver, -amount), (taker, amount)):
            grant = state[i].grants[node]
            changes.append((node, i, dataclasses.replace(grant, granted=grant.granted + more)))
    enough = all(grant.granted >= 0 for _, _, grant in changes)
    after = _granted(state, changes=tuple(changes), rows=rows or ()) if enough else None
    return after if rows is not None else state if after is None else None


def _fits(view: View, node: int, row: Mapping[str, Any]) -> bool:
    """Whether a tenant stands as it was shown."""
    grant = view.grants[node]
    return (
        (row["used"], row["granted"], row["lending_limit"], row["borrowing_limit"])
        == (view.drawn(node), grant.granted, grant.lend, grant.borrow)
        and (row["limit"], row["kept"], row["over_by"]) == (view.limit(node), view.kept(node), view.over(node))
        and ("available" not in row or row["available"] == view.available(node))
        and ("promised" not in row or row["promised"] == sum(view.grants[c].granted for c in view.children(node)))
    )
