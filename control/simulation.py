"""`quota simulate`: a file of requests, played against a copy of today's state; who would be refused where, with numbers.

It is a read: one snapshot is copied into memory and nothing is written, in the lane or elsewhere.  Each request is decided by the rules that
decide an order: all that it raises in one draw, then room, price and money of each resource, then what it gives back.
"""

import collections
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from control import access, plan, simulation_file
from metering import service as metering
from pools import choice
from pools import model as pools_model
from pools import rules as pools_rules
from pools import service as pools
from primitives import clock, errors
from quotas import faults as quotas_faults
from quotas import model, names, purse, rules, simulation
from quotas import service as quotas
from quotas.budgets import faults as budgets_faults
from quotas.budgets import model as budgets_model
from quotas.budgets import rules as budgets_rules
from store.transaction import Transaction
from tenants import model as tenants_model

FINDINGS: Final = errors.Fault(
    "quota.simulation_findings",
    errors.Kind.INVALID,
    en="{count} findings in the file of requests",
    zh="申请文件发现 {count} 处问题",
    mend_en="correct the lines and repeat; docs/reference/requests-csv.md",
    mend_zh="请按行修正后重试，见 docs/reference/requests-csv.md",
)
VERDICTS_MAX: Final = 10_000
"""Requests that an answer lists; the sums are of all."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Rows that are admitted together or not at all."""

    tenant: tenants_model.Tenant
    order: str
    rows: Sequence[simulation_file.Row]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a request would be refused: units, money, or another reason in both languages."""

    code: str
    en: str = ""
    zh: str = ""
    units: Sequence[model.Breach] = ()
    funds: Sequence[budgets_model.Breach] = ()


def simulate(tx: Transaction, who: tenants_model.Principal, content: bytes, *, everything: bool, lang: str) -> dict[str, Any]:
    """Play a file; sums, where requests fail, and each refused request (with `everything` the admitted ones too).

    Raises quota.simulation_findings with every line that is wrong.
    """
    findings = simulation_file.Findings()
    rows = simulation_file.read(content, findings)
    owners = _owners(tx, who, rows, findings)
    if findings.count:
        raise FINDINGS(count=findings.count, findings=tuple(findings.listed))
    scope = access.scope(tx, who, verb="list", kind="grant")
    ground = Ground(tx, sorted(owner.id for owner in owners.values()), rooms=any(row.kind for row in rows))
    funds = access.scope(tx, who, verb="list", kind="budget")
    seen = tuple(None if each.everything else each.tenant_ids for each in (scope, funds))
    report = _Report(seen[0], seen[1], lang, everything)
    for request in _requests(rows, owners):
        report.add(request, ground.play(request))
    return report.document(clock.text(tx.now()), len(rows))


class Ground:
    """The copy that requests are played against."""

    def __init__(self, tx: Transaction, tenant_ids: Sequence[str], *, rooms: bool) -> None:
        self.tx = tx
        self.ledger: simulation.Ledger = quotas.in_memory(tx, tenant_ids)
        self.purse: purse.Purse = purse.load(tx, self.ledger.paths)
        self.rooms = pools.in_memory(tx) if rooms else choice.Rooms((), ())
        self.prices: dict[tuple[Any, ...], int] = {}

    def play(self, request: Request) -> Refusal | None:
        """Admit a request, or say why not and leave everything as it was."""
        tenant_id = request.tenant.id
        more: collections.Counter[str] = collections.Counter()
        less: collections.Counter[str] = collections.Counter()
        for row in request.rows:
            total = rules.counted({name: abs(amount) for name, amount in row.amounts.items()})
            (more if min(row.amounts.values()) > 0 else less).update({name: amount * row.count for name, amount in total.items()})
        growing, shrinking = dict(sorted(more.items())), dict(sorted(less.items()))
        units = self.ledger.draw(tenant_id, growing)
        if units:
            return Refusal(code=quotas_faults.EXCEEDED.code, units=units)
        taken = _Taken()
        refusal = self._take(request, taken) or self._pay(tenant_id, taken) or self._give_back(request.tenant, shrinking)
        if refusal is not None:
            self.ledger.undo(tenant_id, growing)
            for place, room in taken.places:
                self.rooms.give_back(place, room)
            if taken.paid:
                self.purse.undo(tenant_id, taken.micro)
        return refusal

    def _take(self, request: Request, taken: "_Taken") -> Refusal | None:
        """Room and price of each resource."""
        try:
            for row in request.rows:
                if row.monthly_micro is not None:
                    taken.micro += row.count * self.purse.encumbered(row.monthly_micro)
                for _ in range(row.count if row.kind else 0):
                    place = self._place(request.tenant, row, taken)
                    if row.monthly_micro is None:
                        taken.micro += self.purse.encumbered(self._monthly_micro(request.tenant, row, place))
        except errors.GovpoolError as error:
            return Refusal(code=error.code, en=error.text("en"), zh=error.text("zh"))
        return None

    def _place(self, tenant: tenants_model.Tenant, row: simulation_file.Row, taken: "_Taken") -> pools_model.Place:
        wish = pools_rules.Wish(
            kind=row.kind,
            zone=row.zone,
            service_class=row.service_class,
            protection_level=tenant.protection_level,
            amounts=pools_rules.placed(plan.physical(row.amounts)),
            pool=row.pool,
        )
        place = self.rooms.take(wish)
        taken.places.append((place, wish.amounts))
        return place

    def _monthly_micro(self, tenant: tenants_model.Tenant, row: simulation_file.Row, place: pools_model.Place) -> int:
        """The price of one resource under the book in force.  Raises price.missing."""
        dimensions = {"pool": place.code, "zone": place.zone, "class": place.service_class}
        key = (tenant.id, row.kind, *sorted(row.amounts.items()), *dimensions.values())
        if key not in self.prices:
            price = metering.monthly_price(
                self.tx, tenant_id=tenant.id, kind=row.kind, amounts=row.amounts, dimensions=dimensions, at=self.tx.now()
            )
            self.prices[key] = price.monthly_micro
        return self.prices[key]

    def _pay(self, tenant_id: str, taken: "_Taken") -> Refusal | None:
        funds = self.purse.draw(tenant_id, taken.micro)
        taken.paid = not funds
        return Refusal(code=budgets_faults.EXCEEDED.code, funds=funds) if funds else None

    def _give_back(self, tenant: tenants_model.Tenant, amounts: Mapping[str, int]) -> Refusal | None:
        short = self.ledger.give_back(tenant.id, amounts)
        if not short:
            return None
        en = "; ".join(f"{tenant.code} holds {names.shown(name, held)} of {name} itself" for name, held in short.items())
        zh = "；".join(f"{tenant.code} 自身仅占用 {name} {names.shown(name, held)}" for name, held in short.items())
        return Refusal(code=quotas_faults.NOT_HELD.code, en=en, zh=zh)


@dataclasses.dataclass(slots=True)
class _Taken:
    """What a request took so far beside its units."""

    places: list[tuple[pools_model.Place, Mapping[str, int]]] = dataclasses.field(default_factory=list)
    micro: int = 0
    paid: bool = False


class _Report:
    """What is said of the requests, as far as the caller may see it."""

    def __init__(self, units: Sequence[str] | None, funds: Sequence[str] | None, lang: str, everything: bool) -> None:
        self._units, self._funds, self._lang, self._everything = units, funds, lang, everything
        self._requests = self._refused = 0
        self._where: dict[tuple[str, str], dict[str, Any]] = {}
        self._codes: collections.Counter[str] = collections.Counter()
        self._verdicts: list[dict[str, Any]] = []

    def add(self, request: Request, refusal: Refusal | None) -> None:
        """One request and what became of it."""
        self._requests += 1
        self._refused += refusal is not None
        breaches: list[dict[str, object]] = []
        why = ""
        if refusal is not None:
            self._codes[refusal.code] += 1
            self._count(refusal.units)
            breaches, why = self._told(refusal)
        if (refusal is None and not self._everything) or len(self._verdicts) >= VERDICTS_MAX:
            return
        self._verdicts.append(
            {
                "lines": [row.line for row in request.rows],
                "order": request.order,
                "tenant": request.tenant.code,
                "verdict": "admitted" if refusal is None else "refused",
                "code": "" if refusal is None else refusal.code,
                "breaches": breaches,
                "why": why,
            }
        )

    def _count(self, breaches: Sequence[model.Breach]) -> None:
        for breach in breaches:
            here = self._where.setdefault(
                (breach.tenant, breach.name), {"tenant": breach.tenant, "name": breach.name, "refused": 0, "short_by_most": 0}
            )
            here["refused"] += 1
            here["short_by_most"] = max(here["short_by_most"], breach.short_by)

    def _told(self, refusal: Refusal) -> tuple[list[dict[str, object]], str]:
        if refusal.funds:
            shown = budgets_rules.visible(refusal.funds, self._funds)
            return shown, budgets_rules.told(shown)[self._lang]
        if refusal.units:
            units = rules.visible(refusal.units, self._units)
            return units, rules.told(units)[self._lang]
        return [], refusal.zh if self._lang == "zh" else refusal.en

    def document(self, at: str, rows: int) -> dict[str, Any]:
        """The whole report."""
        return {
            "at": at,
            "rows": rows,
            "requests": self._requests,
            "admitted": self._requests - self._refused,
            "refused": self._refused,
            "codes": dict(sorted(self._codes.items())),
            "where": sorted(self._where.values(), key=lambda here: (-here["refused"], here["tenant"], here["name"])),
            "verdicts": self._verdicts,
        }


def _requests(rows: Sequence[simulation_file.Row], owners: Mapping[str, tenants_model.Tenant]) -> list[Request]:
    """Rows of one order together, at the place of its first row."""
    together: dict[tuple[str, int], list[simulation_file.Row]] = {}
    for row in rows:
        together.setdefault((row.order, 0 if row.order else row.line), []).append(row)
    return [Request(tenant=owners[several[0].tenant], order=several[0].order, rows=several) for several in together.values()]


def _owners(
    tx: Transaction, who: tenants_model.Principal, rows: Sequence[simulation_file.Row], findings: simulation_file.Findings
) -> dict[str, tenants_model.Tenant]:
    """The tenants of the file by code; one that the caller may not simulate is as unknown as one that does not exist."""
    found: dict[str, tenants_model.Tenant] = {}
    unknown: set[str] = set()
    for row in rows:
        if row.tenant not in found and row.tenant not in unknown:
            try:
                found[row.tenant] = access.tenant(tx, who, row.tenant, "simulate", "grant")[0]
            except errors.GovpoolError:
                unknown.add(row.tenant)
        if row.tenant in unknown:
            findings.add(row.line, "requests.tenant", f"there is no tenant {row.tenant!r} for which you may ask")
    return found
