"""The commands of halls, meters, readings and PUE as typed: every form, both languages, exit codes, rehearsals."""

import json
import pathlib
from collections.abc import Callable, Iterator

import pytest

from primitives import clock
from pue_monitor import model, service
from store import database as store_database
from tests.integration import process
from tests.integration.tenants_server import City, serving

Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def city(database: store_database.Database) -> Iterator[City]:
    """南海区, served."""
    with serving(database) as served:
        yield served


@pytest.fixture
def typed(city: City, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    """Run a command as an operator, or as `token`; gives exit code, standard output and standard error."""
    operator = city.person("nanhai", "wang.yun", "王运", "operator")
    monkeypatch.setenv("GOVPOOL_CONFIG", str(tmp_path / "contexts.json"))
    monkeypatch.setenv("GOVPOOL_SERVER", city.url)
    monkeypatch.delenv("GOVPOOL_CONTEXT", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(line: str, *, lang: str = "en", token: str = operator.token) -> tuple[int, str, str]:
        monkeypatch.setenv("GOVPOOL_TOKEN", token)
        capsys.readouterr()
        code = process.here([*line.split(), "--lang", lang])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


@pytest.fixture
def metered(typed: Typed, tmp_path: pathlib.Path) -> Typed:
    """A hall with a main meter in 0.1 kWh and a UPS meter in Wh, and four hours of readings."""
    made = typed("hall set hall-a --name 一号模块 --site 政务云中心 --category 2")
    assert made[0] == 0, made
    assert (
        typed("meter create main --hall hall-a --side facility --rating-w 400000 --scale 100 --modulus 1000000 --name 进线")[0] == 0
    )
    assert typed("meter create ups --hall hall-a --side it --rating-w 400000 --calibrated-until 2030-01-01")[0] == 0
    lines = ["meter,register,read_at,value"]
    for quarter in range(17):
        at = f"2026-10-01T{quarter // 4:02d}:{quarter % 4 * 15:02d}:00+08:00"
        lines += [f"main,energy,{at},{(999_000 + quarter * 130) % 1_000_000}", f"ups,energy,{at},{quarter * 10_000}"]
    (tmp_path / "readings.csv").write_text("\n".join(lines), encoding="utf-8")
    return typed


def test_from_a_new_hall_to_its_pue(metered: Typed, tmp_path: pathlib.Path) -> None:
    rehearsed = metered("reading import readings.csv --dry-run -o json")
    assert (rehearsed[0], json.loads(rehearsed[1])["readings"], json.loads(rehearsed[1])["id"]) == (0, 34, "")
    assert metered("reading last -o name")[1] == ""
    assert metered("reading import readings.csv")[0] == 0
    period = "--from 2026-10-01T00:00:00+08:00 --to 2026-10-01T04:00:00+08:00"
    figure = json.loads(metered(f"pue show --hall hall-a {period} -o json")[1])
    assert (figure["value"], figure["facility_wh"], figure["it_wh"], figure["intervals"]) == ("1.300", 208_000, 160_000, 16)
    code, shown, _ = metered(f"pue show --hall hall-a {period}", lang="zh")
    assert code == 0
    assert "iPUE2" in shown
    assert "period.short: 不足 12 个月" in shown
    assert "calibration.unknown: 未登记检定有效期：main" in shown
    assert len(metered(f"pue ledger --hall hall-a {period} -o csv")[1].splitlines()) == 17
    assert "rollover" in metered("reading events --meter main")[1]


def test_every_reading_command_answers_in_every_form(metered: Typed) -> None:
    assert metered("reading import readings.csv")[0] == 0
    for line in [
        "hall list", "hall show hall-a", "meter list", "meter list --hall hall-a", "meter show main", "reading list --meter ups",
        "reading last", "reading events --meter main", "facility power", "pue show --hall hall-a --from 2026-10 --to 2026-11",
        "pue ledger --hall hall-a --from 2026-10-01 --to 2026-10-02",
    ]:  # fmt: skip
        for form in ("table", "json", "yaml", "csv", "name"):
            for lang in ("en", "zh"):
                code, out, err = metered(f"{line} -o {form}", lang=lang)
                assert (code, err) == (0, ""), (line, form, err)
            if form == "json":
                json.loads(out)


def test_a_swap_from_the_command_line(metered: Typed) -> None:
    assert metered("reading import readings.csv")[0] == 0
    at = "--at 2026-10-01T04:00:30+08:00 --first 0 --work-order 工单-7"
    code, _, err = metered(f"meter swap main {at} --final 400000")
    assert (code, "swap.disagrees" in err, err.count("\n")) == (7, True, 4)
    assert metered(f"meter swap main {at} --final 1080")[0] == 0
    assert metered(f"meter swap main {at} --final 1080")[0] == 7
    assert "工单-7" in metered("meter show main -o json")[1]
    assert metered("meter withdraw-swap main --at 2026-10-01T05:00:00+08:00 --reason 没有这次换表")[0] == 3
    withdrawn = json.loads(metered("meter withdraw-swap main --at 2026-10-01T04:00:30+08:00 --reason 时间有误 -o json")[1])
    assert (withdrawn["withdrawal"], withdrawn["final_value"]) == ("时间有误", "1080")
    assert metered(f"meter swap main {at} --final 1080")[0] == 0, "a corrected declaration takes the place of the withdrawn one"


def test_exit_codes_say_what_went_wrong(metered: Typed, city: City, tmp_path: pathlib.Path) -> None:
    assert metered("meter show nobody")[0] == 3
    assert metered("hall show nowhere")[0] == 3
    assert metered("meter create main --hall hall-a --side it --rating-w 1")[0] == 7, "create never changes what exists"
    assert metered("meter create x --hall hall-a --side both --rating-w 1")[0] == 2
    assert metered("pue show --hall hall-a --from 2026-10-02 --to 2026-10-01")[0] == 2
    assert metered("reading import none.csv")[0] == 2
    assert metered("facility history --month 2199-01 --out x.csv")[0] == 2
    (tmp_path / "bad.csv").write_text("meter,register,read_at,value\nmain,energy,2026-10-01T00:00:00Z,-5\n", encoding="utf-8")
    code, _, err = metered("reading import bad.csv")
    assert code == 2
    assert "line 2" in err
    viewer = city.person("nanhai", "li.shui", "李税", "requester")
    assert metered("meter list", token=viewer.token)[0] == 5
    assert metered("pue show --hall hall-a --from 2026-10 --to 2026-11", token=viewer.token)[0] == 0


def test_live_power_and_its_problem_are_shown(metered: Typed, database: store_database.Database) -> None:
    meters = {meter.code: meter for meter in database.read(service.meters)}
    now_us = clock.to_us(clock.now())
    signs = [
        model.Live(meter_id=meters["main"].id, at_us=now_us, power_w=150_000, problem=""),
        model.Live(meter_id=meters["ups"].id, at_us=now_us - 1, power_w=120_000, problem=""),
        model.Live(meter_id=meters["ups"].id, at_us=now_us, power_w=None, problem="the gateway does not accept a connection"),
    ]
    for sign in signs:
        database.lane.run(lambda tx, one=sign: service.saw(tx, [one]))  # type: ignore[misc]
    rows = {row["meter"]: row for row in json.loads(metered("facility power -o json")[1])}
    assert (rows["main"]["power_w"], rows["main"]["problem"]) == (150_000, "")
    assert (rows["ups"]["power_w"], rows["ups"]["problem"]) == (None, "the gateway does not accept a connection")
