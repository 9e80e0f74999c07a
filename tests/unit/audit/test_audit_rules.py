"""The chain of the trail: whatever is done to it later shows."""

import dataclasses
import hashlib

from hypothesis import given
from hypothesis import strategies as st

from audit import model, rules
from primitives import canonical

CONTENTS = st.lists(st.binary(max_size=60), min_size=1, max_size=12)


def trail(contents: list[bytes]) -> list[model.Record]:
    """A sound trail, hashed by hand and not by the room's own functions."""
    chain, records = bytes(32), []
    for seq, content in enumerate(contents, 1):
        leaf = hashlib.sha256(b"\x00" + content).digest()
        chain = hashlib.sha256(chain + leaf).digest()
        records.append(model.Record(seq=seq, content=content, leaf_hash=leaf.hex(), chain_hash=chain.hex()))
    return records


@given(CONTENTS)
def test_a_sound_trail_verifies_and_gives_its_last_hash(contents: list[bytes]) -> None:
    records = trail(contents)
    verdict = rules.verify(records)
    assert (verdict.records, verdict.chain_hash, verdict.flaw) == (len(records), records[-1].chain_hash, "")


@given(CONTENTS, st.data())
def test_an_altered_line_is_named(contents: list[bytes], data: st.DataObject) -> None:
    records = trail(contents)
    at = data.draw(st.integers(0, len(records) - 1))
    records[at] = dataclasses.replace(records[at], content=records[at].content + b"!")
    assert f"line {at + 1} was altered" in rules.verify(records).flaw


@given(CONTENTS, st.data())
def test_an_altered_line_with_its_own_hash_made_anew_breaks_the_chain(contents: list[bytes], data: st.DataObject) -> None:
    records = trail(contents)
    at = data.draw(st.integers(0, len(records) - 1))
    content = records[at].content + b"!"
    records[at] = dataclasses.replace(records[at], content=content, leaf_hash=hashlib.sha256(b"\x00" + content).hexdigest())
    assert f"line {at + 1} does not continue" in rules.verify(records).flaw


@given(st.lists(st.binary(max_size=60), min_size=2, max_size=12, unique=True), st.data())
def test_a_missing_or_moved_line_is_named(contents: list[bytes], data: st.DataObject) -> None:
    records = trail(contents)
    at = data.draw(st.integers(0, len(records) - 2))
    without = records[:at] + records[at + 1 :]
    assert f"line {at + 1} is missing" in rules.verify(without).flaw
    swapped = [*records]
    swapped[at], swapped[at + 1] = swapped[at + 1], swapped[at]
    assert rules.verify(swapped).flaw


def test_the_canonical_form_does_not_depend_on_the_order_of_keys_and_refuses_floats() -> None:
    assert canonical.dumps({"乙": 1, "a": [2, None]}) == canonical.dumps({"a": [2, None], "乙": 1})
    for hidden in ({"x": 1.0}, [1, {"y": [0.5]}]):
        try:
            canonical.dumps(hidden)
        except TypeError:
            continue
        raise AssertionError("a float passed")
