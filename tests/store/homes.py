"""The fixtures of the contract tests: a home for data on each backend."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.store.kit import Home, MongoHome, SqliteHome
from tests.store.mongo_server import NxServer, given_uri


@pytest.fixture(params=["sqlite", "mongo"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Home:
    if request.param == "sqlite":
        return SqliteHome(tmp_path / "data")
    uri = given_uri()
    if uri is None:
        server: NxServer = request.getfixturevalue("nx_server")
        uri = server.uri()
    return MongoHome(uri)


@pytest.fixture
def mongo(nx_server: NxServer) -> MongoHome:
    """A database for one test, in the shared server."""
    return MongoHome(given_uri() or nx_server.uri())
