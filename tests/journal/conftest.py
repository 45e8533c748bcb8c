"""Each contract test runs on every journal: `local` on each backend, and one that lags behind; or on a real nats-server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.homes import mongo
from tests.store.kit import Home, MongoHome, SqliteHome, over_delayed
from tests.store.mongo_server import NxServer, given_uri
from tests.support.jetstream import StreamHome
from tests.support.nats_server import NatsServer

__all__ = ["mongo"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What every journal promises is tried on each of them; what only a module's `OF_ONE_PROCESS` do, on those."""
    if "home" in metafunc.fixturenames:
        alone = metafunc.function.__name__ in getattr(metafunc.module, "OF_ONE_PROCESS", ())
        homes = ["sqlite", "mongo", "delayed-sqlite", "delayed-mongo"]
        metafunc.parametrize("home", homes if alone else [*homes, "jetstream"], indirect=True)


@pytest.fixture
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    """A home for data on a backend, with the journal that is opened over it."""
    if request.param == "jetstream":
        return StreamHome(tmp_path / "data", request.getfixturevalue("nats"))
    journal, _, backend = request.param.rpartition("-")
    found: Home
    if backend == "sqlite":
        found = SqliteHome(tmp_path / "data")
    else:
        server: NxServer = request.getfixturevalue("nx_server")
        found = MongoHome(given_uri() or server.uri())
    if journal == "delayed":
        found.opening = over_delayed
    return found


@pytest.fixture
def own_nats(tmp_path: Path) -> Iterator[NatsServer]:
    """A nats-server that the test may kill."""
    server = NatsServer(tmp_path / "nats")
    server.start()
    yield server
    server.kill()
