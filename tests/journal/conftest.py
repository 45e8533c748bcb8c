"""Each contract test runs on every backend; where NATS is asked for, on a real nats-server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.homes import home, mongo, nx_server
from tests.support.nats_server import NatsServer

__all__ = ["home", "mongo", "nx_server"]


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
