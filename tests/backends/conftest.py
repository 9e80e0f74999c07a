"""Every driver of the contract suite, each over a fresh cloud of its own."""

import pathlib
from collections.abc import Iterator

import pytest

from tests.backends.site import LabCloud, Site


@pytest.fixture
def cloud(tmp_path: pathlib.Path) -> Iterator[LabCloud]:
    """A fresh lab cloud."""
    lab = LabCloud(tmp_path / "lab.db")
    yield lab
    lab.kill()


@pytest.fixture(params=["ticket", "tag"])
def site(request: pytest.FixtureRequest, cloud: LabCloud) -> Site:
    """Every driver of the suite, each over its own cloud."""
    return Site(cloud, {"create": request.param})


@pytest.fixture
def ticketed(cloud: LabCloud) -> Site:
    """A driver whose creates are revocable."""
    return Site(cloud, {"create": "ticket"})


@pytest.fixture
def tagged(cloud: LabCloud) -> Site:
    """A driver whose creates are not."""
    return Site(cloud, {"create": "tag"})
