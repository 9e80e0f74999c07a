"""Meters, readings and PUE as people meet them: over HTTP, on both databases, with a month of real load from the simulator's plant."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from apiclient import client as api
from apiclient import failure
from primitives import clock, interval
from pue_monitor.model import QUARTER_US
from pue_monitor.simulator import documents, history, load, plant
from store import database as store_database
from tests.integration.tenants_server import City, serving

OCTOBER = interval.month("2026-10")
SPAN = tuple(clock.to_us(at) for at in (OCTOBER.start_at, OCTOBER.end_at))
PERIOD = {"from": "2026-10-01", "to": "2026-11-01"}


@pytest.fixture
def city(database: store_database.Database) -> Iterator[City]:
    """A served city."""
    with serving(database) as made:
        yield made


@pytest.fixture
def operator(city: City) -> api.Client:
    """Cloud operations, with the two halls and seven meters of the plant applied."""
    person = city.person("nanhai", "wang.yun", "王运", "operator")
    apply(person, documents.documents("127.0.0.1", {"hall-a": 502, "hall-b": 503}))
    return person


def apply(client: api.Client, whole: list[dict[str, Any]]) -> Any:
    content = "".join(f"---\n{json.dumps(one, ensure_ascii=False)}\n" for one in whole).encode()
    return client.post("/v1/apply", raw=content, media="application/yaml")


def load_readings(client: api.Client, lines: list[str], key: str = "") -> Any:
    return client.post("/v1/reading-imports", raw="".join(lines).encode(), media="text/csv", key=key)


def refused(call: Callable[[], Any]) -> failure.ProblemError:
    with pytest.raises(failure.ProblemError) as caught:
        call()
    return caught.value


def pue(client: api.Client, hall: str, **period: str) -> Any:
    return client.get(f"/v1/halls/{hall}/pue", **(period or PERIOD))


def true_wh(side: str, hall: str) -> int:
    """What has truly flowed in October, from the plant's own curves."""
    simulated = plant.Plant(load.DATA)
    meters = [meter for meter in plant.METERS if meter.side == side and meter.hall.code == hall]
    return sum((simulated.energy_wh(meter, SPAN[1]) - simulated.energy_wh(meter, SPAN[0])).__floor__() for meter in meters)


def test_a_month_of_readings_becomes_an_interim_pue_that_says_why_it_is_not_reportable(operator: api.Client) -> None:
    report = load_readings(operator, list(history.lines(load.DATA, *SPAN)))
    assert (report["readings"], report["meters"]) == (7 * 2977, 7)
    for hall in ("hall-a", "hall-b"):
        figure = pue(operator, hall)
        assert list(figure) == [
            "hall", "from", "to", "name", "interim", "value", "category", "facility_wh", "it_wh", "intervals", "completeness",
            "quality", "reportable", "reasons",
        ]  # fmt: skip
        assert (figure["name"], figure["interim"], figure["reportable"], figure["intervals"]) == ("PUE", True, False, 2976)
        assert abs(figure["facility_wh"] - true_wh("facility", hall)) <= 200
        assert abs(figure["it_wh"] - true_wh("it", hall)) <= 200
        assert figure["value"] == f"{(figure['facility_wh'] * 2000 + figure['it_wh']) // (2 * figure['it_wh']) / 1000:.3f}"
        assert figure["completeness"] == {"energy": "1.0000", "profile": "1.0000"}
        assert [reason["code"] for reason in figure["reasons"]] == ["period.short"]
    wraps = [event for event in operator.pages("/v1/register-events", meter="hall-a-main-1") if event["happening"] == "rollover"]
    assert wraps


def test_the_summary_follows_a_reading_that_is_taken_away(operator: api.Client) -> None:
    """One reading less: the total stays, the shape is guessed, and the figure says so.  The last one less: an explicit hole."""
    lines = list(history.lines(load.DATA, SPAN[0], SPAN[0] + 96 * QUARTER_US))
    lost = [line for line in lines if not (line.startswith("hall-a-pdu-1,") and "2026-09-30T20:00:00Z" in line)]
    assert len(lost) == len(lines) - 1
    load_readings(operator, [line for line in lost if not (line.startswith("hall-b-ups-1,") and "2026-10-01T16:00:00Z" in line)])
    day = {"from": "2026-10-01", "to": "2026-10-02"}
    first, second = pue(operator, "hall-a", **day), pue(operator, "hall-b", **day)
    assert (first["quality"]["R"], first["quality"]["M"], first["completeness"]["profile"]) == (2, 94, "0.9791")
    assert (second["intervals"], second["quality"]["X"], second["completeness"]["energy"]) == (95, 1, "0.9895")
    assert "completeness.energy" in {reason["code"] for reason in second["reasons"]}
    load_readings(operator, lines)
    assert pue(operator, "hall-a", **day)["quality"]["M"] == 96
    assert pue(operator, "hall-b", **day)["intervals"] == 96


def test_the_ledger_adds_up_to_the_figure_page_by_page(operator: api.Client) -> None:
    load_readings(operator, list(history.lines(load.DATA, SPAN[0], SPAN[0] + 40 * QUARTER_US)))
    span = {"from": "2026-10-01T00:00:00+08:00", "to": "2026-10-01T10:00:00+08:00"}
    rows = list(operator.pages("/v1/halls/hall-a/ledger", limit=7, **span))
    figure = pue(operator, "hall-a", **span)
    assert len(rows) == 40
    assert sum(row["facility_wh"] for row in rows) == figure["facility_wh"]
    assert sum(row["it_wh"] for row in rows) == figure["it_wh"]
    assert [row["start_at"] for row in rows] == sorted({row["start_at"] for row in rows})


def test_applying_the_same_documents_again_changes_nothing(operator: api.Client) -> None:
    again = apply(operator, documents.documents("127.0.0.1", {"hall-a": 502, "hall-b": 503}))
    assert again["counts"] == {"created": 0, "changed": 0, "unchanged": 9}
    meter = operator.get("/v1/meters/hall-a-main-1")
    shown = {name: meter[name] for name in ("apiVersion", "kind", "metadata", "spec", "status")}
    assert apply(operator, [shown])["counts"]["unchanged"] == 1


def test_a_scale_in_kwh_is_the_same_as_one_in_wh(operator: api.Client) -> None:
    spec = operator.get("/v1/meters/hall-a-main-1")["spec"]
    spec["registers"][0] |= {"scale": "0.1", "unit": "kWh"}
    assert operator.put("/v1/meters/hall-a-main-1", spec)["metadata"]["generation"] == 1


def test_an_import_with_findings_imports_nothing_and_names_the_lines(operator: api.Client) -> None:
    lines = list(history.lines(load.DATA, SPAN[0], SPAN[0] + QUARTER_US))
    with pytest.raises(failure.ProblemError) as caught:
        load_readings(
            operator, [*lines, "hall-a-main-1,energy,2026-10-01T00:00:00Z,1000000\n", "x,energy,2026-10-01T00:00:00Z,1\n"]
        )
    assert (caught.value.status, caught.value.code) == (400, "reading.import_findings")
    assert [(one["place"], one["code"]) for one in caught.value.findings] == [
        ("line 16", "reading.range"),
        ("line 17", "meter.unknown"),
    ]
    assert list(operator.pages("/v1/last-readings")) == []


def test_the_same_key_answers_the_same_and_the_same_file_changes_nothing(operator: api.Client) -> None:
    lines = list(history.lines(load.DATA, SPAN[0], SPAN[0] + 4 * QUARTER_US))
    first = load_readings(operator, lines, key="oct")
    assert load_readings(operator, lines, key="oct") == first
    load_readings(operator, lines)
    assert len(list(operator.pages("/v1/readings", meter="hall-a-main-1", limit=2))) == 5


def test_a_swap_is_declared_with_its_work_order_and_bridges(operator: api.Client) -> None:
    lines = list(history.lines(load.DATA, SPAN[0], SPAN[0] + 8 * QUARTER_US))
    values = {line.split(",")[2]: int(line.split(",")[3]) for line in lines if line.startswith("hall-a-pdu-2,")}
    moments = sorted(values)
    kept = [line for line in lines if not line.startswith("hall-a-pdu-2,") or line.split(",")[2] <= moments[4]]
    fresh = [f"hall-a-pdu-2,energy,{at},{values[at] - values[moments[4]]}\n" for at in moments[5:]]
    load_readings(operator, [*kept, *fresh])
    day = {"from": "2026-10-01T00:00:00+08:00", "to": "2026-10-01T02:00:00+08:00"}
    assert pue(operator, "hall-a", **day)["intervals"] == 7
    at = moments[4].replace(":00Z", ":01Z")
    swap = {"swapped_at": at, "final_value": str(values[moments[4]]), "first_value": "0", "work_order": "工单-2026-1001"}
    refusal = refused(lambda: operator.post("/v1/meters/hall-a-pdu-2/swaps", swap | {"final_value": "999999"}))
    assert refusal.code == "swap.disagrees"
    assert operator.post("/v1/meters/hall-a-pdu-2/swaps", swap)["work_order"] == "工单-2026-1001"
    load_readings(operator, [*kept, *fresh])
    figure = pue(operator, "hall-a", **day)
    assert figure["intervals"] == 8
    assert operator.get("/v1/meters/hall-a-pdu-2")["status"]["swaps"][0]["final_value"] == str(values[moments[4]])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rating_w": 0}, "rating_w"),
        ({"side": "both"}, "side"),
        ({"gateway": "10.0.0.1"}, "spec.gateway"),
        ({"gateway": "http://10.0.0.1:502"}, "spec.gateway"),
        ({"registers": []}, "registers"),
        ({"registers": [{"scale": "1e3"}]}, "scale"),
        ({"registers": [{"scale": "0"}]}, "scale"),
        ({"registers": [{"scale": 0.1}]}, "scale"),
        ({"registers": [{"modulus": "4294967297"}]}, "modulus"),
        ({"registers": [{"kind": "float"}]}, "kind"),
        ({"registers": [{"unit": "kW"}]}, "unit"),
        ({"registers": [{}, {}]}, "registers"),
        ({"calibrated_until": "soon"}, "calibrated_until"),
        ({"installed_at": "2026-02-01", "removed_at": "2026-01-01"}, "removed_at"),
        ({"rating": 1}, "rating"),
    ],
)
def test_a_meter_that_cannot_be_is_refused_with_its_field(operator: api.Client, change: dict[str, Any], field: str) -> None:
    spec = {"hall": "hall-a", "side": "it", "rating_w": 1000, "registers": [{}]} | change
    refusal = refused(lambda: operator.put("/v1/meters/new-meter", spec))
    assert (refusal.status, refusal.code) == (400, "input.invalid")
    assert field in str(refusal)


@pytest.mark.parametrize(
    "period",
    [
        {"from": "2026-11-01", "to": "2026-10-01"},
        {"from": "2026-10-01T00:07:00Z", "to": "2026-11-01"},
        {"from": "2000-01-01", "to": "2026-10-01"},
        {"from": "2026-10-01T00:00:00", "to": "2026-11-01"},
        {"from": "2026-13-01", "to": "2026-11-01"},
        {"from": "yesterday", "to": "2026-11-01"},
    ],
)
def test_a_period_that_is_none_is_refused(operator: api.Client, period: dict[str, str]) -> None:
    assert refused(lambda: pue(operator, "hall-a", **period)).status == 400


def test_who_may_do_what_with_meters(city: City, operator: api.Client) -> None:
    city.department("tax", "税务局")
    head = city.person("tax", "li.shui", "李税", "viewer")
    assert pue(head, "hall-a")["value"] is None  # everyone who works here may see PUE ...
    for forbidden in (
        lambda: head.get("/v1/meters"),
        lambda: head.get("/v1/readings", meter="hall-a-main-1"),
        lambda: head.get("/v1/meter-powers"),
        lambda: load_readings(head, ["meter,register,read_at,value\n"]),
        lambda: head.post(
            "/v1/meters/hall-a-main-1/swaps",
            {"swapped_at": "2026-10-01", "final_value": "1", "first_value": "0", "work_order": "w"},
        ),
    ):
        assert refused(forbidden).status == 403
    assert refused(lambda: operator.get("/v1/meters/none")).status == 404
    assert refused(lambda: operator.get("/v1/halls/none/pue", **PERIOD)).status == 404


def test_an_undeclared_exchange_is_told_to_the_operators_once(operator: api.Client) -> None:
    def line(quarter: int, value: int) -> str:
        return f"hall-b-ups-1,energy,2026-10-01T{quarter // 4:02d}:{quarter % 4 * 15:02d}:00Z,{value}\n"

    before = [line(quarter, 900_000_000 + quarter * 40_000) for quarter in range(8)]
    after = [line(quarter, 500 + quarter * 40_000) for quarter in range(8, 16)]
    load_readings(operator, ["meter,register,read_at,value\n", *before, *after])
    load_readings(operator, ["meter,register,read_at,value\n", line(16, 500 + 16 * 40_000)])
    load_readings(operator, ["meter,register,read_at,value\n", "hall-b-ups-1,energy,2026-10-01T00:07:00Z,900018000\n"])
    told = [one for one in operator.pages("/v1/notices") if one["code"] == "register.reset"]
    assert len(told) == 1
    assert "hall-b-ups-1" in json.dumps(told[0])


def test_an_import_stands_in_the_trail_with_the_hash_of_its_file(city: City, operator: api.Client) -> None:
    lines = list(history.lines(load.DATA, SPAN[0], SPAN[0] + QUARTER_US))
    report = load_readings(operator, lines)
    trail = [line for line in city.audit.pages("/v1/audit-lines") if line.get("action") == "reading.import"]
    assert len(trail) == 1
    assert report["sha256"] in json.dumps(trail[0])
