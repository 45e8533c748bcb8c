"""The faults, each with the servers that it needs. A fault returns when it is over and everything is up again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import orjson

from chatserver.journal.nats_link import Access, NatsLink
from tests.support.cluster import UNMETERED, Cluster, cluster
from tests.support.nats_server import TOKEN, NatsServer
from tests.support.process import ServerProcess

AWAY_S = 20.0
FROZEN_S = 30.0
DEAD_S = 8.0
"""Before what was killed is started again: longer than a takeover takes."""
SOCKETIO = ("--socketio",)


@dataclass
class Target:
    """What is hurt. `nth` is the number of the run, of which some faults have two kinds."""

    it: Cluster | None
    server: ServerProcess | None
    nth: int
    victim: ServerProcess
    notes: list[str] = field(default_factory=list)
    """What was done, where there is a choice."""

    @property
    def cluster(self) -> Cluster:
        assert self.it is not None, "this case has several servers"
        return self.it

    @property
    def url(self) -> str:
        return self.victim.url if self.it is None else self.it.url

    @property
    def nodes(self) -> list[str]:
        """Where each server listens."""
        return [node.url for node in self._servers]

    @property
    def _servers(self) -> list[ServerProcess]:
        return [self.victim] if self.it is None else self.it.nodes

    def complaints(self) -> list[str]:
        return [line for node in self._servers for line in node.complaints()]


@dataclass(frozen=True)
class Case:
    """One fault: `victim` chooses who fails, `happen` does it."""

    name: str
    what: str
    happen: Callable[[Target], Awaitable[None]]
    projector: bool = False
    """The victim shows the events in the database; else it is another one."""
    three_nats: bool = False
    cuttable: bool = False
    embedded: bool = False
    said: tuple[str, ...] = ()
    """Errors in the log that are the fault's own."""


@contextmanager
def servers(case: Case, folder: Path, nth: int) -> Iterator[Target]:
    """What the case needs, running."""
    if case.embedded:
        with ServerProcess(folder / "data", *UNMETERED, *SOCKETIO, "--processes", "2") as server:
            yield Target(None, server, nth, server)
        return
    with cluster(
        folder, three_nats=case.three_nats, cuttable=case.cuttable, options=SOCKETIO
    ) as it:
        victim = it.projecting() if case.projector else it.following()
        yield Target(it, None, nth, victim)


async def nothing(target: Target) -> None:
    await asyncio.sleep(DEAD_S)


async def kill_node(target: Target) -> None:
    await asyncio.to_thread(target.victim.kill)
    await asyncio.sleep(DEAD_S)
    await _start(target, target.victim)


async def restart_in_turn(target: Target) -> None:
    for node in target.cluster.nodes:
        code = await asyncio.to_thread(node.stop)
        if code != 0:
            raise AssertionError(f"a node ended with {code}")
        await _start(target, node)


async def freeze_node(target: Target) -> None:
    it = target.cluster
    it.freeze(target.victim)
    try:
        await asyncio.sleep(FROZEN_S)
    finally:
        it.thaw(target.victim)
    await it.until_ready(target.victim)


async def kill_leader(target: Target) -> None:
    leader = await _leader(target.cluster)
    await asyncio.to_thread(leader.kill)
    await asyncio.sleep(DEAD_S)
    await asyncio.to_thread(leader.start)
    await _all_ready(target)


async def freeze_leader(target: Target) -> None:
    leader = await _leader(target.cluster)
    leader.freeze()
    try:
        await asyncio.sleep(AWAY_S)
    finally:
        leader.thaw()
    await _all_ready(target)


async def all_nats_away(target: Target) -> None:
    servers = target.cluster.trio
    if target.nth % 2:
        target.notes.append("frozen")
        async with _frozen(servers):
            await asyncio.sleep(AWAY_S)
    else:
        target.notes.append("killed")
        for server in servers:
            await asyncio.to_thread(server.kill)
        await asyncio.sleep(AWAY_S)
        await asyncio.gather(*(asyncio.to_thread(server.start) for server in servers))
    await _all_ready(target)


@asynccontextmanager
async def _frozen(servers: list[NatsServer]) -> AsyncIterator[None]:
    for server in servers:
        server.freeze()
    try:
        yield
    finally:
        for server in servers:
            server.thaw()


async def mongodb_away(target: Target) -> None:
    mongo = target.cluster.mongo
    if target.nth % 2:
        target.notes.append("killed")
        await asyncio.to_thread(mongo.kill)
        await asyncio.sleep(AWAY_S)
        await asyncio.to_thread(mongo.start)
    else:
        target.notes.append("frozen")
        mongo.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(AWAY_S)
        finally:
            mongo.signal(signal.SIGCONT)
    await _all_ready(target)


async def cut_off(target: Target) -> None:
    it = target.cluster
    line = it.lines[it.nodes.index(target.victim)]
    silently = target.nth % 2 == 0
    target.notes.append("silently" if silently else "breaking connections")
    line.cut(silently)
    try:
        await asyncio.sleep(AWAY_S)
    finally:
        line.mend()
    await it.until_ready(target.victim)


async def kill_embedded(target: Target) -> None:
    for _ in range(3):
        (nats,) = [
            pid for pid, runs in children(target.victim.pid).items() if "nats-server" in runs
        ]
        os.kill(nats, signal.SIGKILL)
        await asyncio.sleep(2)


def children(pid: int) -> dict[int, str]:
    """The processes that this one has started, and what each of them runs."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(each): Path(f"/proc/{each}/cmdline").read_text() for each in found}


async def _start(target: Target, node: ServerProcess) -> None:
    await asyncio.to_thread(node.start)
    await target.cluster.until_ready(node)


async def _all_ready(target: Target) -> None:
    await asyncio.gather(*map(partial(target.cluster.until_ready), target.cluster.nodes))


async def _leader(it: Cluster) -> NatsServer:
    """The server of NATS that gives out the places."""
    link = NatsLink([server.uri for server in it.trio], "faults", Access(token=TOKEN), wait_s=20)
    await link.connect()
    try:
        named = orjson.loads((await link.request("$JS.API.STREAM.NAMES", b"{}")).data)
        (stream,) = named["streams"]
        found = orjson.loads((await link.request(f"$JS.API.STREAM.INFO.{stream}", b"")).data)
    finally:
        await link.close()
    leader = found["cluster"]["leader"]
    return next(server for server in it.trio if server.name == leader)


CASES = (
    Case("none", "nothing fails", nothing),
    Case("node", "a node is killed", kill_node),
    Case("projector", "the node that writes the database is killed", kill_node, projector=True),
    Case("rolling", "all nodes are restarted in turn", restart_in_turn),
    Case("frozen", "a node freezes for 30 s", freeze_node),
    Case(
        "projector-frozen",
        "the node that writes the database freezes for 30 s",
        freeze_node,
        projector=True,
    ),
    Case("leader", "the leader of three NATS servers is killed", kill_leader, three_nats=True),
    Case(
        "leader-frozen",
        "the leader of three NATS servers freezes for 20 s",
        freeze_leader,
        three_nats=True,
    ),
    Case("nats", "all three NATS servers are away for 20 s", all_nats_away, three_nats=True),
    Case(
        "mongodb", "MongoDB is away for 20 s", mongodb_away, said=("the database does not answer",)
    ),
    Case("cut", "a node is cut off from NATS for 20 s", cut_off, cuttable=True),
    Case(
        "embedded",
        "--processes 2: NATS is killed three times",
        kill_embedded,
        embedded=True,
        said=("the embedded NATS server ended",),
    ),
)
