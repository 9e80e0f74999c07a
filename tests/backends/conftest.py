"""Every driver of the contract suite, each over a fresh cloud of its own."""

import os
import pathlib
from collections.abc import Iterator
from typing import Final

import pytest

from tests.backends.openstack_cloud import OpenStackCloud, OpenStackSite
from tests.backends.site import LabCloud, Site

BACKENDS: Final = os.environ.get("GOVPOOL_BACKENDS", "lab").split(",")
"""The clouds that a run has before it: lab, openstack."""
TICKETED: Final = [*(["ticket"] if "lab" in BACKENDS else []), *(["openstack"] if "openstack" in BACKENDS else [])]
collect_ignore = [] if "openstack" in BACKENDS else ["test_openstack.py"]
EVERY: Final = [*TICKETED, *(["tag"] if "lab" in BACKENDS else [])]


@pytest.fixture
def cloud(tmp_path: pathlib.Path) -> Iterator[LabCloud]:
    """A fresh lab cloud."""
    lab = LabCloud(tmp_path / "lab.db")
    yield lab
    lab.kill()


@pytest.fixture(params=["ticket", "tag"])
def lab_site(request: pytest.FixtureRequest, cloud: LabCloud) -> Site:
    """The lab cloud alone, with a ticket and by tag: for what a test asks of its script, its record or its apps."""
    return Site(cloud, {"create": request.param})


@pytest.fixture
def lab_ticketed(cloud: LabCloud) -> Site:
    """The lab cloud with creates that are revocable."""
    return Site(cloud, {"create": "ticket"})


@pytest.fixture
def tagged(cloud: LabCloud) -> Site:
    """A driver whose creates are not."""
    return Site(cloud, {"create": "tag"})


@pytest.fixture
def openstack(tmp_path: pathlib.Path) -> Iterator[OpenStackSite]:
    """A department of its own in the OpenStack of the test bed."""
    cloud = OpenStackCloud(tmp_path)
    site = OpenStackSite(cloud)
    yield site
    cloud.proxy.hung.set()
    cloud.kill()
    cloud.sweep_up(site.installation)


@pytest.fixture(params=EVERY)
def site(request: pytest.FixtureRequest) -> Site:
    """Every driver of this run, each over its own cloud."""
    return _site(request)


@pytest.fixture(params=TICKETED)
def ticketed(request: pytest.FixtureRequest) -> Site:
    """Every driver of this run whose creates are revocable."""
    return _site(request)


def _site(request: pytest.FixtureRequest) -> Site:
    if request.param == "openstack":
        found: Site = request.getfixturevalue("openstack")
        return found
    return Site(request.getfixturevalue("cloud"), {"create": request.param})
