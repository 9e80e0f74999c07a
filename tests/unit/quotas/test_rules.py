"""Pure decisions of quotas: what is counted, what rises, what is left, and the derivation that the check rests on."""

import hypothesis
import pytest
from hypothesis import strategies as st

from primitives import errors, quantity
from quotas import model, names, rules

amount = st.integers(0, 50)


def standing(drawn: int, subtree: int, lend: int | None = None, borrow: int = 0, tenant: str = "tax") -> model.Standing:
    """A node whose numbers follow from its quota."""
    return model.Standing(
        tenant_id=tenant,
        name="gpus",
        granted=subtree,
        lending_limit=lend,
        borrowing_limit=borrow,
        subtree_quota=subtree,
        local_quota=rules.local_quota(subtree, lend),
        drawn=drawn,
        over_by=max(0, drawn - subtree - borrow),
        generation=1,
    )


@hypothesis.given(before=amount, added=amount, local=amount)
def test_what_rises_and_comes_back_is_the_same(before: int, added: int, local: int) -> None:
    up = rules.risen(before + added, local, added)
    assert 0 <= up <= added
    assert up + rules.risen(before, local, -added) == 0
    assert rules.risen(before, local, before) == max(0, before - local)


@hypothesis.given(
    levels=st.lists(st.tuples(amount, st.integers(1, 50), st.none() | amount, amount), min_size=1, max_size=8), asked=amount
)
def test_what_is_available_is_the_most_that_meets_no_breach(levels: list[tuple[int, int, int | None, int]], asked: int) -> None:
    path = [standing(*level, tenant=f"t{number}") for number, level in enumerate(levels)]
    left = rules.available(path)
    known = {(each.tenant_id, each.name): each for each in path}
    codes = [(each.tenant_id, each.tenant_id) for each in path]
    refused = bool(rules.breaches(codes, known, {"gpus": asked})) and asked > 0
    assert refused == (asked > left)


@hypothesis.given(
    parents=st.lists(st.integers(0, 5), max_size=7),
    held=st.lists(amount, min_size=8, max_size=8),
    granted=st.lists(st.tuples(amount, st.none() | amount), min_size=8, max_size=8),
)
def test_the_derivation_conserves_every_unit(parents: list[int], held: list[int], granted: list[tuple[int, int | None]]) -> None:
    tree = {"0": ""} | {str(number): str(min(back, number - 1)) for number, back in enumerate(parents, 1)}
    grants = {
        (node, "gpus"): model.Grant(granted=amount, lending_limit=lend) for node, (amount, lend) in zip(tree, granted, strict=False)
    }
    derived = rules.derived(tree, grants, {(node, "gpus"): use for node, use in zip(tree, held, strict=False)})
    for node, _ in grants:
        below = [child for child, parent in tree.items() if parent == node]
        at = derived[node, "gpus"]
        assert at.drawn == held[int(node)] + sum(derived[child, "gpus"].risen for child in below)
        assert at.granted - at.subtree_quota == sum(rules.kept_below(derived[child, "gpus"]) for child in below)


def test_a_class_counts_on_both_names_and_zero_is_not_held() -> None:
    assert rules.counted({"disk_gib.ssd": 100}) == {"disk_gib": 100, "disk_gib.ssd": 100}
    assert rules.counted({"disk_gib": 150, "disk_gib.ssd": 100}) == {"disk_gib": 150, "disk_gib.ssd": 100}
    assert rules.counted({"gpus.a100": 1, "gpus.l40s": 2, "pods": 0}) == {"gpus": 3, "gpus.a100": 1, "gpus.l40s": 2}


@pytest.mark.parametrize(
    ("amounts", "code"),
    [
        ({"disk_gib": 99, "disk_gib.ssd": 100}, "input.invalid"),
        ({"disk_gib.ssd": quantity.BOUND, "disk_gib.hdd": 1}, "input.invalid"),
        ({"cpu_milli": -1}, "input.invalid"),
        ({"cpu_milli": quantity.BOUND + 1}, "input.invalid"),
        ({"gold": 1}, "quota.name"),
        ({"disk_gib.": 1}, "quota.name"),
        ({"disk_gib.SSD": 1}, "quota.name"),
        ({".ssd": 1}, "quota.name"),
        ({"disk_gib.a.b": 1}, "quota.name"),
    ],
)
def test_what_is_not_counted_is_refused(amounts: dict[str, int], code: str) -> None:
    with pytest.raises(errors.GovpoolError) as refused:
        rules.counted(amounts)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("name", "amount", "shown"),
    [
        ("cpu_milli", 16000, "16 vCPU"),
        ("cpu_milli", 500, "0.5 vCPU"),
        ("cpu_milli", -1500, "-1.5 vCPU"),
        ("ram_mib", 65536, "64 GiB"),
        ("ram_mib", 1, "0.000976 GiB"),
        ("disk_gib.ssd", 500, "500 GiB"),
        ("instances", 3, "3"),
    ],
)
def test_amounts_are_shown_in_the_words_of_people(name: str, amount: int, shown: str) -> None:
    assert names.shown(name, amount) == shown


def test_an_installation_adds_names_once_and_never_with_another_meaning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(names, "_known", dict(names._known))
    tape = names.Name(name="tapes", unit="1", shown="", per_shown=1, en="tapes", zh="磁带")
    names.declare([tape])
    names.declare([tape])
    assert rules.counted({"tapes": 2}) == {"tapes": 2}
    for wrong in (
        names.Name(name="tapes", unit="1", shown="", per_shown=1, en="other", zh="其他"),
        names.Name(name="Tapes", unit="1", shown="", per_shown=1, en="tapes", zh="磁带"),
        names.Name(name="cpu_milli", unit="1", shown="", per_shown=1, en="tapes", zh="磁带"),
    ):
        with pytest.raises(ValueError, match="tapes|Tapes|cpu_milli"):
            names.declare([wrong])
