"""The verbs of money.  It is encumbered when something is ordered, becomes expense as its use is metered, and is free again when it ends.

Holds exist whether or not there is a budget; a budget of a tenant counts all that is held and spent at and below it.  Only an order is asked whether
its money is there; price changes, the turn of the year, metering and adoption are not, and what they take beyond a budget is its `over_micro`.
Every verb that changes something returns the thresholds that were crossed, for control to tell.
"""

import dataclasses
import datetime
from collections.abc import Collection, Mapping, Sequence

from primitives import clock, errors
from quotas import model as quotas_model
from quotas.budgets import faults, model, records, rules
from quotas.budgets.model import Change, Crossing, Hold, Standing
from store.transaction import Transaction
from tenants import model as tenants_model
from tenants import service as tenants


class Exceeded(errors.GovpoolError):
    """budget.exceeded.  Its values show the numbers of the tenant itself only; `seen_by` widens them to what a caller may see."""

    def __init__(self, tenant: str, found: Sequence[model.Breach], seen: Sequence[str] | None) -> None:
        self.tenant = tenant
        self.found = tuple(found)
        shown = rules.visible(self.found, seen)
        super().__init__(faults.EXCEEDED, {"tenant": tenant, "breaches": shown, "told": rules.told(shown)})

    def seen_by(self, scope: tenants_model.Scope) -> "Exceeded":
        """The same refusal as a caller may see it: of levels outside of his scope only the name and what is missing."""
        return Exceeded(self.tenant, self.found, None if scope.everything else scope.tenant_ids)


# -- hold --------------------------------------------------------------------------------------------------------------------------


def hold_each(tx: Transaction, *, tenant_id: str, wishes: Sequence[model.Wish], asked: bool = True) -> list[Crossing]:
    """Hold money for new resources of one tenant from now to their end, all of them or none.

    With `asked` a hard budget on the path that does not have it refuses.  Raises budget.exceeded, budget.held, budget.out_of_range.
    """
    begin_year(tx)
    holders = [wish.holder for wish in wishes]
    known = records.holds(tx, holders) if not asked else []  # what is ordered is new; what is adopted may have held money before
    live = sorted({one.holder for one in known if one.end_at > tx.now()})
    if live:
        raise faults.HELD(holder=live[0])
    numbers = {one.holder: one.number for one in known}
    after = [one for wish in wishes for one in rules.held(wish, tenant_id, tx.now(), numbers.get(wish.holder, 0) + 1)]
    return _rewrite(tx, [], after, asked=asked)


def change(
    tx: Transaction,
    *,
    holder: str,
    monthly_micro: int | None = None,
    end_at: datetime.datetime | None = None,
    open_ended: bool | None = None,
    asked: bool = True,
) -> list[Crossing]:
    """Another price, or another end, of a resource from now on; what is not said stays.

    Only the difference is asked for, and only where something grows; what shrinks passes always.  One that holds no money is left alone.
    Raises budget.exceeded, budget.out_of_range.
    """
    begin_year(tx)
    before = records.holds(tx, [holder])
    after = rules.changed(before, tx.now(), monthly_micro=monthly_micro, end_at=end_at, open_ended=open_ended)
    return _rewrite(tx, before, after, asked=asked and rules.grows(before, after))


def release(tx: Transaction, *, holders: Sequence[str], used: bool) -> list[Crossing]:
    """Free the money of resources from now on.  Of those that were `used`, what is not metered yet stays encumbered until it is expense."""
    before = records.holds(tx, holders)
    return _rewrite(tx, before, rules.cut(before, tx.now()) if used else [], asked=False)


def move(tx: Transaction, *, holders: Sequence[str], tenant_id: str, asked: bool = True) -> list[Crossing]:
    """The money of resources is another tenant's from now on; their use until now stays with whoever had it.  Raises budget.exceeded."""
    begin_year(tx)
    before = records.holds(tx, holders)
    by_holder: dict[str, list[Hold]] = {}
    for one in before:
        by_holder.setdefault(one.holder, []).append(one)
    after = [one for own in by_holder.values() for one in rules.changed(own, tx.now(), tenant_id=tenant_id)]
    return _rewrite(tx, before, after, asked=asked)


def move_subtree(
    tx: Transaction, *, tenant_id: str, above_before: Sequence[str], above_after: Sequence[str], allow_over: bool = False
) -> list[Crossing]:
    """Carry what a tenant and those below it hold from its old ancestors to its new ones (each [parent .. root]), after it was moved.

    Expenses stay where they were made; those of the present month follow with its next settlement.  Raises budget.exceeded unless `allow_over`.
    """
    held = records.held_of(tx, tenants.subtree_ids(tx, tenant_id))
    deltas: dict[tuple[str, int], Change] = {}
    for above, sign in ((above_before, -1), (above_after, 1)):
        for node in above:
            for year, amount in held.items():
                deltas[node, year] = deltas.get((node, year), Change()) + Change(encumbered_micro=sign * amount)
    return _drawn(tx, {key: deltas[key] for key in sorted(deltas) if deltas[key]}, asked=not allow_over)


def held(tx: Transaction, *, holders: Sequence[str]) -> list[Hold]:
    """The holds of some resources."""
    return records.holds(tx, holders)


def held_in(tx: Transaction, *, tenant_id: str, year: int, count: int = 1000) -> list[Hold]:
    """The holds at and below a tenant in a year, the largest first."""
    return records.holds_in(tx, tenants.subtree_ids(tx, tenant_id), year, count)


def missing(tx: Transaction, *, tenant_id: str, wishes: Sequence[model.Wish]) -> list[model.Breach]:
    """Where the money for new resources would not suffice; nothing is held."""
    begin_year(tx)
    after = [one for wish in wishes for one in rules.held(wish, tenant_id, tx.now())]
    return _breaches(tx, rules.changes([], after, _paths(tx, [tenant_id])))


# -- the year ----------------------------------------------------------------------------------------------------------------------


def begin_year(tx: Transaction) -> list[Crossing]:
    """Make sure that the present year has begun: what is open-ended is held on through it, whether its money is there or not.

    Asked once a use case; done by the job at the turn of the year, or by the first who holds something in it.
    """
    year = rules.year_of(tx.now())
    if tx.kept.get("budget_year") == year or records.has_begun(tx, year):
        tx.kept["budget_year"] = year
        return []
    crossed: list[Crossing] = []
    last = records.last_year(tx)
    for each in range(year if last is None else last + 1, year + 1):
        if not records.begin(tx, each):
            continue
        span = rules.year(each)
        before = records.open_until(tx, each - 1, clock.to_us(span.start_at))
        closed = [dataclasses.replace(one, open_ended=False) for one in before]
        rolled = [
            new
            for one in before
            for new in rules.held(
                model.Wish(holder=one.holder, monthly_micro=one.monthly_micro), one.tenant_id, span.start_at, one.number + 1
            )
        ]
        crossed += _rewrite(tx, before, [*closed, *rolled], asked=False)
    tx.kept["budget_year"] = year
    return crossed


def settle(tx: Transaction, settlement: model.Settlement) -> list[Crossing]:
    """The use of some tenants up to a moment is expense from here on, and no longer encumbered.  An older settlement changes nothing."""
    known = records.settled_at(tx, list(settlement.expenses))
    at_us = clock.to_us(settlement.at)
    tenant_ids = [tenant_id for tenant_id in sorted(settlement.expenses) if known.get(tenant_id, -1) < at_us]
    if not tenant_ids:
        return []
    records.settle(tx, tenant_ids, at_us)
    now = {(tenant_id, month): one for tenant_id in tenant_ids for month, one in settlement.expenses[tenant_id].items()}
    was = records.expenses(tx, tenant_ids, sorted({month for _, month in now}))
    was = {key: one for key, one in was.items() if key in now}
    records.put_expenses(tx, was, now)
    before = [one for one in records.holds_before(tx, tenant_ids, at_us) if one.holder not in settlement.unsettled]
    after = rules.settled(before, settlement.at)
    records.rewrite(tx, before, after)
    deltas = rules.changes(before, after, _paths(tx, tenant_ids))
    for known_expenses, sign in ((was, -1), (now, 1)):
        for (_, month), one in known_expenses.items():
            for node in one.node_ids:
                key = (node, int(month[:4]))
                deltas[key] = deltas.get(key, Change()) + Change(spent_micro=sign * one.amount_micro)
    return _drawn(tx, {key: deltas[key] for key in sorted(deltas) if deltas[key]}, asked=False)


def reprice(tx: Transaction, prices: Mapping[str, tuple[int, int]]) -> list[Crossing]:
    """Other prices of running resources: holder -> (the price a month that was seen, what it is now).  Who was changed meanwhile is left alone."""
    known: dict[str, list[Hold]] = {}
    for one in records.holds(tx, list(prices)):
        known.setdefault(one.holder, []).append(one)
    before: list[Hold] = []
    after: list[Hold] = []
    for holder, own in known.items():
        seen, price = prices[holder]
        if own[-1].monthly_micro == seen and 0 <= price <= model.MONTHLY_BOUND_MICRO:
            before += own
            after += rules.changed(own, tx.now(), monthly_micro=price)
    return _rewrite(tx, before, after, asked=False)


# -- budgets -----------------------------------------------------------------------------------------------------------------------


def set_budget(
    tx: Transaction, *, tenant_id: str, year: int, budget: model.Budget, allow_over: bool = False
) -> tuple[Standing | None, Standing, list[Crossing]]:
    """Give a tenant the money of a year: before, after, thresholds crossed.  An equal budget changes nothing.

    Raises budget.year, budget.amount, budget.threshold; budget.below_use unless `allow_over`, which the caller audits.
    """
    rules.year(year)
    rules.bounded(budget)
    begin_year(tx)
    before = find(tx, tenant_id=tenant_id, year=year)
    if before is not None and before.budget == budget:
        return before, before, []
    after = dataclasses.replace(
        before or nothing(tx, tenant_id=tenant_id, year=year), budget=budget, generation=before.generation + 1 if before else 1
    )
    after = rules.after(after, Change())
    grown = after.over_micro > (before.over_micro if before is not None else 0)
    hardened = before is not None and budget.hard and not before.budget.hard and after.over_micro
    if budget.hard and (grown or hardened) and not allow_over:
        raise below_use(tx, after)
    after = dataclasses.replace(after, told=tuple(one for one in after.told if one in budget.thresholds))
    records.put(tx, after)
    return before, after, _noted(tx, [after])


def below_use(tx: Transaction, standing: Standing) -> errors.GovpoolError:
    """The fault for a budget that is less than what is committed already."""
    return faults.BELOW_USE(
        tenant=tenants.by_id(tx, standing.tenant_id).code,
        year=standing.year,
        over_by=rules.yuan(standing.over_micro),
        spent=rules.yuan(standing.spent_micro),
        encumbered=rules.yuan(standing.encumbered_micro),
        limit=rules.yuan(standing.limit_micro),
    )


def rest(tx: Transaction, *, tenant_id: str, year: int) -> int:
    """What the year before `year` left: appropriated and carried over less all that is committed.  Raises budget.unknown, budget.not_over."""
    last = find(tx, tenant_id=tenant_id, year=year - 1)
    if last is None:
        raise faults.UNKNOWN(tenant=tenants.by_id(tx, tenant_id).code, year=year - 1)
    if tx.now() < rules.year(year - 1).end_at:
        raise faults.NOT_OVER(year=year - 1)
    return last.left_micro


def find(tx: Transaction, *, tenant_id: str, year: int) -> Standing | None:
    """The budget of a tenant in a year."""
    found = records.of(tx, [tenant_id], [year])
    return found[0] if found else None


def nothing(tx: Transaction, *, tenant_id: str, year: int) -> Standing:
    """How a tenant stands that has no budget of a year: what is held and spent at and below it, and no money for it.  Generation 0."""
    span = (f"{year}-01", f"{year}-12")
    return rules.after(
        Standing(
            tenant_id=tenant_id,
            year=year,
            budget=model.Budget(appropriated_micro=0, hard=False, thresholds=()),
            told=(),
            encumbered_micro=records.held_of(tx, tenants.subtree_ids(tx, tenant_id)).get(year, 0),
            spent_micro=sum(records.spent_at(tx, tenant_id, *span).values()),
            over_micro=0,
            generation=0,
        ),
        Change(),
    )


def standings(tx: Transaction, *, year: int | None = None, tenant_ids: Collection[str] | None = None) -> list[Standing]:
    """All budgets (of a year, of some tenants; None: of all)."""
    return [one for one in records.of_year(tx, year) if tenant_ids is None or one.tenant_id in tenant_ids]


def of_path(tx: Transaction, *, tenant_id: str, year: int) -> list[Standing]:
    """The budgets that an order of a tenant draws on in a year, nearest first."""
    path = tenants.path_ids(tx, tenant_id)
    return sorted(records.of(tx, path, [year]), key=lambda one: path.index(one.tenant_id))


def years_with_budgets(tx: Transaction) -> list[int]:
    """The years in which anyone has a budget."""
    return sorted({one.year for one in records.of_year(tx, None)})


def forecast(tx: Transaction, standing: Standing) -> model.Forecast:
    """What the year is expected to cost at a level, with its error and the day on which the money runs out."""
    months = records.spent_at(tx, standing.tenant_id, f"{standing.year - 1}-01", f"{standing.year}-12")
    return rules.forecast(standing, months, tx.now())


def note_forecasts(tx: Transaction) -> list[Crossing]:
    """Look at the thresholds of forecasts in the present year; for the job, after it settled."""
    crossed: list[Crossing] = []
    for one in records.of_year(tx, rules.year_of(tx.now())):
        if any(each.basis is model.Basis.FORECAST for each in one.budget.thresholds):
            crossed += _noted(tx, [one], forecast(tx, one).at_year_end_micro)
    return crossed


# -- prove -------------------------------------------------------------------------------------------------------------------------


def check(tx: Transaction) -> list[quotas_model.Difference]:
    """Derive every number again, from holds, expenses and the tree alone, and return what differs: [] is what a sound database says.

    A difference names the year, or the holder with the number of its hold.
    """
    found = []
    for one in records.all_holds(tx):
        derived = rules.cost(one.monthly_micro, one.start_at, one.end_at)
        if derived != one.amount_micro:
            name = f"{one.holder}.{one.number}"
            found.append(_difference(one.tenant_id, name, "amount_micro", one.amount_micro, derived))
    for one in records.leaked(tx, clock.to_us(tx.now())):
        found.append(_difference(one.tenant_id, f"{one.holder}.{one.number}", "held_without_units", one.amount_micro, 0))
    for stored in records.of_year(tx, None):
        whole = _derived(tx, stored)
        for column in ("encumbered_micro", "spent_micro", "over_micro"):
            was, now = getattr(stored, column), getattr(whole, column)
            if was != now:
                found.append(_difference(stored.tenant_id, f"budget {stored.year}", column, was, now))
    return found


def repair(tx: Transaction) -> list[quotas_model.Difference]:
    """Write everything as `check` derives it; what was different."""
    found = check(tx)
    if not found:
        return found
    before = records.all_holds(tx)
    leaked = {(one.holder, one.number) for one in records.leaked(tx, clock.to_us(tx.now()))}
    sound = [
        dataclasses.replace(one, amount_micro=rules.cost(one.monthly_micro, one.start_at, one.end_at))
        for one in before
        if (one.holder, one.number) not in leaked
    ]
    records.rewrite(tx, before, sound)
    tx.kept.pop("budget_sums", None)
    for stored in records.of_year(tx, None):
        records.put(tx, _derived(tx, stored))
    return found


def _difference(tenant_id: str, name: str, column: str, stored: int, derived: int) -> quotas_model.Difference:
    return quotas_model.Difference(tenant_id=tenant_id, name=name, column=column, stored=stored, derived=derived)


def _derived(tx: Transaction, stored: Standing) -> Standing:
    """A budget with its sums added up again, over the tree of now and the expenses of every month."""
    if "budget_sums" not in tx.kept:
        parents = {tenant.id: tenant.parent_id for tenant in tenants.all_tenants(tx)}
        tx.kept["budget_sums"] = rules.rolled_up(records.held_by_tenant(tx), parents), records.spent_by_node(tx)
    held_by, spent_by = tx.kept["budget_sums"]
    key = (stored.tenant_id, stored.year)
    return rules.after(
        dataclasses.replace(stored, encumbered_micro=held_by.get(key, 0), spent_micro=spent_by.get(key, 0)), Change()
    )


# -- inside ------------------------------------------------------------------------------------------------------------------------


def _rewrite(tx: Transaction, before: Sequence[Hold], after: Sequence[Hold], *, asked: bool) -> list[Crossing]:
    if not before and not after:
        return []
    deltas = rules.changes(before, after, _paths(tx, sorted({one.tenant_id for one in [*before, *after]})))
    crossed = _drawn(tx, deltas, asked=asked)
    records.rewrite(tx, before, after)
    return crossed


def _drawn(tx: Transaction, deltas: rules.Deltas, *, asked: bool) -> list[Crossing]:
    """Change all levels, or raise budget.exceeded with none changed.

    Money that came free between the refusal and the look at its reasons (possible only outside of the lane) is tried for once more.
    """
    for _ in range(2):
        standings, agreed = records.draw(tx, deltas, forced=not asked)
        if agreed:
            return _noted(tx, standings)
        records.draw(tx, {(one.tenant_id, one.year): -deltas[one.tenant_id, one.year] for one in standings}, forced=True)
        found = _breaches(tx, deltas)
        if found:
            raise Exceeded(found[0].tenant, found, [])
    raise faults.CONTENDED(tenant=tenants.by_id(tx, next(iter(deltas))[0]).code)


def _breaches(tx: Transaction, deltas: rules.Deltas) -> list[model.Breach]:
    nodes = list(dict.fromkeys(node for node, _ in deltas))
    found = records.of(tx, nodes, [year for _, year in deltas])
    if not found:
        return []
    known = tenants.by_ids(tx, nodes)
    depth = {node: len(path) for node, path in _paths(tx, nodes).items()}
    ordered = sorted(nodes, key=lambda node: -depth[node])
    return rules.breaches([(node, known[node].code) for node in ordered], found, deltas)


def _noted(tx: Transaction, standings: Sequence[Standing], forecast_micro: int | None = None) -> list[Crossing]:
    """The thresholds that are crossed now and were not; remembered, so that each is told once until it is fallen below again."""
    crossed: list[Crossing] = []
    for one in standings:
        reached = rules.reached(one, forecast_micro)
        if reached != one.told:
            crossed += rules.crossings(one, reached, forecast_micro)
            records.tell(tx, one, reached)
    return crossed


def _paths(tx: Transaction, tenant_ids: Sequence[str]) -> dict[str, list[str]]:
    """Tenant -> itself and everyone above it, nearest first: one statement for one, one a level of the tree for several."""
    if len(tenant_ids) == 1:
        return {tenant_ids[0]: tenants.path_ids(tx, tenant_ids[0])}
    known: dict[str, str] = {}
    wanted = list(tenant_ids)
    while wanted:
        found = tenants.by_ids(tx, wanted)
        known |= {tenant_id: tenant.parent_id for tenant_id, tenant in found.items()}
        wanted = sorted({tenant.parent_id for tenant in found.values()} - known.keys() - {""})
    return {tenant_id: rules.path(tenant_id, known) for tenant_id in tenant_ids}
