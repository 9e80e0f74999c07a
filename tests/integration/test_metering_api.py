"""Use and money as people meet them: over HTTP, on both databases."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest

from apiclient import failure
from store import database as store_database
from store import transaction
from tests.integration import metering_world
from tests.integration.metering_world import Market, event
from tests.integration.tenants_server import refused

YEAR = "2026-01-01T00:00:00+08:00"


@pytest.fixture
def market(database: store_database.Database) -> Iterator[Market]:
    """The city, with prices since January."""
    with metering_world.market(database) as made:
        made.prices("2026", YEAR)
        yield made


def codes(market: Market, *events: dict[str, Any]) -> list[tuple[str, str]]:
    """(place, code) of the findings of a refused import."""
    with pytest.raises(failure.ProblemError) as caught:
        market.report(*events)
    assert (caught.value.status, caught.value.code) == (400, "usage.findings")
    return [(one["place"], one["code"]) for one in caught.value.findings]


def test_a_month_of_use_becomes_a_statement_that_an_outsider_can_recompute(market: Market) -> None:
    """4 vCPU, 8 GiB and 100 GiB, running from 10 to 20 October, then stopped to the end of the month."""
    market.report(event(1, "2026-10-10T00:00:00+08:00"), event(2, "2026-10-20T00:00:00+08:00", "stopped"))
    closed = market.close()
    assert (closed["statements"], closed["lines"], closed["excluded"]) == (4, 3, [])
    statement = market.statement()
    assert {key: value for key, value in statement.items() if key not in ("lines", "names")} == {
        "tenant": "tax",
        "path": "nanhai/tax",
        "month": "2026-10",
        "currency": "CNY",
        "state": "Open",
        "total": "212.54",
    }
    cpu, disk, ram = sorted(statement["lines"], key=lambda line: line["sku"].replace("vcpu", "cpu"))
    assert cpu == {
        "resource": "vm-1",
        "project": "window",
        "kind": "VirtualMachine",
        "sku": "vm-vcpu",
        "unit": "vCPU-Hours",
        "unit_seconds": 4000 * 240 * 3600,
        "unit_price": "0.09",
        "price_version": "2026",
        "start_at": "2026-10-09T16:00:00Z",
        "end_at": "2026-10-19T16:00:00Z",
        "amount": "86.40",
    }
    assert (disk["unit_seconds"], disk["end_at"], disk["amount"]) == (100 * (240 + 288) * 3600, "2026-10-31T16:00:00Z", "42.24")
    assert (ram["unit_seconds"], ram["amount"]) == (8192 * 240 * 3600, "83.90")  # 83.904


def test_an_outsider_recomputes_an_exported_statement_from_the_printed_prices_alone(market: Market) -> None:
    """With the standard library and what the documents say, and nothing of ours."""
    for number in range(1, 30):
        size = {"cpu_milli": 1000 * number + 7, "ram_mib": 1024 + number, "disk_gib": number}
        market.report(event(number, f"2026-10-{number:02}T01:02:03+08:00", subject=f"vm-{number % 11}", amounts=size))
    market.prices("2026-10-mid", "2026-10-16T12:00:00+08:00", disk="0.0123")
    market.close()
    statement = json.loads(market.finance.content("/v1/statement-exports", month="2026-10", tenant="tax", format="json"))
    books = {each["metadata"]["name"]: each["spec"]["prices"] for each in market.finance.pages("/v1/price-books")}
    groups: dict[tuple[str, str, str], list[Any]] = {}
    for line in statement["lines"]:
        groups.setdefault((line["project"], line["sku"], line["price_version"]), []).append(line)
    whole = Decimal(0)
    for (_, sku, version), rows in groups.items():
        (price,) = [one for one in books[version] if one["sku"] == sku]
        per = {"cpu_milli": 1000, "ram_mib": 1024}.get(price["name"], 1)
        exact = Decimal(sum(row["unit_seconds"] for row in rows)) * Decimal(price["price"]) / (3600 * per)
        amount = sum(Decimal(row["amount"]) for row in rows)
        assert amount == exact.quantize(Decimal("0.01"), ROUND_HALF_UP)
        whole += amount
    assert Decimal(statement["total"]) == whole and {version for _, _, version in groups} == {"2026", "2026-10-mid"}
    (row,) = market.finance.pages("/v1/statements", month="2026-10", tenant="audit-branch")
    assert row["digest"] == hashlib.sha256(b"").hexdigest()
    row = next(iter(market.finance.pages("/v1/statements", month="2026-10", tenant="tax")))
    plain = [json.dumps(line, ensure_ascii=False, sort_keys=True, separators=(",", ":")) + "\n" for line in statement["lines"]]
    assert row["digest"] == hashlib.sha256("".join(plain).encode()).hexdigest()


@pytest.mark.parametrize(
    "amounts",
    ["cpu_milli", "cpu_milli=", "cpu_milli=-1", "cpu_milli=1.5", "=4", "cpu_milli=1000000001", "cpu_milli=" + "9" * 400, ","],
)
def test_a_wrong_size_to_try_is_refused(market: Market, amounts: str) -> None:
    assert refused(market.head.get, "/v1/price-books/2026/try", amounts=amounts) == (400, "input.invalid")


def test_a_department_tries_prices_on_its_own_use_only(market: Market) -> None:
    market.report(
        event(1, "2026-10-31T00:00:00+08:00", subject="vm-t"),
        event(2, "2026-10-31T00:00:00+08:00", subject="vm-p", tenant="police"),
    )
    tried = market.head.get("/v1/price-books/2026/try", month="2026-10")
    assert [row["tenant"] for row in tried["tenants"]] == ["tax"]
    assert refused(market.head.get, "/v1/price-books/2026/try", month="2026-10", tenant="police")[0] == 404


def test_nobody_hears_of_a_missing_price_of_somebody_elses(market: Market) -> None:
    market.report(event(1, "2026-10-31T00:00:00+08:00", subject="secret-vm", tenant="police", amounts={"gpus": 1}))
    assert market.head.get("/v1/statements/tax/2026-10")["total"] == "0.00"
    assert len(list(market.head.pages("/v1/statements", month="2026-10"))) == 2
    assert refused(market.finance.get, "/v1/statements", month="2026-10") == (409, "price.missing")


def test_parents_show_their_own_and_all_below(market: Market) -> None:
    market.report(
        event(1, "2026-10-10T00:00:00+08:00", subject="vm-t"),
        event(2, "2026-10-10T00:00:00+08:00", subject="vm-b", tenant="audit-branch"),
        event(3, "2026-10-10T00:00:00+08:00", subject="vm-p", tenant="police"),
    )
    market.close()
    rows = {row["tenant"]: row for row in market.finance.pages("/v1/statements", month="2026-10")}
    assert list(rows) == ["nanhai", "police", "tax", "audit-branch"]
    own = {code: Decimal(row["total"]) for code, row in rows.items()}
    whole = {code: Decimal(row["with_children"]) for code, row in rows.items()}
    assert own["nanhai"] == 0 and own["tax"] == own["audit-branch"] == own["police"] > 0
    assert whole["nanhai"] == sum(own.values()) and whole["tax"] == own["tax"] + own["audit-branch"]
    assert [row["tenant"] for row in market.head.pages("/v1/statements", month="2026-10")] == ["tax", "audit-branch"]


def test_the_draft_of_a_month_grows_and_ends_at_now(market: Market) -> None:
    market.report(event(1, "2026-11-23T00:00:00+08:00"))
    draft = market.statement(month="2026-11")
    assert draft["state"] == "Open" and draft["lines"]
    assert all(line["end_at"] <= "2026-11-24T04:01" for line in draft["lines"])
    assert next(iter(market.finance.pages("/v1/statements", month="2026-11", tenant="tax")))["draft"] is True
    assert refused(market.statement, "tax", "2026-12") == (400, "input.invalid")
    assert refused(market.statement, "tax", "2026-13") == (400, "input.invalid")


def test_an_unfinished_month_cannot_be_closed(market: Market) -> None:
    assert refused(market.close, "2026-11") == (409, "statement.month_unfinished")
    assert refused(market.close, "2027-01") == (409, "statement.month_unfinished")
    assert refused(market.close, "next") == (400, "input.invalid")
    assert refused(market.issue) == (409, "statement.not_closed")


def test_the_wrong_hands_close_nothing_and_leave_a_line_in_the_trail(market: Market) -> None:
    assert refused(market.operator.post, "/v1/statement-closes", {"month": "2026-10"}) == (403, "role.forbidden")
    assert (
        refused(market.finance.post, "/v1/usage-imports", raw=metering_world.lines(event(1, YEAR)), media="application/x-ndjson")[0]
        == 403
    )
    actions = [(row["action"], row["outcome"]) for row in market.city.audit.pages("/v1/audit-lines")]
    assert ("statement.close", "refused") in actions and ("usage.import", "refused") in actions


def test_a_stranger_sees_neither_use_nor_money_of_others(market: Market) -> None:
    market.report(event(1, "2026-10-10T00:00:00+08:00", subject="secret-vm", tenant="police"))
    market.close()
    assert refused(market.head.get, "/v1/statements/police/2026-10") == refused(market.head.get, "/v1/statements/nowhere/2026-10")
    assert refused(market.head.get, "/v1/statements", month="2026-10", tenant="police")[0] == 404
    assert refused(market.head.get, "/v1/usage-intervals", resource="secret-vm") == (404, "usage.unknown")
    assert refused(market.head.get, "/v1/usage-intervals", resource="no-such") == (404, "usage.unknown")
    seen = [market.head.get("/v1/usage"), market.head.content("/v1/statement-exports", month="2026-10")]
    assert "secret-vm" not in str(seen)


def test_a_closed_month_may_be_closed_again_until_something_is_issued(market: Market) -> None:
    market.report(event(1, "2026-10-10T00:00:00+08:00"))
    market.close()
    first = market.statement()["total"]
    market.report(event(2, "2026-10-10T00:00:00+08:00", "stopped", sequence=1))
    assert market.statement()["total"] == first, "a close stands until the next"
    market.close()
    assert Decimal(market.statement()["total"]) < Decimal(first)
    assert market.issue(tenant="tax")["issued"] == 1
    assert refused(market.close) == (409, "statement.issued")
    assert market.issue()["issued"] == 3
    assert refused(market.issue) == (409, "statement.nothing_to_issue")


def test_a_department_is_told_of_its_statement(market: Market) -> None:
    market.report(event(1, "2026-10-10T00:00:00+08:00"))
    market.close()
    market.issue()
    (told,) = [row for row in market.head.pages("/v1/notices") if row["code"] == "statement.issued"]
    assert market.statement()["total"] in told["text"]


def test_a_late_event_is_kept_and_listed_and_the_statement_stays(market: Market) -> None:
    market.report(event(1, "2026-10-10T00:00:00+08:00"))
    market.close()
    market.issue()
    before = market.statement()
    assert before["state"] == "Issued"
    market.report(
        event(2, "2026-10-12T00:00:00+08:00", "deleted"),
        event(3, "2026-09-12T00:00:00+08:00", subject="vm-old"),
        event(4, "2026-11-12T00:00:00+08:00", subject="vm-new"),
    )
    assert market.statement() == before
    late = list(market.finance.pages("/v1/late-usage", month="2026-10"))
    assert {(row["resource"], row["id"]) for row in late} == {("vm-1", "e-2"), ("vm-old", "e-3")}, "vm-old ran on into October"
    assert {row["statement"] for row in late} == {
        row["id"] for row in market.finance.pages("/v1/statements", month="2026-10", tenant="tax")
    } - {row["id"] for row in market.finance.pages("/v1/statements", month="2026-10", tenant="audit-branch")}
    market.report(event(1, "2026-10-10T00:00:00+08:00"))
    assert len(list(market.finance.pages("/v1/late-usage", month="2026-10"))) == 2, "a repeated event is not late"
    assert refused(market.finance.get, "/v1/late-usage", month="2026-09") == (409, "statement.not_closed")


def test_an_import_finds_everything_that_is_wrong_and_changes_nothing(market: Market) -> None:
    market.report(event(1, "2026-10-10T00:00:00+08:00"))
    wrong = [
        event(2, "2026-10-11T00:00:00+08:00"),
        event(3, "2026-10-11T00:00:00+08:00", tenant="nowhere"),
        event(4, "2026-10-11T00:00:00+08:00", project="nothing"),
        event(5, "2026-12-11T00:00:00+08:00"),
        event(1, "2026-10-10T00:00:00+08:00", "stopped"),
        event(6, "2026-10-11T00:00:00+08:00"),
        event(6, "2026-10-11T00:00:01+08:00"),
        event(7, "2026-10-11T00:00:00+08:00") | {"surprise": 1},
        event(8, "2026-10-11T00:00:00+08:00", amounts={"cpu_milli": 10**30}),
    ]
    assert sorted(codes(market, *wrong)) == [
        ("line 2", "usage.tenant"),
        ("line 3", "usage.project"),
        ("line 4", "usage.future"),
        ("line 5", "usage.changed"),
        ("line 7", "usage.changed"),
        ("line 8", "input.invalid"),
        ("line 9", "input.invalid"),
    ]
    assert len(list(market.operator.pages("/v1/usage-intervals", resource="vm-1"))) == 1
    for content in (b"", b"\n\n", b"\xff\xfe\n", b"[" * 100_000, b'{"a":' * 50_000):
        assert refused(market.operator.post, "/v1/usage-imports", raw=content, media="application/x-ndjson") == (
            400,
            "usage.findings",
        )


def test_a_usage_only_resource_is_kept_and_shown(market: Market) -> None:
    market.report(event(1, "2026-10-10T00:00:00+08:00", subject="旧机房/服务器-7"))
    assert [row["resource"] for row in market.head.pages("/v1/usage")] == ["旧机房/服务器-7"]
    (interval,) = market.head.pages("/v1/usage-intervals", resource="旧机房/服务器-7", month="2026-10")
    assert (interval["start_at"], interval["end_at"], interval["lasts"]) == ("2026-10-09T16:00:00Z", "2026-10-31T16:00:00Z", False)


def test_lists_come_in_pages_without_gaps(market: Market) -> None:
    market.report(*(event(n, "2026-10-10T00:00:00+08:00", subject=f"vm-{n:03}") for n in range(25)))
    assert [row["resource"] for row in market.head.pages("/v1/usage", limit=10)] == [f"vm-{n:03}" for n in range(25)]


def test_lines_split_over_imports_in_any_order_give_the_same_statement(market: Market) -> None:
    events = [
        event(n, f"2026-10-{n:02}T00:00:00+08:00", ("running", "stopped", "deleted")[n % 3], subject=f"vm-{n % 2}")
        for n in range(1, 29)
    ]
    market.report(*events[20:][::-1])
    market.report(*events[:10], *events[20:])
    market.report(*events[10:20])
    assert market.report(*events)["events"] == 28
    market.close()
    split = market.statement()
    assert split["total"] == f"{sum(Decimal(line['amount']) for line in split['lines']):.2f}"
    by_resource: dict[str, int] = {}
    for number in (0, 1):  # told another way: day by day, a state holds until the next event of the same resource two days later
        days = [2 for n in range(1, 29) if n % 2 == number and n % 3 == 0 and n <= 27]
        last = max(n for n in range(1, 29) if n % 2 == number)
        seconds = sum(days) * 86400 + ((32 - last - 2) * 86400 if last % 3 == 0 else 0)
        by_resource[f"vm-{number}"] = 4000 * seconds
    assert {line["resource"]: line["unit_seconds"] for line in split["lines"] if line["sku"] == "vm-vcpu"} == by_resource


def test_the_export_holds_every_line_and_adds_up(market: Market) -> None:
    market.report(event(1, "2026-10-10T00:00:00+08:00"), event(2, "2026-10-12T00:00:00+08:00", subject="vm-2", tenant="police"))
    market.close()
    rows = list(csv.DictReader(io.StringIO(market.finance.content("/v1/statement-exports", month="2026-10").decode())))
    assert {row["tenant"] for row in rows} == {"tax", "police"} and len(rows) == 6
    assert sum(Decimal(row["amount"]) for row in rows) == sum(
        Decimal(market.statement(code)["total"]) for code in ("tax", "police")
    )
    assert market.finance.get("/v1/statement-exports", month="2026-10", tenant="tax", format="json") == market.statement()


def test_a_repeated_request_gets_the_first_answer(market: Market) -> None:
    one = market.report(event(1, "2026-10-10T00:00:00+08:00"), key="import-1")
    assert market.report(event(1, "2026-10-10T00:00:00+08:00"), key="import-1") == one
    assert refused(market.report, event(2, "2026-10-10T00:00:00+08:00"), key="import-1")[0] == 409
    closed = market.close(key="close-1")
    assert market.close(key="close-1") == closed


def test_a_rehearsed_import_or_close_changes_nothing(market: Market) -> None:
    market.operator.dry_run = market.finance.dry_run = True
    assert market.report(event(1, "2026-10-10T00:00:00+08:00"))["events"] == 1
    assert market.close()["statements"] == 4
    market.operator.dry_run = market.finance.dry_run = False
    assert list(market.operator.pages("/v1/usage")) == []
    assert refused(market.issue) == (409, "statement.not_closed")


def test_the_trail_holds_one_line_for_an_import_with_the_hash_of_the_file(market: Market) -> None:
    events = [event(1, "2026-10-10T00:00:00+08:00"), event(2, "2026-10-11T00:00:00+08:00", "stopped")]
    market.report(*events)
    (row,) = [row for row in market.city.audit.pages("/v1/audit-lines") if row["action"] == "usage.import"]
    assert row["facts"]["sha256"] == hashlib.sha256(metering_world.lines(*events)).hexdigest()


def test_use_without_a_price_stops_the_close_and_is_named(market: Market) -> None:
    market.report(event(1, "2026-10-10T00:00:00+08:00", amounts={"cpu_milli": 1000, "gpus": 1}))
    with pytest.raises(failure.ProblemError) as caught:
        market.close()
    assert (caught.value.status, caught.value.code) == (409, "price.missing")
    assert "gpus" in caught.value.findings[0]["detail"] and caught.value.findings[0]["place"] == "vm-1"
    assert refused(market.issue) == (409, "statement.not_closed")


def test_a_price_book_in_force_cannot_be_edited_but_replaced(market: Market) -> None:
    assert refused(market.prices, "2026", YEAR, disk="0.5") == (409, "price.started")
    assert market.prices("2026", YEAR)["counts"] == {"created": 0, "changed": 0, "unchanged": 1}
    assert market.prices("2027", "2027-01-01T00:00:00+08:00")["counts"]["created"] == 1
    assert market.prices("2027", "2027-02-01T00:00:00+08:00", disk="0.5")["counts"]["changed"] == 1
    market.report(event(1, "2026-10-10T00:00:00+08:00", amounts={"disk_gib": 100}))
    market.prices("2026-b", YEAR, disk="1")
    market.close()
    assert {line["price_version"] for line in market.statement()["lines"]} == {"2026-b"}


def test_a_price_book_may_reach_back_only_to_the_last_issued_month(market: Market) -> None:
    market.close()
    market.prices("tried", "2026-10-15T00:00:00+08:00")
    market.issue(tenant="police")
    assert refused(market.prices, "too-late", "2026-10-15T00:00:00+08:00") == (409, "price.issued")
    assert market.prices("november", "2026-11-01T00:00:00+08:00")["counts"]["created"] == 1


@pytest.mark.parametrize("change", ["UPDATE statements SET total_micro = 0", "DELETE FROM statements", "UPDATE statement_lines SET amount_micro = 0",
                                    "DELETE FROM statement_lines", "DELETE FROM usage_events", "UPDATE usage_events SET state = 'stopped'",
                                    "UPDATE price_books SET spec = '{}'", "DELETE FROM price_books", "DELETE FROM statement_closes",
                                    "UPDATE statement_closes SET digest = ''", "UPDATE usage_imports SET completed_at = NULL"])  # fmt: skip
def test_the_database_itself_refuses_to_change_what_was_issued(market: Market, change: str) -> None:
    market.report(event(1, "2026-10-10T00:00:00+08:00"))
    market.close()
    market.issue()
    before = market.statement()
    with pytest.raises(Exception, match="forbid"):
        market.city.database.lane.run(lambda tx: tx.execute(transaction.sql(change)))
    assert market.statement() == before
