"""The classic pages over three servers behind nginx: each form and each page at another one."""

from __future__ import annotations

import pytest

from tests.site.conftest import browser, http
from tests.site.test_classic import *  # noqa: F403
from tests.support.cluster import Cluster

__all__ = ["browser", "http", "server"]

BACKENDS = ("sqlite",)


@pytest.fixture
def server(nodes: Cluster) -> Cluster:
    """What the tests of one server ask."""
    return nodes
