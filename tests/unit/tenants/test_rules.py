"""Sound values, and a dated tree without cycles or a ninth level, judged beside a naive walk through time."""

import hypothesis
import pytest
from hypothesis import strategies
from stdnum.cn import uscc

from primitives import errors, ids
from tenants import model, rules

FOREVER_US = 10**16


@pytest.mark.parametrize("good", ["a", "tax", "da-shu-ju", "x9", "a" * 63])
def test_a_code_is_a_lower_case_dns_label(good: str) -> None:
    assert rules.code(good) == good


@pytest.mark.parametrize(
    "bad", ["", "Tax", "9tax", "-a", "a-", "a_b", "a.b", "税务局", "a" * 64, "a\n", "ａ", "tax bureau", "..", "%2e"]
)
def test_anything_else_is_no_code(bad: str) -> None:
    with pytest.raises(errors.GovpoolError, match=r"input\.invalid"):
        rules.code(bad)


def test_a_code_cannot_be_taken_for_an_id() -> None:
    with pytest.raises(errors.GovpoolError, match=r"input\.invalid"):
        rules.code(ids.new("tenant"))


@pytest.mark.parametrize("good", ["南海区大数据局", "Tax Bureau", "1", "一窗受理平台（二期）", "é"])
def test_names_are_for_people_in_any_script(good: str) -> None:
    assert rules.label(f"  {good} ", "name") == good


@pytest.mark.parametrize("bad", ["", "   ", "a\nb", "a\x00", "\u202eetroper", "\u200b", "x" * 101, "\ud800"])
def test_names_hide_nothing(bad: str) -> None:
    with pytest.raises(errors.GovpoolError, match=r"input\.invalid"):
        rules.label(bad, "name")


def test_a_name_of_one_look_has_one_form() -> None:
    assert rules.label("e\u0301", "name") == rules.label("\u00e9", "name")


@hypothesis.given(
    base=strategies.text("0123456789ABCDEFGHJKLMNPQRTUWXY", min_size=9, max_size=9), last=strategies.sampled_from(uscc._alphabet)
)
def test_one_check_digit_of_31_is_right(base: str, last: str) -> None:
    number = "11440605" + base
    right = uscc.calc_check_digit(number)
    if last == right:
        assert rules.credit_code(f" {number[:8]}-{number[8:]}{last} ".strip()) == number + last
    else:
        with pytest.raises(errors.GovpoolError, match=r"input\.invalid"):
            rules.credit_code(number + last)


@pytest.mark.parametrize("bad", ["12345", "9" * 18, "91110000600037341Ｌ", "税" * 18, "x" * 10_000])
def test_nonsense_is_no_credit_code(bad: str) -> None:
    with pytest.raises(errors.GovpoolError, match=r"input\.invalid"):
        rules.credit_code(bad)


@pytest.mark.parametrize("level", [0, 5, -1, 10**30])
def test_graded_protection_has_levels_one_to_four(level: int) -> None:
    with pytest.raises(errors.GovpoolError, match=r"input\.invalid"):
        rules.protection_level(level)


def test_a_change_may_lie_in_the_past_until_a_statement_is_issued() -> None:
    assert rules.valid_from(5, now_us=10, not_before_us=None) == 5
    assert rules.valid_from(5, now_us=10, not_before_us=5) == 5
    with pytest.raises(errors.GovpoolError, match=r"dated\.issued"):
        rules.valid_from(4, now_us=10, not_before_us=5)
    with pytest.raises(errors.GovpoolError, match=r"input\.invalid"):
        rules.valid_from(11, now_us=10, not_before_us=5)


def span(tenant_id: str, level: int, start_us: int = 0, end_us: int = FOREVER_US) -> model.Span:
    """One tenant met on a walk."""
    return model.Span(tenant_id=tenant_id, level=level, start_us=start_us, end_us=end_us)


def test_eight_levels_stand_and_a_ninth_does_not() -> None:
    above = [span(f"up{level}", level) for level in range(7)]
    rules.placed("x", "p", "x", above, [span("x", 0)])
    with pytest.raises(errors.GovpoolError, match=r"tenant\.too_deep"):
        rules.placed("x", "p", "x", above, [span("x", 0), span("child", 1)])


def test_depth_counts_only_where_the_times_meet() -> None:
    above = [span(f"up{level}", level, 0, 100) for level in range(7)]
    rules.placed("x", "p", "x", above, [span("x", 0), span("child", 1, 100, 200)])
    with pytest.raises(errors.GovpoolError, match=r"tenant\.too_deep"):
        rules.placed("x", "p", "x", above, [span("x", 0), span("child", 1, 99, 200)])


def test_nobody_stands_below_himself_even_for_a_moment() -> None:
    with pytest.raises(errors.GovpoolError, match=r"tenant\.cycle"):
        rules.placed("x", "p", "x", [span("p", 0), span("x", 1, 3, 4)], [span("x", 0)])
    with pytest.raises(errors.GovpoolError, match=r"tenant\.cycle"):
        rules.placed("x", "x", "x", [span("x", 0)], [span("x", 0)])
