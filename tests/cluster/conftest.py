"""Several servers behind a real nginx in round robin, and several processes at one port."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.cluster import Cluster, cluster

OF_ONE_PROCESS = ("test_the_newest_of_two_polls_wins",)
"""What several processes do not promise: a poll that comes to another one brings the presence too."""


ONCE = ("test_more_than_a_replay_holds", "test_a_stream_ends_within_five_seconds")
"""Of these one transport is enough here."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is promised for one process, and what needs no more than one transport."""
    items[:] = [
        item for item in items if "cluster" not in item.path.parts or _is_asked(item.nodeid)
    ]


def _is_asked(name: str) -> bool:
    if any(each in name for each in OF_ONE_PROCESS):
        return False
    return "websocket" in name or not any(each in name for each in ONCE)


@pytest.fixture(scope="package")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three, for the tests that do not hurt them."""
    with cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running
        assert [node.stop() for node in running.nodes] == [0, 0, 0]
    assert running.complaints() == []
