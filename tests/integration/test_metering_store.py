"""Metering in the database, on both kinds: what counts when, which place and price hold, what a close may and may not see."""

import dataclasses
import datetime
import functools
import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering import books, importing, model, statements
from metering import service as metering
from primitives import clock, interval
from store import database as store_database
from store import transaction
from tenants import model as tenants_model
from tenants import service as tenants
from tenants import tree
from tests.integration import metering_world
from tests.integration.tenants_world import QUICK, city_and_bureau, code_of, experiment
from tests.unit.metering.worlds import DELETED, STOPPED, at, event

OCTOBER = interval.month("2026-10")
PLACES = {"tax": frozenset({"window"})}


def spec(valid_from: str = "2026-01-01T00:00:00+08:00", price: str = "1", name: str = "disk_gib") -> books.BookSpec:
    """A book with one price."""
    unit = {"disk_gib": "GiB-Hours", "cpu_milli": "vCPU-Hours"}[name]
    one = books.PriceSpec(sku=f"vm-{name}", kind="VirtualMachine", name=name, unit=unit, price=price, states=["running", "stopped"])
    return books.BookSpec(valid_from=valid_from, currency="CNY", prices=[one])


def used(time: datetime.datetime, state: model.State = model.State.RUNNING, **other: object) -> model.UsageEvent:
    """An event of one GiB of the tax office."""
    return event(time, state, {"disk_gib": 1}, tenant="tax", project="window", **other)


@pytest.fixture
def database_in_november(database: store_database.Database) -> Iterator[store_database.Database]:
    """南海区 and 税务局 since 1 September, one yuan for each GiB and hour since January; it is 24 November."""
    september = at("09-01 00:00:00")
    clock.shift(september - clock.now() + clock.offset())
    database.lane.run(city_and_bureau)
    with metering_world.november():
        database.lane.run(lambda tx: metering.set_price_book(tx, "2026", spec()))
        yield database


def bureau(tx: transaction.Transaction) -> tenants_model.Tenant:
    return tenants.by_code(tx, "tax")


def close(
    tx: transaction.Transaction, month: str = "2026-10", key: str = "k", excluded: frozenset[str] = frozenset()
) -> model.Close:
    """Close a month in one transaction."""
    begun = statements.begin(tx, month, account_id="a", key=key, person_id="p", excluded=excluded)
    computed = statements.compute(tx, begun)
    planned = statements.plan(tx, begun, computed)
    assert planned is not None
    done = 0
    while done < len(computed.lines):
        done = statements.append(tx, planned, computed, done)
    statements.complete(tx, planned, computed)
    return planned


def total(tx: transaction.Transaction, month: str = "2026-10") -> int:
    """Yuan on the statement of the tax office."""
    return statements.show(tx, bureau(tx), month).statement.total_micro // 10**6


def test_a_known_event_is_ignored_and_one_with_other_content_refused(database_in_november: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        one = used(at("10-01 00:00:00"))
        metering.append(tx, [one, one])
        metering.append(tx, [one])
        assert code_of(metering.append, tx, [dataclasses.replace(one, state=STOPPED)]) == "usage.changed"
        assert (
            code_of(metering.append, tx, [dataclasses.replace(one, id="x"), dataclasses.replace(one, id="x", sequence=9)])
            == "usage.changed"
        )
        assert total(tx) == 31 * 24

    experiment(database_in_november, run)


def test_any_order_and_split_of_events_gives_the_same_statement(database_in_november: store_database.Database) -> None:
    @QUICK
    @given(
        st.lists(st.tuples(st.integers(0, 40 * 24), st.sampled_from(tuple(model.State))), max_size=10),
        st.randoms(use_true_random=False),
    )
    def holds(changes: list[tuple[int, model.State]], chance: random.Random) -> None:
        start = at("09-25 00:00:00")
        events = [
            used(start + datetime.timedelta(hours=hour), state, id=f"e{number}", subject=f"vm-{number % 3}", sequence=number)
            for number, (hour, state) in enumerate(changes)
        ]
        totals = []
        for _ in range(2):
            chance.shuffle(events)
            cut = chance.randint(0, len(events))

            def run(tx: transaction.Transaction, early: list[model.UsageEvent], late: list[model.UsageEvent]) -> None:
                metering.append(tx, early)
                metering.append(tx, late + early)
                totals.append(total(tx))

            experiment(database_in_november, functools.partial(run, early=events[:cut], late=events[cut:]))
        hours = 0
        for subject in {one.subject for one in events}:  # told another way: hour by hour
            mine = [one for one in events if one.subject == subject]
            for hour in range(31 * 24):
                moment = OCTOBER.start_at + datetime.timedelta(hours=hour)
                before = [one for one in mine if one.at <= moment]
                last = max(before, key=lambda one: (one.at, one.sequence, one.id), default=None)
                hours += last is not None and last.state is not DELETED
        assert totals == [hours, hours]

    holds()


def test_a_statement_keeps_the_path_and_name_of_its_month(database_in_november: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        city = tenants.root(tx)
        finance = tree.create(tx, tree.NewTenant(code="finance", name="财政局", parent=city))
        tree.rename(tx, bureau(tx), "税务和社保局", valid_from=at("11-01 00:00:00"))
        tree.move(tx, bureau(tx), finance)
        close(tx)
        shown = statements.show(tx, bureau(tx), "2026-10").statement
        assert (shown.name, shown.path) == ("税务局", ("nanhai", "tax"))
        assert statements.draft(tx, bureau(tx), "2026-11").statement.path == ("nanhai", "finance", "tax")

    experiment(database_in_november, run)


def test_a_tenant_founded_after_the_month_still_gets_what_was_used_in_its_name(
    database_in_november: store_database.Database,
) -> None:
    def run(tx: transaction.Transaction) -> None:
        tree.create(tx, tree.NewTenant(code="young", name="新设局", parent=tenants.root(tx)))
        metering.append(tx, [dataclasses.replace(used(at("10-01 00:00:00")), tenant="young")])
        close(tx)
        assert statements.show(tx, tenants.by_code(tx, "young"), "2026-10").statement.total_micro == 744 * 10**6

    experiment(database_in_november, run)


def test_what_is_in_dispute_is_on_no_statement(database_in_november: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        metering.append(tx, [used(at("10-31 00:00:00"), subject=subject, id=subject) for subject in ("vm-1", "vm-2")])
        assert statements.draft(tx, bureau(tx), "2026-10", excluded=frozenset({"vm-1"})).statement.total_micro == 24 * 10**6
        close(tx, excluded=frozenset({"vm-1"}))
        assert {line.resource for line in statements.show(tx, bureau(tx), "2026-10").lines} == {"vm-2"}

    experiment(database_in_november, run)


def test_the_draft_of_a_finished_month_is_what_its_close_makes_of_it(database_in_november: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        metering.append(
            tx, [used(at("08-01 00:00:00")), used(at("10-09 12:34:56"), DELETED), used(at("10-20 00:00:00"), subject="vm-2")]
        )
        draft = statements.show(tx, bureau(tx), "2026-10")
        close(tx)
        closed = statements.show(tx, bureau(tx), "2026-10")
        assert (closed.lines, closed.statement.total_micro) == (draft.lines, draft.statement.total_micro)
        assert closed.statement.digest == draft.statement.digest

    experiment(database_in_november, run)


def test_a_close_sees_nothing_that_became_known_after_its_cut(database_in_november: store_database.Database) -> None:
    database = database_in_november
    database.lane.run(lambda tx: metering.append(tx, [used(at("10-31 00:00:00"))]))
    begun = database.lane.run(lambda tx: statements.begin(tx, "2026-10", account_id="a", key="k", person_id="p"))
    database.lane.run(
        lambda tx: metering.append(tx, [used(at("10-31 12:00:00"), DELETED), used(at("09-30 00:00:00"), subject="vm-2")])
    )
    database.lane.run(lambda tx: metering.set_price_book(tx, "dearer", spec(price="9")))
    computed = database.read(lambda tx: statements.compute(tx, begun))
    assert [(line.unit_seconds, line.price_version) for line in computed.lines] == [(24 * 3600, "2026")]


def test_readers_see_the_old_close_until_the_new_one_is_complete(database_in_november: store_database.Database) -> None:
    """CloudKitty's reprocessing deletes first, and its readers see a dip."""
    database = database_in_november
    database.lane.run(lambda tx: metering.append(tx, [used(at("10-31 00:00:00"))]))
    database.lane.run(close)
    database.lane.run(lambda tx: metering.append(tx, [used(at("10-31 12:00:00"), DELETED)]))
    begun = database.lane.run(lambda tx: statements.begin(tx, "2026-10", account_id="a", key="k2", person_id="p"))
    computed = database.read(lambda tx: statements.compute(tx, begun))
    assert database.read(total) == 24
    planned = database.lane.run(lambda tx: statements.plan(tx, begun, computed)) or begun
    database.lane.run(lambda tx: statements.append(tx, planned, computed, 0))
    assert database.read(total) == 24
    database.lane.run(lambda tx: statements.complete(tx, planned, computed))
    assert database.read(total) == 12


def test_a_close_begun_with_other_lines_is_given_up(database_in_november: store_database.Database) -> None:
    """The one thing that can differ under one cut is what was in dispute, and it is kept with the close; a foreign digest shows the guard."""

    def run(tx: transaction.Transaction) -> None:
        metering.append(tx, [used(at("10-31 00:00:00"))])
        begun = statements.begin(tx, "2026-10", account_id="a", key="k", person_id="p")
        computed = statements.compute(tx, begun)
        planned = statements.plan(tx, begun, computed)
        assert planned is not None
        statements.append(tx, planned, computed, 0)
        halfway = statements.begin(tx, "2026-10", account_id="a", key="k", person_id="p")
        assert (halfway.id, halfway.done) == (begun.id, 1)
        assert statements.plan(tx, halfway, dataclasses.replace(computed, digest="other")) is None
        assert statements.begin(tx, "2026-10", account_id="a", key="k", person_id="p").id != begun.id
        assert code_of(statements.append, tx, planned, computed, 0) == "statement.close_overtaken"

    experiment(database_in_november, run)


def test_an_import_whose_event_became_known_otherwise_never_counts(database_in_november: store_database.Database) -> None:
    database, now = database_in_november, metering_world.NOW
    content = metering_world.lines(metering_world.event(1, "2026-10-31T00:00:00+08:00"))
    file = database.read(lambda tx: importing.check(tx, content, PLACES, now))
    begun = database.lane.run(lambda tx: importing.begin(tx, file, account_id="a", key="k"))
    database.lane.run(lambda tx: importing.append(tx, file, begun.id, 0))
    rival = dataclasses.replace(file.events[0], state=STOPPED)
    database.lane.run(lambda tx: metering.append(tx, [rival]))
    assert code_of(database.lane.run, lambda tx: importing.complete(tx, begun.id)) == "usage.changed"
    assert database.read(metering.latest) == [rival]


def test_two_imports_of_one_file_count_once(database_in_november: store_database.Database) -> None:
    database, now = database_in_november, metering_world.NOW
    content = metering_world.lines(metering_world.event(1, "2026-10-31T00:00:00+08:00", amounts={"disk_gib": 1}))
    file = database.read(lambda tx: importing.check(tx, content, PLACES, now))
    begun = [database.lane.run(functools.partial(importing.begin, file=file, account_id="a", key=key)).id for key in "kl"]
    for one in begun:
        database.lane.run(functools.partial(importing.append, file=file, import_id=one, first=0))
    assert database.read(total) == 0, "nothing counts before the last chunk"
    for one in begun:
        database.lane.run(functools.partial(importing.complete, import_id=one))
    assert database.read(total) == 24


def test_a_killed_import_goes_on_only_with_its_own_file(database_in_november: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        files = [
            importing.check(tx, metering_world.lines(metering_world.event(n, "2026-10-31T00:00:00+08:00")), PLACES, tx.now())
            for n in (1, 2)
        ]
        begun = importing.begin(tx, files[0], account_id="a", key="k")
        importing.append(tx, files[0], begun.id, 0)
        assert importing.begin(tx, files[0], account_id="a", key="k") == importing.Import(id=begun.id, done=1)
        assert code_of(importing.begin, tx, files[1], account_id="a", key="k") == "usage.import_overtaken"
        assert code_of(importing.append, tx, files[0], begun.id, 0) == "usage.import_overtaken"

    experiment(database_in_november, run)


def test_a_file_with_too_many_lines_is_refused_at_once(database_in_november: store_database.Database) -> None:
    content = b"x\n" * (importing.LINES_MAX + 1)
    check = importing.check
    assert code_of(database_in_november.read, lambda tx: check(tx, content, PLACES, tx.now())) == "usage.findings"


def test_a_quote_uses_the_book_in_force_and_names_what_has_no_price(database_in_november: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        metering.set_price_book(tx, "next", spec("2026-12-01T00:00:00+08:00", price="2"))

        def quoted(when: datetime.datetime, **amounts: int) -> int:
            price = metering.monthly_price(tx, tenant_id="t", kind="VirtualMachine", amounts=amounts, dimensions={}, at=when)
            return price.monthly_micro

        assert quoted(tx.now(), disk_gib=10, instances=1) == 7_300 * 10**6
        assert quoted(at("12-01 00:00:00"), disk_gib=10) == 14_600 * 10**6
        assert code_of(quoted, tx.now(), gpus=1) == "price.missing"
        assert code_of(quoted, at("2025-12-31 23:59:59"), disk_gib=1) == "price.missing"

    experiment(database_in_november, run)


def test_a_book_changed_before_its_start_holds_in_its_last_form(database_in_november: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        metering.set_price_book(tx, "next", spec("2026-12-01T00:00:00+08:00", price="2"))
        before, after = metering.set_price_book(tx, "next", spec("2027-01-01T00:00:00+08:00", price="3"))
        assert before is not None and (before.generation, after.generation) == (1, 2)
        price = metering.monthly_price(
            tx, tenant_id="t", kind="VirtualMachine", amounts={"disk_gib": 1}, dimensions={}, at=at("12-15 00:00:00")
        )
        assert price.price_version == "2026"

    experiment(database_in_november, run)


def test_no_dated_fact_reaches_behind_an_issued_month(database_in_november: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        assert metering.issued_until(tx) is None
        close(tx)
        assert metering.issued_until(tx) is None, "closed is not issued"
        statements.issue(tx, "2026-10", [bureau(tx).id], "p")
        assert metering.issued_until(tx) == OCTOBER.end_at
        assert code_of(metering.set_price_book, tx, "back", spec("2026-10-31T23:59:59+08:00")) == "price.issued"
        assert code_of(metering.set_price_book, tx, "on", spec("2026-11-01T00:00:00+08:00")) == ""

    experiment(database_in_november, run)


def test_a_what_if_prices_the_month_without_storing_anything(database_in_november: store_database.Database) -> None:
    def run(tx: transaction.Transaction) -> None:
        metering.append(tx, [used(at("10-31 00:00:00"))])
        tried = books.book("tried", spec(price="1.5"), generation=1, recorded_at=tx.now())
        assert statements.what_if(tx, "2026-10", tried, codes=None) == {"tax": (24 * 10**6, 36 * 10**6)}
        assert statements.what_if(tx, "2026-10", tried, codes=frozenset()) == {}
        assert [book.name for book in metering.price_books(tx)] == ["2026"]

    experiment(database_in_november, run)


def test_a_moved_resource_shows_on_both_sides(database_in_november: store_database.Database) -> None:
    """ManageIQ/manageiq#21283 let all of its use follow a guest to its new tenant."""

    def run(tx: transaction.Transaction) -> None:
        tree.create(tx, tree.NewTenant(code="police", name="公安局", parent=tenants.root(tx)))
        moved = dataclasses.replace(used(at("10-31 06:00:00")), tenant="police")
        metering.append(tx, [used(at("10-31 00:00:00")), moved])
        shown = {code: statements.draft(tx, tenants.by_code(tx, code), "2026-10") for code in ("tax", "police")}
        assert {code: one.statement.total_micro // 10**6 for code, one in shown.items()} == {"tax": 6, "police": 18}
        close(tx)
        assert total(tx) == 6

    experiment(database_in_november, run)
