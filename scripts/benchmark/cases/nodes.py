"""One process, two at one port, and three nodes over three NATS servers: what a message costs, how soon it is there, how many there can
be, and how soon all is well again after a `kill -9`.

The clients are Python's, in this process, so the rates are modest; all processes share the cores of the machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

import httpx

from tests.support.clients import Person, WebSocketReader, close_opened
from tests.support.cluster import UNMETERED, cluster
from tests.support.process import ServerProcess

from .. import machine
from ..bench import Bench
from ..figures import Column, Figure, Row, Table

CIRCLES = (2, 20)
"""Friends of each other: a message is delivered to so many, its author among them."""
PEOPLE = 20
RATE = 100.0
"""Messages a second of all together."""
ROUND_S, QUICK_ROUND_S = 10.0, 2.0
ON_WAY = 8
"""Messages of each person that wait for their place, where it is looked how many there can be."""
LAG_S = 0.2
"""So often the servers are asked how far the database is behind."""
LOOK_S = 0.02
LIMIT_S = 60.0
COLUMNS = [
    Column("ack_p50", "acknowledged p50 ms"),
    Column("ack_p99", "p99 ms"),
    Column("seen_p50", "delivered p50 ms"),
    Column("seen_p99", "p99 ms"),
    Column("lag_ms", "projection lag ms"),
    Column("per_s", "messages a second at most", 0),
    Column("server_us", "then the servers' CPU µs a message", 0),
    Column("nats_us", "NATS' CPU µs a message", 0),
]
MORE = [
    Column("delivery_us", "CPU µs a delivery"),
    Column("idle_ms", "CPU ms a second with nobody writing"),
    Column("rss_mb", "MB a process", 0),
    Column("nats_mb", "MB of NATS", 0),
    Column("worker_s", "s until a killed process is replaced"),
    Column("takeover_s", "s until another one writes the database"),
]


@dataclass
class Setting:
    """Servers under measurement."""

    url: str
    pages: list[str]
    """Of the metrics of each server."""
    servers: Callable[[], list[int]]
    nats: Callable[[], list[int]]
    processes: int
    stop: Callable[[int], None] | None = None
    """Kill one."""


def nodes(bench: Bench) -> list[Table]:
    """Each setting with circles of two and of twenty."""
    carried = Table("nodes", f"{RATE:.0f} messages a second, one process and several", COLUMNS, [])
    whole = Table("nodes-more", "What several processes cost and carry", MORE, [])
    round_s = QUICK_ROUND_S if bench.quick else ROUND_S
    everywhere = set(range(os.cpu_count() or 1))
    pinned = os.sched_getaffinity(0)
    os.sched_setaffinity(0, everywhere)  # the servers inherit it
    try:
        for name, made in SETTINGS.items():
            with TemporaryDirectory(prefix="bench-nodes-") as folder, made(Path(folder)) as it:
                bench.say(name)
                rows, row = asyncio.run(_measure(it, name, bench.rounds, round_s))
                carried.rows += rows
                whole.rows.append(row)
    finally:
        os.sched_setaffinity(0, pinned)
    carried.notes.append("projection lag: as the servers tell, asked five times a second")
    whole.notes.append("MB a process: the median; CPU µs a delivery: from the two sizes of circles")
    return [carried, whole]


@contextmanager
def _processes(folder: Path, count: int) -> Iterator[Setting]:
    options = ("--processes", str(count)) if count > 1 else ()
    with ServerProcess(folder / "data", *UNMETERED, *options) as server:

        def children(nats: bool) -> list[int]:
            found = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
            runs = {int(pid): Path(f"/proc/{pid}/cmdline").read_text() for pid in found}
            return [pid for pid, line in runs.items() if ("nats-server" in line) == nats]

        alone = count == 1
        yield Setting(
            server.url,
            [f"{server.url}/metrics"],
            lambda: [server.pid] if alone else children(nats=False),
            lambda: [] if alone else children(nats=True),
            count,
            None if alone else lambda pid: os.kill(pid, signal.SIGKILL),
        )
        server.stop()


@contextmanager
def _nodes(folder: Path, count: int) -> Iterator[Setting]:
    with cluster(folder, count, three_nats=True) as it:
        pages = [f"{node.url}/metrics" for node in it.nodes]
        nats = [server.pid for server in it.trio]
        yield Setting(it.url, pages, lambda: [n.pid for n in it.nodes], lambda: nats, count)
        for node in it.nodes:
            node.stop()


SETTINGS: dict[str, Callable[[Path], AbstractContextManager[Setting]]] = {
    "one process": lambda folder: _processes(folder, 1),
    "--processes 2": lambda folder: _processes(folder, 2),
    "three nodes, NATS of three": lambda folder: _nodes(folder, 3),
}


@dataclass
class Crowd:
    """People over WebSockets, in circles of friends, and when what was said came back."""

    readers: list[WebSocketReader]
    sent_s: dict[str, float] = field(default_factory=dict)
    acks_s: list[float] = field(default_factory=list)
    seen_s: list[float] = field(default_factory=list)
    acked: int = 0
    room: list[asyncio.Semaphore] = field(default_factory=list)

    @classmethod
    async def come(cls, url: str, size: int) -> Crowd:
        people = [await Person.register(url, f"P{number}") for number in range(PEOPLE)]
        for start in range(0, PEOPLE, size):
            circle = people[start : start + size]
            for number, one in enumerate(circle):
                for other in circle[number + 1 :]:
                    await one.befriend(other)
        crowd = cls([WebSocketReader(url, person.token) for person in people])
        for reader in crowd.readers:
            await reader.connect()
        crowd.room = [asyncio.Semaphore(ON_WAY) for _ in people]
        return crowd

    async def hear(self, number: int) -> None:
        while True:
            item = json.loads(await self.readers[number].receive())
            now_s = time.perf_counter()
            if item["type"] == "ack":
                self.acked += 1
                self.acks_s.append(now_s - self.sent_s[item["clientId"]])
                self.room[number].release()
            elif item["type"] == "message" and item["text"] in self.sent_s:
                self.seen_s.append(now_s - self.sent_s[item["text"]])

    async def say(self, number: int) -> None:
        name = f"{number} {time.perf_counter_ns()}"
        self.sent_s[name] = time.perf_counter()
        await self.readers[number].say(type="send", text=name, clientId=name)

    async def at_rate(self, seconds: float) -> None:
        began_s = time.perf_counter()
        for count in range(int(seconds * RATE)):
            await asyncio.sleep(max(0.0, began_s + count / RATE - time.perf_counter()))
            await self.say(count % PEOPLE)
        async with asyncio.timeout(LIMIT_S):
            while len(self.acks_s) < len(self.sent_s):
                await asyncio.sleep(LOOK_S)

    async def as_much_as_goes(self, seconds: float) -> tuple[int, float]:
        """How many were acknowledged, in how many seconds."""
        until_s = time.perf_counter() + seconds
        before, began_s = self.acked, time.perf_counter()

        async def press(number: int) -> None:
            while time.perf_counter() < until_s:
                await self.room[number].acquire()
                await self.say(number)

        await asyncio.gather(*[press(number) for number in range(PEOPLE)])
        async with asyncio.timeout(LIMIT_S):
            while len(self.acks_s) < len(self.sent_s):
                await asyncio.sleep(LOOK_S)
        return self.acked - before, time.perf_counter() - began_s


async def _measure(it: Setting, name: str, rounds: int, round_s: float) -> tuple[list[Row], Row]:
    rows, row = [], Row(name)
    async with httpx.AsyncClient(timeout=LIMIT_S) as http:
        for size in CIRCLES:
            crowd = await Crowd.come(it.url, size)
            hearing = [asyncio.create_task(crowd.hear(number)) for number in range(PEOPLE)]
            try:
                found = [await _round(it, crowd, http, round_s) for _ in range(rounds + 1)][1:]
                keys = found[0]
                figures = {key: Figure.of([each[key] for each in found]) for key in keys}
                rows.append(Row(f"{name}, delivered to {size}", figures=figures))
                row.figures["idle_ms"] = Figure.of([await _idle(it, round_s)])
            finally:
                for task in hearing:
                    task.cancel()
                await asyncio.gather(*hearing, return_exceptions=True)
                await close_opened()
        few, many = [each.figures["server_us"] for each in rows]
        more = CIRCLES[1] - CIRCLES[0]
        pairs = zip(few.rounds, many.rounds, strict=True)
        row.figures["delivery_us"] = Figure.of([(high - low) / more for low, high in pairs])
        _weigh(it, row)
        if it.stop is not None:
            await _kill(it, row, http)
    return rows, row


async def _round(
    it: Setting, crowd: Crowd, http: httpx.AsyncClient, seconds: float
) -> dict[str, float]:
    crowd.sent_s, crowd.acks_s, crowd.seen_s = {}, [], []
    lags: list[float] = []
    saying = asyncio.create_task(crowd.at_rate(seconds))
    while not saying.done():
        await asyncio.wait({saying}, timeout=LAG_S)
        lags.append(await _metric(http, it.pages[0], "chatserver_projection_lag_seconds"))
    await saying
    ack, seen = quantiles(crowd.acks_s, n=100), quantiles(crowd.seen_s, n=100)
    crowd.sent_s, crowd.acks_s, crowd.seen_s = {}, [], []
    before_s = _cpu_s(it)
    sent, took_s = await crowd.as_much_as_goes(seconds)
    servers_s, nats_s = [now - then for now, then in zip(_cpu_s(it), before_s, strict=True)]
    return {
        "ack_p50": 1000 * ack[49],
        "ack_p99": 1000 * ack[98],
        "seen_p50": 1000 * seen[49],
        "seen_p99": 1000 * seen[98],
        "per_s": sent / took_s,
        "server_us": 1e6 * servers_s / sent,
        "nats_us": 1e6 * nats_s / sent,
        "lag_ms": 1000 * median(lags),
    }


async def _idle(it: Setting, seconds: float) -> float:
    """CPU milliseconds of everything in a second in which nobody writes."""
    before_s = sum(_cpu_s(it))
    await asyncio.sleep(seconds)
    return 1000 * (sum(_cpu_s(it)) - before_s) / seconds


def _cpu_s(it: Setting) -> tuple[float, float]:
    servers = sum(map(machine.process_cpu_s, it.servers()))
    return servers, sum(map(machine.process_cpu_s, it.nats()))


async def _metric(http: httpx.AsyncClient, page: str, name: str) -> float:
    for line in (await http.get(page)).text.splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[1])
    return 0.0


def _weigh(it: Setting, row: Row) -> None:
    held = [machine.process_rss_bytes(pid) / 1e6 for pid in it.servers()]
    row.figures["rss_mb"] = Figure.of(sorted(held)[len(held) // 2 :][:1])
    nats = [machine.process_rss_bytes(pid) / 1e6 for pid in it.nats()]
    row.figures["nats_mb"] = Figure.of(sorted(nats)[:1] or [0.0])


async def _kill(it: Setting, row: Row, http: httpx.AsyncClient) -> None:
    """Of workers each in turn, so the one that writes the database too."""
    assert it.stop is not None
    replaced, taken = [], []
    for number in range(it.processes):
        victim = it.servers()[number]
        began_s = time.perf_counter()
        it.stop(victim)
        writing: float | None = None
        async with asyncio.timeout(LIMIT_S):
            while True:
                page = {}
                try:
                    text = (await http.get(it.pages[0])).text
                    page = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
                except httpx.HTTPError:
                    pass  # the process that was asked is the one that was killed
                now_s = time.perf_counter() - began_s
                if writing is None and page.get("chatserver_projecting") == "1.0":
                    writing = now_s
                whole = page.get("chatserver_processes") == f"{it.processes}.0"
                if whole and writing is not None and victim not in it.servers():
                    break
                await asyncio.sleep(LOOK_S)
        replaced.append(now_s)
        taken.append(writing)
    row.figures["worker_s"] = Figure.of(replaced)
    row.figures["takeover_s"] = Figure.of([max(taken)])
