"""Price books and usage events as they are written: every bound is checked, every refusal names its place."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering import books, cloudevents, model
from primitives import clock, errors
from tests.unit.metering import worlds


def written(**spec: Any) -> dict[str, Any]:
    one = {
        "sku": "vm-vcpu",
        "kind": "VirtualMachine",
        "name": "cpu_milli",
        "unit": "vCPU-Hours",
        "price": "0.09",
        "states": ["running"],
    }
    prices = [one | spec.pop("price_of", {})]
    return {"valid_from": "2026-10-01T00:00:00+08:00", "currency": "CNY", "prices": prices} | spec


def read(spec: dict[str, Any], name: str = "2026-10") -> model.PriceBook:
    """The way a document goes: bounded by the struct, then checked."""
    return books.book(name, msgspec.convert(spec, books.BookSpec), generation=1, recorded_at=worlds.OCTOBER.start_at)


def line(**changes: Any) -> bytes:
    event = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "urn:市大数据局",
        "type": "govpool.usage.state",
        "subject": "vm-1",
        "time": "2026-10-01T00:00:00Z",
        "sequence": 1,
        "data": {
            "tenant": "tax",
            "project": "window",
            "kind": "VirtualMachine",
            "state": "running",
            "amounts": {"cpu_milli": 4000, "ram_mib": 8192, "disk_gib": 100},
            "dimensions": {"pool": "a", "zone": "z1", "class": "", "hall": "h1"},
            "labels": {"系统": "一窗通办"},
        },
    }
    data = changes.pop("data", {})
    return json.dumps(event | changes | {"data": event["data"] | data}, ensure_ascii=False).encode()


def test_a_book_survives_the_way_to_its_stored_form_and_back() -> None:
    book = read(written())
    assert books.spec(read(books.spec(book))) == books.spec(book)
    assert (book.valid_from, book.prices[0].micro, sorted(book.free)) == (worlds.OCTOBER.start_at, 90_000, ["instances", "pods"])


def test_a_book_has_a_name_that_fits_on_every_line() -> None:
    with pytest.raises(errors.GovpoolError):
        read(written(), "../etc")


@pytest.mark.parametrize(
    "wrong",
    [
        written(currency="RMB"),
        written(valid_from="2026-10-01T00:00:00"),
        written(valid_from="2026-10-01T00:00:00.5Z"),
        written(prices=[]),
        written(surprise=1),
        written(price_of={"price": "-1"}),
        written(price_of={"price": "0.0000001"}),
        written(price_of={"price": "1e3"}),
        written(price_of={"price": "10000.01"}),
        written(price_of={"price": 0.09}),
        written(price_of={"unit": "vCPU-Months"}),
        written(price_of={"unit": "GiB-Hours"}),
        written(price_of={"states": ["deleted"]}),
        written(prices=written()["prices"] * 2),
    ],
)
def test_a_wrong_price_book_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((errors.GovpoolError, msgspec.ValidationError)):
        read(wrong)


@pytest.mark.parametrize("unit", ["vCPU-Days", "vCPU-Weeks", "vCPU-Months", "vCPU-Years", "GiB-Hours", "vCPU-hours"])
def test_a_price_for_another_length_of_time_cannot_be_stored(unit: str) -> None:
    """ManageIQ/manageiq#12807 stored a rate by the month and applied it by the week."""
    with pytest.raises((errors.GovpoolError, msgspec.ValidationError)):
        read(written(price_of={"unit": unit}))


def test_the_line_of_the_published_example_is_read_as_it_stands() -> None:
    event = cloudevents.parse(line())
    assert (event.subject, event.at, event.sequence) == ("vm-1", clock.parse("2026-10-01T00:00:00Z"), 1)
    assert event.amounts == {"cpu_milli": 4000, "ram_mib": 8192, "disk_gib": 100}
    assert cloudevents.parse(json.dumps(event.as_json()).encode()) == event


def test_a_sequence_may_be_text_as_in_the_cloudevents_extension_and_missing_is_0() -> None:
    assert cloudevents.parse(line(sequence="10")).sequence == 10
    without = json.loads(line())
    del without["sequence"]
    assert cloudevents.parse(json.dumps(without).encode()).sequence == 0


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"[" * 10_000,
        b'{"a":' * 10_000,
        line(surprise=1),
        line(specversion="0.3"),
        line(type="govpool.usage.other"),
        line(id=""),
        line(id="a\x00b"),
        line(subject="x" * 129),
        line(subject="=cmd|' /C calc'!A0"),
        line(subject="a\x1b[31mb"),
        line(time="2026-10-01"),
        line(time="9999-01-01T00:00:00Z"),
        line(sequence=-1),
        line(sequence=10**16),
        line(sequence=1.5),
        line(data={"state": "paused"}),
        line(data={"amounts": {"cpu_milli": -1}}),
        line(data={"amounts": {"cpu_milli": 10**9 + 1}}),
        line(data={"amounts": {"cpu_milli": 0.5}}),
        line(data={"amounts": {"CPU": 1}}),
        line(data={"amounts": {f"a{n}": 1 for n in range(33)}}),
        line(data={"labels": {"x": "y" * 257}}),
        line(data={"labels": {f"k{n}": "" for n in range(65)}}),
        line(data={"labels": {"long": "长" * 40_000}}),
        line(data={"kind": "virtual machine"}),
    ],
)
def test_a_wrong_line_is_a_finding_that_says_why(wrong: bytes) -> None:
    with pytest.raises(errors.GovpoolError) as caught:
        cloudevents.parse(wrong)
    assert caught.value.code == "input.invalid"
    assert caught.value.text("en").isprintable()


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(content: bytes) -> None:
    try:
        cloudevents.parse(content)
    except errors.GovpoolError as error:
        code = error.code
    else:
        code = "input.invalid"
    assert code == "input.invalid"
