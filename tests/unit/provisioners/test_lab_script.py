"""The lab cloud's script: what strikes whom, decided by a seed and nothing else."""

import pathlib
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioners.lab import script
from provisioners.lab.script import Call, Rule, Script

NAMES = st.text(min_size=1, max_size=30)
MUTATIONS = st.sampled_from(sorted(script.MUTATING))


def call(operation: str = "guest.create", name: str = "税务-01", nth: int = 1) -> Call:
    """One call."""
    return Call(operation=operation, name=name, nth=nth)


@given(st.integers(0, 2**63 - 1), MUTATIONS, NAMES, st.integers(1, 10**6))
def test_a_fate_depends_on_the_call_and_the_seed_alone(seed: int, operation: str, name: str, nth: int) -> None:
    rules = [Rule(do="lose", percent=50), Rule(do="late", percent=50, after_s=(1, 20)), Rule(do="latency", after_s=(0, 1))]
    one = Script(seed=seed, rules=rules)
    fate = script.decide(one, call(operation, name, nth), {})
    script.decide(one, call(operation, name + "x", nth), {})
    assert script.decide(one, call(operation, name, nth), {}) == fate


@given(st.integers(0, 2**63 - 1), st.integers(0, 100))
def test_a_percentage_strikes_about_that_often(seed: int, percent: int) -> None:
    rules = Script(seed=seed, rules=[Rule(do="drop", percent=percent)])
    struck = sum(not script.decide(rules, call(nth=nth), {}).takes_effect for nth in range(1, 401))
    assert abs(struck / 4 - percent) <= 15  # six standard deviations at the widest
    assert struck == {0: 0, 100: 400}.get(percent, struck)


@given(st.integers(0, 2**63 - 1), NAMES)
def test_a_late_call_lands_within_its_range_and_is_cut_at_once(seed: int, name: str) -> None:
    fate = script.decide(Script(seed=seed, rules=[Rule(do="late", after_s=(1, 20))]), call(name=name), {})
    assert fate.cut == "reset"
    assert fate.late_s is not None
    assert 1 <= fate.late_s <= 20


@pytest.mark.parametrize("other", ["guest.delete", "ticket.create", "read"])
def test_a_rule_strikes_only_the_operations_it_names(other: str) -> None:
    rules = Script(rules=[Rule(do="drop", on=["guest.create"])])
    assert not script.decide(rules, call(), {}).takes_effect
    assert script.decide(rules, call(other), {}) == script.Fate()


def test_a_rule_strikes_only_the_names_of_its_pattern() -> None:
    rules = Script(rules=[Rule(do="refuse", name="坏-*", reason="image_missing")])
    assert script.decide(rules, call(name="坏-01"), {}).refusal == "image_missing"
    assert script.decide(rules, call(name="好-01"), {}).refusal == ""


def test_a_rule_with_a_number_of_times_then_rests() -> None:
    rules = Script(rules=[Rule(do="lose", times=2)])
    assert script.decide(rules, call(), {0: 1}).cut == "reset"
    assert script.decide(rules, call(), {0: 1}).struck == (0,)
    assert script.decide(rules, call(), {0: 2}) == script.Fate()


def test_the_first_decisive_rule_wins_and_a_lost_answer_comes_after_it() -> None:
    late, lose, drop = Rule(do="late", after_s=(3, 3)), Rule(do="lose", how="504"), Rule(do="drop", how="502")
    assert script.decide(Script(rules=[lose, late, drop]), call(), {}).late_s == 3
    dropped = script.decide(Script(rules=[lose, drop, late]), call(), {})
    assert (dropped.cut, dropped.takes_effect, dropped.late_s) == ("502", False, None)
    lost = script.decide(Script(rules=[lose]), call(), {})
    assert (lost.cut, lost.takes_effect) == ("504", True)


def test_reads_are_never_late_and_only_creates_fail_or_vanish() -> None:
    rules = Script(rules=[Rule(do="late", after_s=(1, 1)), Rule(do="fail"), Rule(do="vanish", after_s=(5, 5))])
    assert script.decide(rules, call("read"), {}) == script.Fate()
    assert script.decide(rules, call("guest.act"), {}).fails is False
    created = script.decide(rules, call(), {})
    assert (created.fails, created.vanish_s, created.struck) == (True, 5, (0, 1, 2))


@pytest.mark.parametrize(
    "text",
    [
        '{"rules":[{"do":"explode"}]}',
        '{"rules":[{"do":"lose","how":"418"}]}',
        '{"rules":[{"do":"lose","percent":101}]}',
        '{"rules":[{"do":"lose","after_s":[0,1e9]}]}',
        '{"rules":[{"do":"lose","on":[]}]}',
        '{"rules":[{"do":"lose","typo":1}]}',
        '{"seed":-1}',
        '{"build_s":[0]}',
        '{"hosts":[{"name":"h","physical":{"ram_mib":-1}}]}',
    ],
)
def test_a_script_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Script)


def test_the_script_in_the_documents_is_one_that_the_cloud_takes() -> None:
    page = pathlib.Path(__file__).resolve().parents[3] / "docs" / "how-to" / "write-a-driver.md"
    example = re.search(r"```json\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    decoded = msgspec.json.decode(example[1], type=Script)
    assert [rule.do for rule in decoded.rules] == ["late", "lose", "latency", "refuse", "vanish"]
