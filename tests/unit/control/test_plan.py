"""What a wish comes to, whatever is wished."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control import plan
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
