"""What the OpenStack driver takes as settings, and that nothing of a clouds.yaml but names of clouds and regions gets into an answer."""

import json
import pathlib
from typing import Any

import pytest

from primitives import errors
from provisioners import contract, registry

SECRET = "s3cret-passw0rd"
AUTH = {"auth_url": "http://127.0.0.1:5000/v3", "username": "govpool", "password": SECRET, "project_name": "admin"}
CLOUDS: dict[str, Any] = {
    "city": {"region_name": "east", "auth": AUTH},
    "wide": {"regions": ["east", {"name": "west"}], "auth": AUTH},
    "token": {"auth": {"auth_url": AUTH["auth_url"], "token": SECRET}},
    "system": {"auth": {"auth_url": AUTH["auth_url"], "username": "a", "password": SECRET, "system_scope": "all"}},
}


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    """A clouds.yaml that only we may read."""
    path = tmp_path / "clouds.yaml"
    path.touch(0o600)
    path.write_text(json.dumps({"clouds": CLOUDS}), encoding="utf-8")
    return path


def refused(settings: dict[str, Any]) -> errors.GovpoolError:
    """The fault of a driver that cannot be made."""
    with pytest.raises(errors.GovpoolError) as refusal:
        registry.driver("openstack", settings)
    assert refusal.value.code == "driver.settings"
    assert SECRET not in refusal.value.text("en") + refusal.value.text("zh")
    return refusal.value


def test_a_driver_is_made_without_a_connection(file: pathlib.Path) -> None:
    driver = registry.driver("openstack", {"clouds_file": str(file), "cloud": "city", "image.debian-12": "debian"})
    assert driver.revocable
    assert not driver.simulated
    assert driver.kinds == {contract.VIRTUAL_MACHINE, contract.VOLUME} == set(driver.actions)
    assert driver.bounds.limit_step == {"cpu_milli": 1000}


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"cloud": "mars"}, "cloud"),
        ({"cloud": "token"}, "cloud"),
        ({"cloud": "system"}, "cloud"),
        ({"cloud": "wide"}, "region"),
        ({"cloud": "wide", "region": "north"}, "region"),
        ({"cloud": "city", "region": "west"}, "region"),
        ({"network_v4": "10.0.0.1/8"}, "network_v4"),
        ({"network_v4": "8.8.8.0/24"}, "network_v4"),
        ({"network_v4": "10.0.0.0/30"}, "network_v4"),
        ({"service_class": "Gold!"}, "service_class"),
        ({"make_flavors": 1}, "make_flavors"),
        ({"call_s": 0}, "call_s"),
        ({"call_s": True}, "call_s"),
        ({"image.debian-12": ""}, "image.debian-12"),
        ({"image.": "x"}, "image."),
        ({"password": SECRET}, "password"),
        ({"hall": "a\nb"}, "hall"),
    ],
)
def test_settings_out_of_bounds_name_their_field(file: pathlib.Path, settings: dict[str, Any], field: str) -> None:
    assert refused({"clouds_file": str(file), "cloud": "city"} | settings).values["field"] == field


def test_a_region_is_chosen_where_there_are_several(file: pathlib.Path) -> None:
    assert registry.driver("openstack", {"clouds_file": str(file), "cloud": "wide", "region": "west"}).name == "openstack"


def test_a_file_that_others_may_read_is_refused_with_the_command_that_mends_it(file: pathlib.Path) -> None:
    file.chmod(0o640)
    assert f"chmod 600 {file}" in refused({"clouds_file": str(file), "cloud": "city"}).text("en")


@pytest.mark.parametrize("content", ["clouds: [", "[1, 2]", "other: {}", "clouds: 7", ""])
def test_a_file_that_is_no_clouds_yaml_is_refused(file: pathlib.Path, content: str) -> None:
    file.write_text(content, encoding="utf-8")
    assert refused({"clouds_file": str(file), "cloud": "city"}).values["field"] == "clouds_file"


def test_a_file_that_is_absent_or_named_relatively_is_refused(tmp_path: pathlib.Path) -> None:
    assert refused({"clouds_file": str(tmp_path / "none.yaml"), "cloud": "city"}).values["field"] == "clouds_file"
    assert refused({"clouds_file": "clouds.yaml", "cloud": "city"}).values["field"] == "clouds_file"
