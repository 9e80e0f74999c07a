"""What a wish comes to, whatever is wished."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control import app_plan, plan
from primitives import errors
from templates import catalog


class Shelf:
    """A catalogue of one size and one image."""

    def size(self, name: str) -> dict[str, int]:
        """2 vCPU, 4 GiB, 40 GiB."""
        return {"cpu_milli": 2000, "ram_mib": 4096, "disk_gib": 40}

    def image(self, name: str) -> Any:
        """Any image is there, for machines and apps."""
        return catalog.Image(name=name, title_en="", title_zh="", kinds=(plan.VIRTUAL_MACHINE, plan.CONTAINER_APP), login="")


def test_a_machine_counts_itself_and_its_disk_on_both_names() -> None:
    wish = plan.Wish(name="web", size="s", image="debian-12", disk_class="ssd")
    amounts, spec = plan.created(plan.VIRTUAL_MACHINE, wish, Shelf())
    assert amounts == {"cpu_milli": 2000, "ram_mib": 4096, "disk_gib": 40, "disk_gib.ssd": 40, "instances": 1}
    assert spec["size"] == "s"
    assert plan.physical(amounts) == {"cpu_milli": 2000, "ram_mib": 4096, "disk_gib": 40}


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_an_app_counts_all_its_replicas_before_and_after_a_scale(before: int, after: int) -> None:
    amounts, spec = plan.created(plan.CONTAINER_APP, plan.Wish(name="app", size="s", image="i", replicas=before), Shelf())
    assert (amounts["cpu_milli"], amounts["pods"]) == (2000 * before, before)
    scaled, now = plan.changed(plan.CONTAINER_APP, plan.Wish(replicas=after), spec, Shelf())
    assert (scaled["cpu_milli"], scaled["pods"], now["replicas"]) == (2000 * after, after, after)


@pytest.mark.parametrize(
    ("kind", "wish", "field"),
    [
        (plan.VOLUME, plan.Wish(name="v"), "size_gib"),
        (plan.VOLUME, plan.Wish(name="v", size_gib=0), "size_gib"),
        (plan.VOLUME, plan.Wish(name="v", size_gib=5, image="i"), "image"),
        (plan.VIRTUAL_MACHINE, plan.Wish(name="v", size="s"), "image"),
        (plan.VIRTUAL_MACHINE, plan.Wish(name="v", size="s", image="i", replicas=2), "replicas"),
        (plan.VIRTUAL_MACHINE, plan.Wish(name="v", size="s", image="i", key="-----BEGIN PRIVATE KEY-----"), "key"),
        (plan.CONTAINER_APP, plan.Wish(name="v", size="s", image="i", replicas=0), "replicas"),
        (plan.CONTAINER_APP, plan.Wish(name="v", size="s", image="i", key="x"), "key"),
    ],
)
def test_what_a_kind_does_not_have_is_named(kind: str, wish: plan.Wish, field: str) -> None:
    with pytest.raises(errors.GovpoolError) as caught:
        plan.created(kind, wish, Shelf())
    assert caught.value.values["field"] == field


def test_equal_things_are_numbered() -> None:
    assert plan.numbered("web", 1) == ["web"]
    assert plan.numbered("web", 3) == ["web-1", "web-2", "web-3"]


def an_app(**wish: Any) -> tuple[dict[str, int], dict[str, Any]]:
    """A new app."""
    return plan.created(plan.CONTAINER_APP, plan.Wish(name="app", size="s", image="i", **wish), Shelf())


@given(st.integers(1, 1000), st.integers(1, 1000), st.integers(1, 1000))
def test_an_app_with_bounds_counts_its_maximum_and_begins_within_them(low: int, high: int, start: int) -> None:
    if not low <= start <= high:
        with pytest.raises(errors.GovpoolError):
            an_app(replicas=start, min_replicas=low, max_replicas=high)
        return
    amounts, spec = an_app(replicas=start, min_replicas=low, max_replicas=high)
    assert (amounts["pods"], amounts["cpu_milli"], spec["replicas"], spec["target_cpu_percent"]) == (high, 2000 * high, start, 80)
    surge = app_plan.surge(spec, amounts)
    assert surge["pods"] == -(-high // 4)
    assert all(amount * high == amounts[name] * surge["pods"] for name, amount in surge.items())


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_bounds_given_alone_keep_the_other_one_and_a_number_ends_them(high: int, number: int) -> None:
    spec = an_app(max_replicas=high)[1]
    assert (spec["min_replicas"], spec["replicas"]) == (1, 1)
    amounts, wider = plan.changed(plan.CONTAINER_APP, plan.Wish(target_cpu_percent=50), spec, Shelf())
    assert (amounts["pods"], wider["min_replicas"], wider["max_replicas"]) == (high, 1, high)
    amounts, fixed = plan.changed(plan.CONTAINER_APP, plan.Wish(replicas=number), wider, Shelf())
    assert (amounts["pods"], fixed["max_replicas"]) == (number, 0)
    assert plan.changed(plan.CONTAINER_APP, plan.Wish(), fixed, Shelf()) == (amounts, fixed)


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"max_surge": "x"}, "max_surge"),
        ({"max_surge": "1.5"}, "max_surge"),
        ({"max_surge": "101%"}, "max_surge"),
        ({"max_surge": "5"}, "max_surge"),
        ({"max_surge": "1" * 7}, "max_surge"),
        ({"max_unavailable": "５"}, "max_unavailable"),
        ({"max_surge": "0%", "max_unavailable": "000"}, "max_unavailable"),
        ({"size": "s"}, "size"),
        ({"replicas": 2}, "replicas"),
    ],
)
def test_a_strategy_that_makes_no_sense_is_refused(wish: dict[str, Any], field: str) -> None:
    spec = an_app(replicas=4)[1]
    with pytest.raises(errors.GovpoolError) as caught:
        plan.replaced("restart", plan.Wish(**wish), spec, Shelf())
    assert caught.value.values["field"] == field


def test_a_strategy_stays_and_an_update_leaves_the_rest() -> None:
    spec = an_app(replicas=4, port=80, max_surge="0", max_unavailable="1")[1]
    updated = plan.replaced("update", plan.Wish(image="j"), spec, Shelf())
    assert updated == spec | {"image": "j"}
    assert app_plan.surge(updated, {"pods": 4}) == {}
    with pytest.raises(errors.GovpoolError):
        plan.replaced("restart", plan.Wish(max_unavailable="0"), spec, Shelf())
