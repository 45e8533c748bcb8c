"""Several servers behind a real nginx in round robin, and several processes at one port."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.conftest import FAST
from tests.store.mongo_server import NxServer
from tests.support.nats_server import TOKEN, NatsServer
from tests.support.nginx import nginx
from tests.support.ports import free_port
from tests.support.process import ServerProcess

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
OF_ONE_PROCESS = (
    "socketio-polling",
    "test_over_the_limit_of_readers_the_oldest_goes",
    "test_the_newest_of_two_polls_wins",
)
"""What several processes do not promise: a Socket.IO session that polls is held by one of them, each has its own bound of
readers (`docs/scaling.md`), and a poll that comes to another one brings the presence too."""


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


@dataclass
class Cluster:
    """Servers that share one order, and the balancer in front of them. It has the face of one server."""

    nodes: list[ServerProcess]
    nats: NatsServer
    mongo: NxServer
    url: str

    def freeze(self, node: ServerProcess) -> None:
        """SIGSTOP."""
        os.kill(node.pid, signal.SIGSTOP)

    def thaw(self, node: ServerProcess) -> None:
        """SIGCONT."""
        os.kill(node.pid, signal.SIGCONT)

    def projecting(self) -> ServerProcess:
        """The node that shows the events in the store."""
        for node in self.nodes:
            if (
                node.running
                and "chatserver_projecting 1.0" in httpx.get(f"{node.url}/metrics").text
            ):
                return node
        raise AssertionError("nobody shows the events")

    def complaints(self) -> list[str]:
        return [line for node in self.nodes for line in node.complaints()]


def balanced(port: int, nodes: list[ServerProcess]) -> str:
    """`deploy/nginx.conf` for these nodes."""
    text = (DEPLOY / "nginx.conf").read_text().replace("listen 8080;", f"listen 127.0.0.1:{port};")
    first, second = [
        f"    server 127.0.0.1:{n} max_fails=1 fail_timeout=2s;\n" for n in (8888, 8889)
    ]
    assert first in text and second in text
    each = [first.replace("8888", str(node.port)) for node in nodes]
    return text.replace(first, "".join(each)).replace(second, "")


@contextmanager
def cluster(folder: Path, count: int = 3) -> Iterator[Cluster]:
    """`count` servers over one NATS and one MongoDB."""
    with ExitStack() as ends:
        nats = NatsServer(folder / "nats")
        nats.start()
        ends.callback(nats.kill)
        mongo = NxServer(folder / "nx")
        mongo.start()
        ends.callback(mongo.kill)
        shared = (*FAST, "--nats", nats.uri, "--nats-token", TOKEN, "--mongodb", mongo.uri())
        nodes: list[ServerProcess] = []
        for number in range(count):
            data = folder / f"data{number}"
            node = ServerProcess(data, *shared)
            nodes.append(node.start())
            ends.callback(node.kill)
        port = free_port()
        url = ends.enter_context(nginx(folder, port, balanced(port, nodes)))
        yield Cluster(nodes, nats, mongo, url)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three, for the tests that do not hurt them."""
    with cluster(tmp_path_factory.mktemp("cluster")) as running:
        yield running
        assert [node.stop() for node in running.nodes] == [0, 0, 0]
    assert running.complaints() == []
