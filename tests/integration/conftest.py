"""Fixtures that several worlds share: a lab cloud, a bureau that orders over it, a database for several servers, days that pass."""

import datetime
import pathlib
from collections.abc import Callable, Iterator

import pytest

from primitives import clock
from tests.conftest import Cluster
from tests.integration import lab_process
from tests.integration.office import Office
from tests.integration.reconciler_world import lab_cloud


@pytest.fixture
def lab(tmp_path: pathlib.Path) -> Iterator[lab_process.Lab]:
    """A fresh lab cloud."""
    with lab_cloud(tmp_path) as running:
        yield running


@pytest.fixture
def office(database_url: str, lab: lab_process.Lab) -> Iterator[Office]:
    """A bureau that orders."""
    made = Office(database_url, lab)
    yield made
    made.close()


@pytest.fixture
def cluster_url(cluster: Cluster) -> Iterator[str]:
    """A fresh database that several servers may use."""
    url = cluster.fresh()
    yield url
    cluster.drop(url)


@pytest.fixture
def later() -> Iterator[Callable[[float], None]]:
    """So many days have passed since the test began."""
    yield lambda days: clock.shift(datetime.timedelta(days=days))
    clock.shift(datetime.timedelta(0))
