"""JSON text of columns is, to the byte, what canonical JSON is: hashes and comparisons must not depend on who wrote it."""

import enum

import hypothesis
import pytest
from hypothesis import strategies as st

from primitives import canonical
from store import text

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner)
    ),
    max_leaves=20,
)


class Colour(enum.StrEnum):
    """A text with a name."""

    RED = "红"


@hypothesis.given(VALUES)
def test_the_bytes_are_those_of_canonical_json(value: object) -> None:
    assert text.dumps(value) == canonical.dumps(value)
    assert text.digest(value) == canonical.digest(value) == text.digest(None, text.of(value))


@pytest.mark.parametrize(
    "value", ['\x00\x1f\x7f\u2028\ud7ff\U0001f600/\\"\b\f\n\r\t', {"b": 1, "a": {"ü": [], "z": ()}}, Colour.RED, {Colour.RED: 1}]
)
def test_texts_of_every_sort_are_written_alike(value: object) -> None:
    assert text.dumps(value) == canonical.dumps(value)


@pytest.mark.parametrize("value", [1.0, [1, {"a": 0.5}], {"a": (1, float("nan"))}])
def test_a_float_has_no_place_in_either(value: object) -> None:
    for dumps in (text.dumps, canonical.dumps):
        with pytest.raises(TypeError, match="float"):
            dumps(value)
