"""A copy of how tenants stand, in memory, that says yes and no as the guard does.  Pure: it is given numbers and writes nothing.

100,000 requests against it take seconds; a test plays the same requests here and against the guard, and the verdicts must be the same.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from quotas import incoming, model, recalls, rules

Key = tuple[str, str]
"""(tenant, name)"""


@dataclasses.dataclass(slots=True)
class _Cell:
    """The part of a standing that requests move."""

    standing: model.Standing  # as it was; `drawn` below is what counts
    drawn: int

    def now(self) -> model.Standing:
        return dataclasses.replace(self.standing, drawn=self.drawn)


class Ledger:
    """Standings of tenants and of all above them, what each holds itself, the recalls that go on, and what waiting moves will bring.

    `paths`: tenant -> (id, code) of it and all above it, leaf first.
    """

    def __init__(
        self,
        standings: Mapping[Key, model.Standing],
        paths: Mapping[str, Sequence[tuple[str, str]]],
        *,
        held: Mapping[Key, int],
        recalling: Sequence[model.Recall] = (),
        coming: Sequence[model.Coming] = (),
    ) -> None:
        self._cells = {key: _Cell(standing, standing.drawn) for key, standing in standings.items()}
        self.paths = paths
        self._held = dict(held)
        self._recalling = recalling
        self._coming = coming
        self._crowding = {node for each in coming for node in each.branch}

    def draw(self, tenant_id: str, amounts: Mapping[str, int]) -> list[model.Breach]:
        """Draw `amounts` (counted, as `rules.counted` gives them), or say at which levels they do not fit and draw nothing."""
        path = self.paths[tenant_id]
        found = self._breaches(path, amounts)
        if found:
            return found
        before = self._arrived(path)
        for name, amount in amounts.items():
            self._rise(path, name, amount)
        crowded = incoming.breaches(path, before, self._arrived(path))
        for name, amount in amounts.items():
            if crowded:
                self._rise(path, name, -amount)
            else:
                self._held[tenant_id, name] = self._held.get((tenant_id, name), 0) + amount
        return crowded

    def give_back(self, tenant_id: str, amounts: Mapping[str, int]) -> dict[str, int]:
        """Give `amounts` back; name -> what is held of those of which less is held, and then nothing is given back."""
        short = {name: self._held.get((tenant_id, name), 0) for name, amount in amounts.items()}
        short = {name: held for name, held in short.items() if held < amounts[name]}
        if short:
            return short
        for name, amount in amounts.items():
            self._rise(self.paths[tenant_id], name, -amount)
            self._held[tenant_id, name] -= amount
        self._press(amounts)
        return {}

    def undo(self, tenant_id: str, amounts: Mapping[str, int]) -> None:
        """Take a `draw` back, as if it had never been asked."""
        for name, amount in amounts.items():
            self._rise(self.paths[tenant_id], name, -amount)
            self._held[tenant_id, name] -= amount

    def _breaches(self, path: Sequence[tuple[str, str]], amounts: Mapping[str, int]) -> list[model.Breach]:
        """As `rules.breaches`, over cells."""
        found = []
        for name, rising in amounts.items():
            for tenant_id, code in path:
                cell = self._cells.get((tenant_id, name))
                drawn, local, limit = (cell.drawn, cell.standing.local_quota, cell.standing.limit) if cell else (0, 0, 0)
                if drawn + rising > limit:
                    found.append(model.Breach(tenant_id=tenant_id, tenant=code, name=name, asked=rising, used=drawn, limit=limit))
                rising = rules.risen(drawn + rising, local, rising)
                if not rising:
                    break
        return found

    def _rise(self, path: Sequence[tuple[str, str]], name: str, rising: int) -> None:
        for tenant_id, _ in path:
            cell = self._cells[tenant_id, name]
            cell.drawn += rising
            rising = rules.risen(cell.drawn, cell.standing.local_quota, rising)
            if not rising:
                return

    def _arrived(self, path: Sequence[tuple[str, str]]) -> dict[Key, model.Standing]:
        """The levels of some waiting moves with all that is coming; none when it cannot crowd anybody on `path`."""
        if not any(node in self._crowding for node, _ in path):
            return {}
        known = {(node, name): cell.now() for (node, name), cell in self._cells.items() if node in self._crowding}
        return incoming.arrived(known, self._coming)

    def _press(self, names: Iterable[str]) -> None:
        for recall in self._recalling:
            if recall.name in names:
                path = self.paths[recall.tenant_id]
                full = self._arrived(path)
                levels = [self._now(node, recall.name) for node, _ in path]
                used = [full.get((each.tenant_id, each.name), each) for each in levels]
                for after in recalls.pressed(recall, levels, used):
                    self._cells[after.tenant_id, after.name] = _Cell(after, after.drawn)

    def _now(self, tenant_id: str, name: str) -> model.Standing:
        cell = self._cells.get((tenant_id, name))
        return cell.now() if cell else rules.nothing(tenant_id, name)
