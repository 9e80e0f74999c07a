"""Quotas as departments meet them, on both databases; among them the faults that other products had, so that they stay theirs."""

import datetime
from typing import Any

import pytest

from primitives import errors, ids
from quotas import grants, guard, model, service
from store import database as store_database
from store import installation, transaction
from tenants import model as tenants_model
from tenants import tree
from tests.integration.tenants_world import code_of, experiment

MACHINE = {"cpu_milli": 2000, "ram_mib": 4096, "disk_gib": 50, "instances": 1}


class City:
    """A city with two bureaus, one of which has two offices; everything granted in whole machines."""

    def __init__(self, tx: transaction.Transaction) -> None:
        self.tx = tx
        installation.create(tx)
        self.ids: dict[str, str] = {}
        self.made: dict[str, tenants_model.Tenant] = {}
        for code, name, parent, machines in (
            ("foshan", "佛山市", "", 100),
            ("tax", "税务局", "foshan", 10),
            ("police", "公安局", "foshan", 20),
            ("tax-1", "第一税务分局", "tax", 6),
            ("tax-2", "第二税务分局", "tax", 6),
        ):
            self.made[code] = tree.create(tx, tree.NewTenant(code=code, name=name, parent=self.made.get(parent)))
            self.ids[code] = self.made[code].id
            self.grant(code, **{each: amount * machines for each, amount in MACHINE.items()})

    def grant(self, code: str, **granted: int) -> None:
        """Grant amounts; lending all, borrowing 0."""
        for name, amount in granted.items():
            self.limit(code, name, amount)

    def limit(
        self, code: str, name: str, amount: int, *, lend: int | None = None, borrow: int = 0, allow_over: bool = False
    ) -> None:
        """One grant with its limits."""
        wanted = model.Grant(granted=amount, lending_limit=lend, borrowing_limit=borrow)
        grants.set_grant(self.tx, tenant_id=self.ids[code], name=name, grant=wanted, allow_over=allow_over)

    def order(self, code: str, **amounts: int) -> str:
        """Reserve (a machine, unless said otherwise); the holder."""
        return self.order_until(code, None, **amounts)

    def order_until(self, code: str, until: datetime.datetime | None, /, **amounts: int) -> str:
        """The same with a moment at which it ends unconfirmed."""
        holder = ids.new("vm")
        service.reserve(self.tx, tenant_id=self.ids[code], amounts=amounts or MACHINE, holder=holder, expires_at=until)
        return holder

    def used(self, code: str, name: str = "instances") -> int:
        """What stands as drawn."""
        return service.standing(self.tx, tenant_id=self.ids[code], name=name).drawn

    def refusal(self, code: str, **amounts: int) -> guard.Exceeded:
        """The refusal of an order that must not fit."""
        with pytest.raises(guard.Exceeded) as refused:
            self.order(code, **amounts)
        return refused.value


def in_a_city(database: store_database.Database, run: Any) -> None:
    """Play a scene; the books must be sound at its end."""

    def scene(tx: transaction.Transaction) -> None:
        run(City(tx))
        assert service.check(tx) == []

    experiment(database, scene)


def test_a_failed_create_gives_the_quota_back(database: store_database.Database) -> None:
    """cloudpods#15998: there the quota of a failed create stayed used."""

    def scene(city: City) -> None:
        before = {code: service.standings(city.tx, tenant_id=node) for code, node in city.ids.items()}
        holder = city.order("tax-1")
        assert [city.used(code) for code in ("tax-1", "tax", "foshan", "police")] == [1, 1, 1, 0]
        service.release(city.tx, holder=holder)
        assert before == {code: service.standings(city.tx, tenant_id=node) for code, node in city.ids.items()}

    in_a_city(database, scene)


def test_the_sum_of_the_offices_is_bounded_by_their_bureau(database: store_database.Database) -> None:
    def scene(city: City) -> None:
        for code in ["tax-1"] * 6 + ["tax-2"] * 4:
            city.order(code)
        refused = city.refusal("tax-2")
        assert {(each.tenant, each.name, each.short_by) for each in refused.found} == {("tax", n, a) for n, a in MACHINE.items()}
        assert city.used("tax-2") == 4, "a refused order leaves nothing behind, also where it had passed"
        assert service.promised(city.tx, tenant_id=city.ids["tax"])["instances"] == 12, "more is promised than there is"

    in_a_city(database, scene)


def test_a_refusal_names_every_breach_at_once(database: store_database.Database) -> None:
    def scene(city: City) -> None:
        refused = city.refusal("tax-1", cpu_milli=250_000, instances=11, gpus=2)
        assert {(each.tenant, each.name): each.short_by for each in refused.found} == {
            ("tax-1", "cpu_milli"): 238_000,
            ("tax", "cpu_milli"): 230_000,
            ("foshan", "cpu_milli"): 50_000,
            ("tax-1", "instances"): 5,
            ("tax", "instances"): 1,
            ("tax-1", "gpus"): 2,
            ("tax", "gpus"): 2,
            ("foshan", "gpus"): 2,
        }

    in_a_city(database, scene)


def test_a_caller_sees_numbers_only_of_the_levels_where_he_holds_a_role(database: store_database.Database) -> None:
    def scene(city: City) -> None:
        refused = city.refusal("tax-1", instances=101)
        own = {"tenant": "tax-1", "name": "instances", "short_by": 95, "asked": 101, "used": 0, "limit": 6}
        assert refused.values["breaches"] == [
            own,
            {"tenant": "tax", "name": "instances", "short_by": 91},
            {"tenant": "foshan", "name": "instances", "short_by": 1},
        ]
        assert "100" not in refused.text("en")
        assert "缺 91" in refused.text("zh")
        bureau = refused.seen_by(tenants_model.Scope(tenant_ids=(city.ids["tax"], city.ids["tax-1"]), everything=False))
        assert [each.get("limit") for each in bureau.values["breaches"]] == [6, 10, None]
        root = refused.seen_by(tenants_model.Scope(tenant_ids=(), everything=True))
        assert [each.get("limit") for each in root.values["breaches"]] == [6, 10, 100]

    in_a_city(database, scene)


def test_being_over_on_one_class_does_not_block_another(database: store_database.Database) -> None:
    """manageiq-automation_engine#150: a request is tested only on what it raises."""

    def scene(city: City) -> None:
        city.grant("tax-1", instances=6)
        holder = city.order("tax-1", cpu_milli=8000)
        city.limit("tax-1", "cpu_milli", 4000, allow_over=True)
        assert city.refusal("tax-1", cpu_milli=1).found[0].name == "cpu_milli"
        city.order("tax-1", disk_gib=50)
        service.change(city.tx, holder=holder, amounts={"cpu_milli": 8000, "ram_mib": 4096})
        assert code_of(service.change, city.tx, holder=holder, amounts={"cpu_milli": 8001}) == "quota.exceeded"

    in_a_city(database, scene)


def test_a_limit_below_use_needs_a_flag_says_over_by_and_lets_only_shrinks_pass(database: store_database.Database) -> None:
    """cloudpods#17810."""

    def scene(city: City) -> None:
        holders = [city.order("tax-1") for _ in range(5)]
        assert code_of(city.grant, "tax-1", instances=3) == "quota.below_use"
        assert city.used("tax-1") == 5
        city.limit("tax-1", "instances", 3, allow_over=True)
        standing = service.standing(city.tx, tenant_id=city.ids["tax-1"], name="instances")
        assert (standing.granted, standing.drawn, standing.over_by) == (3, 5, 2)
        assert city.refusal("tax-1", instances=1).found[0].short_by == 3
        service.release(city.tx, holder=holders.pop())
        assert service.standing(city.tx, tenant_id=city.ids["tax-1"], name="instances").over_by == 1
        assert city.refusal("tax-1", instances=1).found[0].short_by == 2, "an allowed excess never grows again"
        for holder in holders[:2]:
            service.release(city.tx, holder=holder)
        city.order("tax-1", instances=1)

    in_a_city(database, scene)


def test_a_class_counts_on_its_own_name_and_on_the_sum(database: store_database.Database) -> None:
    def scene(city: City) -> None:
        assert city.refusal("police", **{"disk_gib.ssd": 10}).found[0].name == "disk_gib.ssd", "absent is 0"
        for code in ("foshan", "police"):
            city.limit(code, "disk_gib.ssd", 100)
        city.order("police", **{"disk_gib.ssd": 60})
        assert (city.used("police", "disk_gib"), city.used("police", "disk_gib.ssd")) == (60, 60)
        city.order("police", **{"disk_gib": 500, "disk_gib.ssd": 40})
        assert (city.used("police", "disk_gib"), city.used("police", "disk_gib.ssd")) == (560, 100)
        assert [each.name for each in city.refusal("police", **{"disk_gib": 441, "disk_gib.ssd": 1}).found] == [
            "disk_gib",
            "disk_gib.ssd",
            "disk_gib.ssd",
        ]
        assert code_of(city.order, "police", **{"disk_gib": 5, "disk_gib.ssd": 6}) == "input.invalid"

    in_a_city(database, scene)


def test_a_bureau_keeps_what_it_does_not_lend_and_borrows_what_others_leave(database: store_database.Database) -> None:
    def scene(city: City) -> None:
        city.grant("foshan", gpus=10)
        city.limit("tax", "gpus", 4, lend=1, borrow=3)
        city.limit("police", "gpus", 10)
        city.order("police", gpus=7)
        assert city.refusal("police", gpus=1).found[0].tenant == "foshan", "3 are kept for the tax bureau"
        city.order("tax", gpus=3)
        assert city.refusal("tax", gpus=1).found[0].tenant == "foshan", "the fourth is with the police"
        city.limit("police", "gpus", 10, borrow=0)
        assert service.available(city.tx, tenant_id=city.ids["tax"])["gpus"] == 0
        city.grant("foshan", gpus=14)
        assert service.available(city.tx, tenant_id=city.ids["tax"])["gpus"] == 4, "its own fourth, and 3 borrowed"
        city.order("tax", gpus=4)
        assert city.refusal("tax", gpus=1).found[0].tenant == "tax"
        assert code_of(city.limit, "police", "gpus", 14, lend=0) == "quota.kept", "more would be kept than there is"

    in_a_city(database, scene)


def test_what_is_kept_below_moves_with_a_bureau(database: store_database.Database) -> None:
    def scene(city: City) -> None:
        city.grant("foshan", gpus=10)
        city.grant("tax", gpus=6)
        city.limit("tax-1", "gpus", 4, lend=0)
        city.limit("tax", "gpus", 6, lend=1)
        city.order("tax-1", gpus=2)
        city.order("tax", gpus=2)
        standing = service.standing(city.tx, tenant_id=city.ids["foshan"], name="gpus")
        assert (standing.subtree_quota, standing.drawn) == (10 - 4 - 1, 1)
        tree.create(city.tx, tree.NewTenant(code="nanhai", name="南海区", parent=city.made["foshan"]))
        nanhai = tree.find(city.tx, "nanhai")
        assert nanhai is not None
        city.ids["nanhai"] = nanhai.id
        move: dict[str, Any] = {
            "tenant_id": city.ids["tax"],
            "above_before": [city.ids["foshan"]],
            "above_after": [nanhai.id, city.ids["foshan"]],
        }
        assert code_of(grants.move_subtree, city.tx, **move) == "quota.above_parent"
        city.grant("nanhai", gpus=8, **{name: amount * 10 for name, amount in MACHINE.items()})
        grants.move_subtree(city.tx, **move)
        tree.move(city.tx, city.made["tax"], nanhai)
        standing = service.standing(city.tx, tenant_id=nanhai.id, name="gpus")
        assert (standing.subtree_quota, standing.drawn) == (8 - 4 - 1, 1)

    in_a_city(database, scene)


@pytest.mark.parametrize(
    ("code", "amount", "limits", "refused"),
    [
        ("tax", 101, {}, "quota.above_parent"),
        ("tax", 5, {}, "quota.below_child"),
        ("tax", model.UNLIMITED, {}, "quota.unlimited"),
        ("foshan", model.UNLIMITED, {}, ""),
        ("foshan", model.UNLIMITED + 1, {}, "input.invalid"),
        ("foshan", 100, {"lend": 1}, "quota.root"),
        ("foshan", 100, {"borrow": 1}, "quota.root"),
        ("tax-1", -1, {}, "input.invalid"),
    ],
)
def test_grants_stay_inside_each_other(
    database: store_database.Database, code: str, amount: int, limits: dict[str, int], refused: str
) -> None:
    in_a_city(database, lambda city: _is(code_of(city.limit, code, "instances", amount, **limits), refused))


def test_granted_units_move_in_one_step_or_not_at_all(database: store_database.Database) -> None:
    def scene(city: City) -> None:
        def move(giver: str, taker: str, **amounts: int) -> str:
            return code_of(grants.move_grant, city.tx, from_id=city.ids[giver], to_id=city.ids[taker], amounts=amounts)

        def granted(code: str) -> int:
            return service.standing(city.tx, tenant_id=city.ids[code], name="instances").granted

        assert move("tax-1", "tax-2", instances=4) == ""
        assert (granted("tax-1"), granted("tax-2")) == (2, 10)
        assert move("tax-1", "tax-2", instances=3) == "quota.not_enough"
        assert move("tax-1", "tax-1", instances=1) == "quota.same"
        assert move("police", "tax", instances=5) == ""
        assert (granted("police"), granted("tax")) == (15, 15)
        city.order("tax-2", instances=9)
        assert move("tax-2", "tax-1", instances=2) == "quota.below_use"
        city.grant("foshan", instances=model.UNLIMITED)
        assert move("foshan", "police", instances=1000) == ""
        assert (granted("foshan"), granted("police")) == (model.UNLIMITED, 1015), "an unlimited root stays so"

    in_a_city(database, scene)


def test_new_tenants_get_the_defaults_as_far_as_their_parent_has_them(database: store_database.Database) -> None:
    def scene(city: City) -> None:
        grants.set_default(city.tx, name="instances", granted=8)
        grants.set_default(city.tx, name="gpus", granted=1)
        for parent, expected in (("police", {"instances": 8}), ("tax-1", {"instances": 6})):
            made = tree.create(city.tx, tree.NewTenant(code=f"{parent}-new", name="新成立的科室", parent=city.made[parent]))
            grants.grant_defaults(city.tx, tenant_id=made.id)
            assert {each.name: each.granted for each in service.standings(city.tx, tenant_id=made.id)} == expected

    in_a_city(database, scene)


def test_an_unconfirmed_reservation_is_due_at_its_time_and_a_confirmed_one_never(database: store_database.Database) -> None:
    def scene(city: City) -> None:
        now = city.tx.now()
        kept = city.order_until("tax-1", now)
        lost = city.order_until("tax-1", now - datetime.timedelta(seconds=1))
        city.order_until("tax-1", now + datetime.timedelta(hours=1))
        city.order("tax-1")
        service.confirm(city.tx, holder=kept)
        assert service.due(city.tx) == [lost]
        found = service.find(city.tx, holder=kept)
        assert found is not None
        assert (found.state, found.expires_at, found.amounts) == (model.State.CONFIRMED, None, MACHINE)

    in_a_city(database, scene)


def test_a_holder_holds_once_and_only_what_is_held_can_be_changed(database: store_database.Database) -> None:
    def scene(city: City) -> None:
        holder = city.order("tax-1")
        again = {"tenant_id": city.ids["police"], "amounts": MACHINE, "holder": holder, "expires_at": None}
        with pytest.raises(errors.GovpoolError) as refused:
            service.reserve(city.tx, **again)  # type: ignore[arg-type]
        assert refused.value.code == "quota.held"
        service.release(city.tx, holder=holder)
        for verb in (service.confirm, lambda tx, holder: service.change(tx, holder=holder, amounts=MACHINE)):
            assert code_of(verb, city.tx, holder=holder) == "quota.not_held"
        assert code_of(city.order, "tax-1", gold=1) == "quota.name"
        assert code_of(city.order, "tax-1", cpu_milli=-1) == "input.invalid"
        assert code_of(city.order, "tax-1", cpu_milli=model.UNLIMITED + 1) == "input.invalid"

    def rolled_back(tx: transaction.Transaction) -> None:
        scene(City(tx))

    experiment(database, rolled_back)


def test_a_tenant_that_is_wound_up_gives_its_grants_back(database: store_database.Database) -> None:
    def scene(city: City) -> None:
        holder = city.order("tax-1")
        assert service.reservations(city.tx, tenant_id=city.ids["tax-1"]) == 1
        assert code_of(grants.withdraw, city.tx, tenant_id=city.ids["tax-1"]) == "quota.below_use"
        service.release(city.tx, holder=holder)
        grants.withdraw(city.tx, tenant_id=city.ids["tax-1"])
        assert {each.granted for each in service.standings(city.tx, tenant_id=city.ids["tax-1"])} == {0}

    in_a_city(database, scene)


def test_the_check_finds_a_hand_in_the_database(database: store_database.Database) -> None:
    def scene(tx: transaction.Transaction) -> None:
        city = City(tx)
        city.order("tax-1", cpu_milli=3000)
        tx.execute(
            transaction.sql("UPDATE grants SET drawn = drawn - 1000 WHERE tenant_id = :id AND name = 'cpu_milli'"),
            id=city.ids["tax"],
        )
        found = service.check(tx)
        assert [(each.tenant_id, each.name, each.column, each.stored, each.derived) for each in found] == [
            (city.ids["tax"], "cpu_milli", "drawn", 2000, 3000)
        ]

    experiment(database, scene)


@pytest.mark.parametrize(
    "hand",
    [
        "UPDATE grants SET drawn = granted + 1 WHERE borrowing_limit = 0",
        "UPDATE grants SET drawn = -1",
        "UPDATE grants SET subtree_quota = -1",
        "UPDATE grants SET granted = 1000000000000001",
    ],
)
def test_the_database_itself_forbids_what_the_guard_must_never_let_through(database: store_database.Database, hand: str) -> None:
    def scene(tx: transaction.Transaction) -> None:
        City(tx)
        tx.execute(transaction.sql(hand))

    with pytest.raises(Exception, match=r"(?i)check constraint"):
        database.lane.run(scene)


def _is(found: str, expected: str) -> None:
    assert found == expected
