"""Several servers over one NATS and one MongoDB, behind a real nginx in round robin: a process each, as a user runs them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.store.mongo_server import NxServer
from tests.support.loopback_proxy import Line
from tests.support.nats_server import TOKEN, NatsServer, trio
from tests.support.nginx import nginx
from tests.support.ports import free_port
from tests.support.process import ServerProcess

DEPLOY = Path(__file__).parent.parent.parent / "deploy"
UNMETERED = ("--meter", "off")
LOOK_S = 0.05


@dataclass
class Cluster:
    """Servers that share one order, and the balancer in front of them. It has the face of one server."""

    nodes: list[ServerProcess]
    trio: list[NatsServer]
    mongo: NxServer
    url: str
    lines: list[Line] = field(default_factory=list)
    """Of each node to NATS, where there are any."""

    @property
    def nats(self) -> NatsServer:
        """The only one."""
        (nats,) = self.trio
        return nats

    def freeze(self, node: ServerProcess) -> None:
        """SIGSTOP."""
        os.kill(node.pid, signal.SIGSTOP)

    def thaw(self, node: ServerProcess) -> None:
        """SIGCONT."""
        os.kill(node.pid, signal.SIGCONT)

    def projecting(self) -> ServerProcess:
        """The node that shows the events in the store."""
        for node in self.nodes:
            if node.running and "chatserver_projecting 1.0" in httpx.get(_metrics(node)).text:
                return node
        raise AssertionError("nobody shows the events")

    def following(self) -> ServerProcess:
        """A node that does not."""
        projecting = self.projecting()
        return next(node for node in self.nodes if node.running and node is not projecting)

    async def until_ready(self, node: ServerProcess, limit_s: float = 120.0) -> None:
        """Return once it serves."""
        async with asyncio.timeout(limit_s), httpx.AsyncClient(timeout=limit_s) as http:
            while (await http.get(f"{node.url}/readyz")).status_code != 200:
                await asyncio.sleep(LOOK_S)

    def complaints(self) -> list[str]:
        return [line for node in self.nodes for line in node.complaints()]


def _metrics(node: ServerProcess) -> str:
    return f"{node.url}/metrics"


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
def cluster(
    folder: Path,
    count: int = 3,
    *,
    three_nats: bool = False,
    cuttable: bool = False,
    options: tuple[str, ...] = (),
) -> Iterator[Cluster]:
    """`count` servers over one NATS, or three, and one MongoDB; `cuttable`: each reaches the one NATS over a line of its own."""
    with ExitStack() as ends:
        servers = trio(folder / "nats") if three_nats else [NatsServer(folder / "nats")]
        for server in servers:
            server.start()
            ends.callback(server.kill)
        mongo = NxServer(folder / "nx")
        mongo.start()
        ends.callback(mongo.kill)
        shared = (*UNMETERED, *options, "--nats-token", TOKEN, "--mongodb", mongo.uri())
        uris = [",".join(server.uri for server in servers)] * count
        lines = [ends.enter_context(Line(servers[0].port)) for _ in range(count * cuttable)]
        if cuttable:
            uris = [f"nats://127.0.0.1:{line.port}" for line in lines]
        nodes: list[ServerProcess] = []
        for number in range(count):
            data = folder / f"data{number}"
            node = ServerProcess(data, *shared, "--nats", uris[number])
            nodes.append(node.start())
            ends.callback(node.kill)
        port = free_port()
        url = ends.enter_context(nginx(folder, port, balanced(port, nodes)))
        yield Cluster(nodes, servers, mongo, url, lines)
