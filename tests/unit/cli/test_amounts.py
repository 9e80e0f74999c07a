"""Amounts as people type them: exact, and read back as they were written."""

import hypothesis
import pytest
from hypothesis import strategies as st

from cli import amounts, failure


@pytest.mark.parametrize(
    ("name", "text", "amount"),
    [
        ("cpu_milli", "16", 16000),
        ("cpu_milli", "0.5", 500),
        ("ram_mib", "64", 65536),
        ("ram_mib", "64GiB", 65536),
        ("ram_mib", "512MiB", 512),
        ("ram_mib", "1.5 TiB", 1572864),
        ("ram_mib", "64g", 65536),
        ("disk_gib", "500", 500),
        ("disk_gib.ssd", "2TiB", 2048),
        ("instances", "10", 10),
        ("cpu_milli", "unlimited", "unlimited"),
    ],
)
def test_people_write_vcpu_and_gib(name: str, text: str, amount: int | str) -> None:
    assert amounts.inside(name, text) == amount


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cpu_milli", "0.0005"),
        ("cpu_milli", "-1"),
        ("cpu_milli", "16GiB"),
        ("cpu_milli", "1e3"),
        ("ram_mib", "lots"),
        ("ram_mib", "0.0001"),
        ("disk_gib", "512MiB"),
        ("instances", "1.5"),
        ("instances", "٣"),
        ("ram_mib", "999999999999TiB"),
        ("cpu_milli", ""),
    ],
)
def test_what_is_no_exact_amount_is_refused(name: str, text: str) -> None:
    with pytest.raises(failure.UsageError):
        amounts.inside(name, text)


@hypothesis.given(st.integers(0, 10**12))
def test_vcpu_are_read_back_as_they_are_shown(milli: int) -> None:
    assert amounts.inside("cpu_milli", amounts.outside("cpu_milli", milli).removesuffix(" vCPU")) == milli


def test_a_pair_is_in_the_names_own_unit() -> None:
    assert amounts.named({"cpu_milli": "2", "ram_mib": ""}, ["gpus.a100=4"]) == {"cpu_milli": 2000, "gpus.a100": 4}
    for wrong in ("gpus", "=4", "gpus=", "gpus=four"):
        with pytest.raises(failure.UsageError):
            amounts.named({}, [wrong])
