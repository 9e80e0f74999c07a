"""The benchmarks run: a moment of each, without a look at their figures."""

import pathlib

import pytest

from benchmarks import cli, memory, orders, quota, quota_peers, run


def test_orders_are_measured_in_process_and_through_http_beside_one_transaction_each() -> None:
    found = orders.measured(rounds=1, seconds=0.2, databases=("sqlite",))
    kinds = {f"{callers} {kind}" for callers in orders.CALLERS for kind in ("group commit", "one each")}
    assert {way: set(made) for way, made in found["sqlite"].items()} == {"in process": kinds, "HTTP": kinds}
    assert all(made["cpu_us"] > 0 for ways in found.values() for way in ways.values() for made in way.values())
    assert len(list(orders.table(found))) == 1 + 2 * len(orders.CALLERS)


def test_commands_and_memory_are_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path) -> None:
    monkeypatch.setattr(cli, "OPENSTACK", tmp_path / "not installed")
    found = cli.measured(turns=1)
    assert cli.ratio(found, "govpool --help", cli.BARE) is not None
    assert cli.ratio(found, "govpool vm list", "openstack server list") is None
    assert memory.measured(after_s=1)["resident_mib"] > memory.measured(after_s=0)["bare_python_mib"]


def test_quota_is_measured_beside_its_peers_and_every_aim_is_judged() -> None:
    found = quota.measured(rounds=1, seconds=0.2, large=300)
    shapes = {*quota.OURS.values(), *quota_peers.SCRIPTS}
    assert {key[0] for key in found["decisions"]} == shapes
    assert len(found["decisions"]) == len(shapes) * len(quota.CALLERS) * len(quota.SPANS)
    assert all(one.per_s > 0 and one.cpu_us > 0 for rounds in found["decisions"].values() for one in rounds)
    for subject, rounds in found.items():
        assert len(list(quota.table(subject, rounds))) == 1 + len(rounds)
    assert len(list(quota.aim_table(quota.aims(found)))) == 1 + 9


def test_a_table_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    run.printed([["command", "CPU ms"], ["govpool --help", "11.2"]])
    assert capsys.readouterr().out == "\ncommand         CPU ms\ngovpool --help    11.2\n"
