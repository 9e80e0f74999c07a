"""What a department head reads at the end: every number comes from a `govpool` call, which is printed beside it."""

import collections
import json
from collections.abc import Iterable, Sequence
from typing import Any

import stage

SHOWN_STATEMENTS = ("service-center", "tax", "yunxi-service")
HALLS = ("hall-a", "hall-b")


def show(on: stage.Stage, month: str) -> None:
    """Print the summary and keep it as demo/out/summary.txt and summary.json."""
    calls = Calls(on)
    facts = {
        "holdings": _holdings(calls),
        "money": {"budgets": calls.of("finance", "budget list -o json"), "leases": calls.of("operator", "lease list -o json")},
        "years": [calls.of("finance", f"budget show {tenant} --year {month[:4]} -o json") for tenant in SHOWN_STATEMENTS],
        "statements": [_statement(calls, tenant, month) for tenant in SHOWN_STATEMENTS],
        "halls": [_hall(calls, hall, month) for hall in HALLS],
        "power": calls.of("operator", "facility power -o json"),
        "trail": calls.of("audit_admin", "audit verify -o json"),
    }
    told = (
        _told_holdings(facts),
        _told_money(facts),
        _told_statements(facts, month),
        _told_halls(facts, month),
        _told_trail(facts),
    )
    text = "\n".join(line for part in told for line in part)
    (on.out / "summary.txt").write_text(text + "\n", encoding="utf-8")
    (on.out / "summary.json").write_text(json.dumps(facts, ensure_ascii=False, indent=1), encoding="utf-8")
    print(text)


class Calls:
    """The calls of the summary, each printed beside its numbers."""

    def __init__(self, on: stage.Stage) -> None:
        self.on = on

    def of(self, who: str, line: str) -> dict[str, Any]:
        """One call: its line and what it answered."""
        return {"call": f"govpool {line}", "answer": self.on.type(who, line).json()}


def next_steps(on: stage.Stage) -> str:
    """What to try while the server runs on."""
    return f"""
The server runs on at {on.server} (documents of the API: {on.server}/docs).  Take a part:

  export HOME={on.home("tax.app")}        # the approver of the tax bureau
  {stage.GOVPOOL} order list --state waiting_for_approval
  {stage.GOVPOOL} order approve NUMBER --reason 同意
  export HOME={on.home("operator")}       # cloud operations
  {stage.GOVPOOL} quota list --tenant tax
  {stage.GOVPOOL} resource list --stuck
  {stage.GOVPOOL} facility power

Stop everything: kill {" ".join(str(pid) for pid in on.pids())}
"""


def _holdings(calls: Calls) -> dict[str, Any]:
    return {
        "resources": calls.of("operator", "resource list -o json"),
        "quota": calls.of("operator", "quota list -o json"),
        "tenants": calls.of("operator", "tenant list -o json"),
    }


def _statement(calls: Calls, tenant: str, month: str) -> dict[str, Any]:
    return calls.of("finance", f"statement show {tenant} --month {month} -o json")


def _hall(calls: Calls, hall: str, month: str) -> dict[str, Any]:
    year, number = int(month[:4]), int(month[5:])
    following = f"{year + number // 12}-{number % 12 + 1:02}"
    return calls.of("leader", f"pue show --hall {hall} --from {month}-01 --to {following}-01 -o json")


def _told_holdings(facts: dict[str, Any]) -> Iterable[str]:
    held, quota = facts["holdings"]["resources"], facts["holdings"]["quota"]
    names = {row["metadata"]["name"]: row["spec"]["name"] for row in facts["holdings"]["tenants"]["answer"]}
    kinds: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for row in held["answer"]:
        kinds[row["metadata"]["tenant"]][row["kind"]] += 1
    vcpu = {row["tenant"]: row for row in quota["answer"] if row["name"] == "cpu_milli"}
    rows = [("部门", "虚拟机", "容器", "云盘", "vCPU 已用", "配额", "剩余")]
    for tenant, counts in sorted(kinds.items()):
        used, granted = vcpu[tenant]["used"], vcpu[tenant]["granted"]
        figures = (
            counts["VirtualMachine"],
            counts["ContainerApp"],
            counts["Volume"],
            *(_vcpu(n) for n in (used, granted, granted - used)),
        )
        rows.append((names[tenant], *(str(figure) for figure in figures)))
    yield "\n谁持有什么，配额还剩多少  Who holds what, quota left"
    yield from _table(rows)
    yield from (f"  <- {told['call']}" for told in facts["holdings"].values())


def _told_money(facts: dict[str, Any]) -> Iterable[str]:
    names = {row["metadata"]["name"]: row["spec"]["name"] for row in facts["holdings"]["tenants"]["answer"]}
    rows = [("单位", "年度", "预算", "占用", "已支出", "剩余")]
    for row in facts["money"]["budgets"]["answer"]:
        rows.append(
            (names[row["tenant"]], str(row["year"]), *(row[name] for name in ("appropriated", "encumbered", "spent", "left")))
        )
    yield "\n今年的预算，占用与支出（元）  Money of the year: appropriated, encumbered, spent, left"
    yield from _table(rows)
    yield from (f"  <- {told['call']}" for told in facts["money"].values())
    for told in facts["years"]:
        about, status = told["answer"]["metadata"], told["answer"]["status"]
        runs_out = status["runs_out_on"] or "年内不会 not this year"
        yield f"  {names[about['tenant']]} {about['name']}: 全年预测 forecast {status['forecast']}, 用尽 runs out {runs_out}"
        yield f"  <- {told['call']}"
    for row in facts["money"]["leases"]["answer"]:
        yield f"  {names[row['metadata']['tenant']]} {row['metadata']['name']}: 到期 ends {row['spec']['end_at']}"


def _told_statements(facts: dict[str, Any], month: str) -> Iterable[str]:
    yield f"\n{month} 结算单  Statements"
    for told in facts["statements"]:
        statement = told["answer"]
        by_sku: dict[str, list[Any]] = collections.defaultdict(list)
        for line in statement["lines"]:
            by_sku[line["sku"]].append(line)
        yield f"  {statement['path']}: {statement['total']} {statement['currency']} ({statement['state']}, {len(statement['lines'])} lines)"
        for sku, lines in sorted(by_sku.items()):
            cents = sum(int(line["amount"].replace(".", "")) for line in lines)
            yield f"    {sku:<20} {len({line['resource'] for line in lines}):>3} resources  {cents // 100}.{cents % 100:02}"
        yield f"  <- {told['call']}"


def _told_halls(facts: dict[str, Any], month: str) -> Iterable[str]:
    yield f"\n{month} 机房能效  PUE of the halls"
    for told in facts["halls"]:
        pue = told["answer"]
        name = ("i" if pue["interim"] else "") + pue["name"]
        sums = f"{pue['facility_wh']} Wh / {pue['it_wh']} Wh over {pue['intervals']} intervals"
        yield f"  {pue['hall']}: {name} {pue['value']} (category {pue['category']}; {sums})"
        yield f"    completeness: energy {pue['completeness']['energy']}, profile {pue['completeness']['profile']}; quality {pue['quality']}"
        yield f"    reportable: {'yes' if pue['reportable'] else 'not yet'}"
        yield from (f"      - {_reason(reason)}" for reason in pue["reasons"])
        yield f"  <- {told['call']}"
    yield f"  live power of {len(facts['power']['answer'])} meters  <- {facts['power']['call']}"


def _told_trail(facts: dict[str, Any]) -> Iterable[str]:
    told = facts["trail"]
    yield f"\n审计记录  Audit trail: {told['answer']['records']} lines, {'sound' if not told['answer']['flaw'] else told['answer']['flaw']}"
    yield f"  <- {told['call']}"


def _reason(reason: Any) -> str:
    return str(reason) if isinstance(reason, str) else f"{reason['code']}: {reason.get('zh', '')} {reason.get('en', '')}"


def _vcpu(cpu_milli: int) -> str:
    return f"{cpu_milli // 1000}" if cpu_milli % 1000 == 0 else f"{cpu_milli / 1000:g}"


def _table(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(_width(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell + " " * (widths[at] - _width(cell)) if at == 0 else " " * (widths[at] - _width(cell)) + cell
            for at, cell in enumerate(row)
        ]
        yield "  " + "  ".join(cells)


def _width(text: str) -> int:
    return sum(2 if ord(letter) > 0x2E7F else 1 for letter in text)
