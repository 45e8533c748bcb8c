"""Each contract test runs on every journal: `local` on each backend, and one that lags behind; or on a real nats-server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.homes import mongo, nx_server
from tests.store.kit import Home, MongoHome, SqliteHome, over_delayed
from tests.store.mongo_server import NxServer, given_uri
from tests.support.nats_server import NatsServer

__all__ = ["home", "mongo", "nx_server"]


@pytest.fixture(params=["sqlite", "mongo", "delayed-sqlite", "delayed-mongo"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    """A home for data on a backend, with the journal that is opened over it."""
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


@pytest.fixture(scope="session")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """One nats-server for all tests that do not hurt it."""
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def own_nats(tmp_path: Path) -> Iterator[NatsServer]:
    """A nats-server that the test may kill."""
    server = NatsServer(tmp_path / "nats")
    server.start()
    yield server
    server.kill()
