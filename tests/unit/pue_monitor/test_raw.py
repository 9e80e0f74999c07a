"""Raw values: words and texts become exact numbers, or are refused."""

import dataclasses
import fractions
import struct

import hypothesis
import pytest
from hypothesis import strategies as st

from pue_monitor import model
from pue_monitor.rules import raw

PLAIN = model.Register(
    code="energy", quantity="energy", scale=fractions.Fraction(1), width=32, kind="uint", word_order="big", modulus=2**32,
    sentinels=(0xFFFFFFFF,), address=0, table="holding",
)  # fmt: skip
FLOAT = dataclasses.replace(PLAIN, kind="float", scale=fractions.Fraction(1000), sentinels=())


def words(value: float) -> list[int]:
    return list(struct.unpack(">HH", struct.pack(">f", value)))


@hypothesis.given(st.sampled_from([16, 32, 64]), st.sampled_from(["big", "little"]), st.data())
def test_words_and_back(width: int, order: str, data: st.DataObject) -> None:
    value = data.draw(st.integers(0, 2**width - 1))
    register = dataclasses.replace(PLAIN, width=width, word_order=order, modulus=2**width, sentinels=())
    assert raw.decode(raw.encode(value, width, order), register) == value * model.MICRO


@hypothesis.given(st.integers(0, 2**32 * model.MICRO - 1))
def test_text_and_back(micro: int) -> None:
    hypothesis.assume(micro != 0xFFFFFFFF * model.MICRO)
    assert raw.parse(raw.show(micro), PLAIN) == micro


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1e3", "NaN", "inf", " 1", "1_000", "1,5", "1.", ".5", "0x10", "１２", "1.0000001", "9" * 21]
)
def test_only_plain_decimal_text_is_a_value(text: str) -> None:
    with pytest.raises(raw.RefusedError):
        raw.parse(text, PLAIN)


def test_a_register_that_turns_from_whole_to_decimal_text_stays_the_same() -> None:
    """Seen in a real archive of PZEM meters: 2, then 2.0 after a restart."""
    assert raw.parse("2", PLAIN) == raw.parse("2.0", PLAIN) == 2_000_000


@pytest.mark.parametrize("register", [PLAIN, dataclasses.replace(PLAIN, word_order="little")])
def test_a_sentinel_is_no_reading(register: model.Register) -> None:
    with pytest.raises(raw.RefusedError) as refused:
        raw.decode([0xFFFF, 0xFFFF], register)
    assert refused.value.code == "reading.sentinel"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e30])
def test_a_float_that_is_no_number_is_no_reading(value: float) -> None:
    with pytest.raises(raw.RefusedError):
        raw.decode(words(value), FLOAT)


def test_a_float_is_read_exactly_and_refused_where_it_is_too_coarse() -> None:
    assert raw.decode(words(1234.5), FLOAT) == 1_234_500_000
    with pytest.raises(raw.RefusedError) as refused:
        raw.decode(words(1_500_000.0), FLOAT)
    assert refused.value.code == "reading.float_coarse"


def test_a_signed_register_below_zero_is_no_energy() -> None:
    with pytest.raises(raw.RefusedError):
        raw.decode([0xFFFF, 0xFFFE], dataclasses.replace(PLAIN, kind="int", modulus=2**31))


def test_a_value_at_the_modulus_is_refused() -> None:
    """Mutant: letting it pass hides a register whose modulus was registered wrongly."""
    with pytest.raises(raw.RefusedError):
        raw.parse("1000000", dataclasses.replace(PLAIN, modulus=1_000_000))
