"""The checker itself: it finds every kind of damage that is done to either side by hand."""

import pathlib
import sqlite3

import pytest

from tests.integration import checker
from tests.integration.reconciler_world import World, lab_cloud

OURS = {
    "ghost": "UPDATE resources SET facts = json_remove(facts, '$.cloud_id') WHERE name = '完好-01'",
    "orphan": "UPDATE resources SET state = 'gone', desired = 'down', ended_at = 1 WHERE name = '完好-01'",
    "quota": "DELETE FROM quota_amounts WHERE name = 'cpu_milli'",
    "drawn": "UPDATE grants SET drawn = drawn + 1 WHERE name = 'ram_mib'",
    "room": "UPDATE pool_amounts SET amount = amount + 1 WHERE name = 'disk_gib'",
    "is still creating": "UPDATE resources SET state = 'creating' WHERE name = '完好-01'",
    "running and has no guest": 'UPDATE resources SET facts = \'{"state": "running", "cloud_id": "guest-0"}\' WHERE name = \'完好-01\'',
    "in the cloud and": "UPDATE resources SET amounts = json_set(amounts, '$.cpu_milli', 9) WHERE name = '完好-01'",
}
THEIRS = {
    "duplicate": "UPDATE guests SET resource_id = (SELECT max(resource_id) FROM guests)",
    "ghost": "UPDATE guests SET deleted_at = '2026-10-01T00:00:00Z' WHERE name = '完好-01'",
    "is running here and stopped": "UPDATE guests SET state = 'stopped' WHERE name = '完好-01'",
    "orphan: ticket": "UPDATE tickets SET id = 'ticket-0' WHERE guest_id = (SELECT id FROM guests WHERE name = '完好-01')",
    "native limit": "UPDATE tenants SET limits = '{}'",
    "uses": "UPDATE used SET amount = amount + 1 WHERE name = 'instances'",
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, sqlite_template: pathlib.Path) -> pathlib.Path:
    """A folder with a sound database and the lab's file beside it."""
    folder = tmp_path_factory.mktemp("sound")
    (folder / "govpool.db").write_bytes(sqlite_template.read_bytes())
    with lab_cloud(folder) as lab:
        world = World(f"sqlite://{folder / 'govpool.db'}", lab)
        for name in ("完好-01", "完好-02"):
            world.want(name)
        world.work()
        world.close()
    return folder


@pytest.mark.parametrize(
    ("file", "finding", "damage"),
    [("govpool.db", *one) for one in OURS.items()] + [("lab.db", *one) for one in THEIRS.items()],
)
def test_damage_on_either_side_is_found(sound: pathlib.Path, tmp_path: pathlib.Path, file: str, finding: str, damage: str) -> None:
    for path in sound.iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    url, lab_file = f"sqlite://{tmp_path / 'govpool.db'}", tmp_path / "lab.db"
    assert checker.check(url, lab_file) == []
    connection = sqlite3.connect(tmp_path / file)
    connection.execute("PRAGMA ignore_check_constraints = ON")
    assert connection.execute(damage).rowcount >= 1
    connection.commit()
    connection.close()
    assert any(finding in one or (finding == "drawn" and "draws" in one) for one in checker.check(url, lab_file))
