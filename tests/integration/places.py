"""Empty databases for whatever makes its own: a server process, a restore."""

import contextlib
import pathlib
import uuid
from collections.abc import Iterator
from typing import Any

import pytest


@contextlib.contextmanager
def empty_database(request: pytest.FixtureRequest, folder: pathlib.Path, kind: str = "") -> Iterator[str]:
    """The URL of a database that holds nothing; `kind` is the fixture's parameter if not given."""
    if (kind or request.param) == "sqlite":
        path = folder / uuid.uuid4().hex / "govpool.db"
        path.parent.mkdir()
        yield f"sqlite://{path}"
        return
    cluster: Any = request.getfixturevalue("cluster")
    name = f"t{uuid.uuid4().hex}"
    with cluster.connect("postgres") as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield cluster.url(name)
    cluster.drop(cluster.url(name))
