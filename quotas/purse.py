"""A copy of the budgets of the present year, in memory: it says yes and no to money as `quotas.budgets.guard` does, and writes nothing."""

import datetime
from collections.abc import Mapping, Sequence

from quotas.budgets import model, records, rules
from store.transaction import Transaction


class Purse:
    """The budgets along `paths`: tenant -> (id, code) of it and all above it, leaf first."""

    def __init__(
        self, standings: Sequence[model.Standing], paths: Mapping[str, Sequence[tuple[str, str]]], at: datetime.datetime
    ) -> None:
        self._standings = {each.tenant_id: each for each in standings}
        self._paths = paths
        self._at = at
        self._year = rules.year_of(at)

    def encumbered(self, monthly_micro: int) -> int:
        """Micro-yuan that one resource without an end encumbers: its price from now to the end of the year."""
        return sum(one.amount_micro for one in rules.held(model.Wish(holder="", monthly_micro=monthly_micro), "", self._at))

    def draw(self, tenant_id: str, amount_micro: int) -> list[model.Breach]:
        """Encumber money at a tenant and all above it, or say which hard budgets do not have it and encumber nothing."""
        path = self._paths[tenant_id]
        here = [self._standings[node] for node, _ in path if node in self._standings]
        change = model.Change(encumbered_micro=amount_micro)
        found = rules.breaches(path, here, {(each.tenant_id, self._year): change for each in here})
        if not found:
            self._standings |= {each.tenant_id: rules.after(each, change) for each in here}
        return found

    def undo(self, tenant_id: str, amount_micro: int) -> None:
        """Take a `draw` back."""
        change = model.Change(encumbered_micro=-amount_micro)
        here = [self._standings[node] for node, _ in self._paths[tenant_id] if node in self._standings]
        self._standings |= {each.tenant_id: rules.after(each, change) for each in here}


def load(tx: Transaction, paths: Mapping[str, Sequence[tuple[str, str]]]) -> Purse:
    """The budgets as they stand in the snapshot of `tx`."""
    nodes = sorted({node for path in paths.values() for node, _ in path})
    return Purse(records.of(tx, nodes, [rules.year_of(tx.now())]), paths, tx.now())
