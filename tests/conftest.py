"""A running server, shared by the tests of a module that do not hurt it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process import ServerProcess

FAST = ("--send-rate", "10000", "--send-burst", "10000")
"""Rates that a test does not wait for."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with the demo accounts, unhurried rates, and a clean log at the end."""
    with ServerProcess(tmp_path_factory.mktemp("data"), *FAST, demo=True) as running:
        yield running
        assert running.stop() == 0
    assert running.complaints() == []


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An empty data folder."""
    return tmp_path / "data"
