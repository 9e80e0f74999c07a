"""The catalogue as it is shipped: every size can be counted, every image has both titles and a kind that can be ordered."""

import pytest

from control import plan
from primitives import errors
from quotas import rules
from templates import catalog


@pytest.mark.parametrize("size", catalog.sizes().values(), ids=lambda size: str(size.name))
def test_every_size_is_counted_whole(size: catalog.Size) -> None:
    assert rules.counted(size.amounts) == dict(sorted(size.amounts.items()))
    assert {"cpu_milli", "ram_mib", "disk_gib"} <= set(size.amounts)
    assert size.title_en and size.title_zh
    assert f"{size.amounts['cpu_milli'] // 1000} 核 {size.amounts['ram_mib'] // 1024} GiB" in size.title_zh
    assert f"{size.amounts['cpu_milli'] // 1000} vCPU, {size.amounts['ram_mib'] // 1024} GiB" in size.title_en


@pytest.mark.parametrize("image", catalog.images().values(), ids=lambda image: str(image.name))
def test_every_image_can_be_ordered_and_says_how_to_log_in(image: catalog.Image) -> None:
    assert set(image.kinds) <= set(plan.PREFIX)
    assert bool(image.login) == (plan.VIRTUAL_MACHINE in image.kinds)


def test_a_size_is_a_copy_that_nobody_can_spoil() -> None:
    catalog.size("small")["cpu_milli"] = 0
    assert catalog.size("small")["cpu_milli"] == 2000


def test_an_unknown_size_or_image_is_refused_with_what_there_is() -> None:
    for ask, code in ((catalog.size, "size.unknown"), (catalog.image, "image.unknown")):
        with pytest.raises(errors.GovpoolError) as refused:
            ask("huge")
        assert refused.value.code == code
        assert "small" in refused.value.text("zh") or "debian-12" in refused.value.text("zh")
