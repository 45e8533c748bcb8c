"""Measuring several servers side by side, in rounds that take turns."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.process import DidNotStart

from . import machine
from .crowd import Crowd
from .figures import Figure, Row
from .install import Missing
from .load import Conn, Load, LoadError, Traffic
from .ours import OURS, ChatServer
from .peers import all_peers
from .servers import Server

FAILURES = (Missing, DidNotStart, LoadError)
WARM_UP_S = 0.25
SLOW_PEERS = {"python-socketio": ("ws",)}
"""What a quick look leaves out: it would take a quarter of its time."""


Plan = Callable[[Server], list[Conn]]
Counted = dict[str, Any]


@dataclass
class Bench:
    """What a run was asked for, and the means that all cases share."""

    cache: Path
    load: Path
    quick: bool = False
    rounds: int = 5
    round_s: float = 2.0
    peers_wanted: list[str] = field(default_factory=list)
    minutes: float = 60.0
    against: Path | None = None
    """Another checkout of this project, measured in the same rounds."""
    started_at: float = field(default_factory=time.monotonic)

    def ours(self, messages: int = 0, **options: str) -> ChatServer:
        """This project's server with `messages` stored, and extra options of `chatserver serve`."""
        return ChatServer(options, messages)

    def versions(self, messages: int = 0) -> list[ChatServer]:
        """This server with `messages` stored, and the other checkout of it, if there is one."""
        versions = [self.ours(messages)]
        if self.against is not None:
            versions.append(ChatServer({}, messages, self.against.resolve()))
        return versions

    def servers(self, way: str) -> list[Server]:
        """This server first, then the peers that can do `way` (and were asked for)."""
        chosen: list[Server] = [*self.versions()]
        for peer in all_peers(self.cache):
            wanted = not self.peers_wanted or any(
                part.lower() in peer.name.lower() for part in self.peers_wanted
            )
            hurried = self.quick and way in SLOW_PEERS.get(peer.name, ())
            if wanted and way in peer.ways and not hurried:
                chosen.append(peer)
        return chosen

    def say(self, text: str) -> None:
        """Progress, on the terminal only."""
        print(f"  {time.monotonic() - self.started_at:4.0f} s  {text}", file=sys.stderr, flush=True)

    @contextmanager
    def connected(self, server: Server, crowd: Crowd, plan: Plan) -> Iterator[Load]:
        """Starts `server` and opens the connections that `plan` makes for it."""
        try:
            server.start(crowd)
            with Load(self.load, server.port, plan(server), server.captures) as load:
                load.open()
                machine.wait_until_idle(server.pid)
                yield load
        finally:
            server.stop()

    def side_by_side(
        self,
        servers: list[Server],
        crowd: Crowd,
        plan: Plan,
        traffics: dict[str, Traffic],
        unit: str,
    ) -> dict[str, list[Row]]:
        """Measures every server under each of `traffics`; rows by traffic, CPU time a `unit`.

        All servers run at once, all but one of them idle; the rounds take turns, so that a change
        in the machine's mood meets them all. A first, shorter round warms up and is not counted.
        """
        rows = {name: [Row(server.name) for server in servers] for name in traffics}
        counted: dict[tuple[str, int], list[Counted]] = {}
        with ExitStack() as stack:
            loads: dict[int, Load] = {}
            for index, server in enumerate(servers):
                self.say(f"starting {server.name}")
                try:
                    loads[index] = stack.enter_context(self.connected(server, crowd, plan))
                except FAILURES as error:
                    for each in rows.values():
                        each[index].missing = str(error)
            for number in range(self.rounds + 1):
                self.say(f"round {number} of {self.rounds}" if number else "warming up")
                for index in list(loads):
                    for name, traffic in traffics.items():
                        run = traffic if number else shorter(traffic)
                        try:
                            result = measure(servers[index], loads[index], run)
                        except LoadError as error:
                            rows[name][index].missing = str(error)
                            loads.pop(index)
                            break
                        if number:
                            counted.setdefault((name, index), []).append(result)
            for (name, index), results in counted.items():
                rows[name][index].version = servers[index].version()
                rows[name][index].figures = figures_of(results, unit)
        return rows


def shorter(traffic: Traffic) -> Traffic:
    """The same for warming up."""
    return Traffic(WARM_UP_S, traffic.rate, traffic.flight, traffic.expect, traffic.probe_every_s)


def measure(server: Server, load: Load, traffic: Traffic) -> Counted:
    """One run: what the load generator counted, with the CPU time of the server beside it."""
    before_s = machine.process_cpu_s(server.pid)
    result = load.run(traffic)
    result["cpu_s"] = machine.process_cpu_s(server.pid) - before_s
    return result


def figures_of(results: list[Counted], unit: str) -> dict[str, Figure]:
    """Figures by column key from one server's runs; one in which nothing arrived costs infinity."""

    def each(value: Callable[[Counted], float]) -> Figure:
        return Figure.of([value(result) for result in results])

    return {
        "cpu_us": each(lambda r: r["cpu_s"] * 1e6 / r[unit] if r[unit] else float("inf")),
        "message_us": each(lambda r: r["cpu_s"] * 1e6 / r["sent"] if r["sent"] else float("inf")),
        "per_s": each(lambda r: r[unit] / r["active_s"] if r["active_s"] else 0.0),
        "p50_ms": each(lambda r: r["p50_ms"]),
        "p99_ms": each(lambda r: r["p99_ms"]),
        "load_busy": each(lambda r: 100 * r["load_cpu_s"] / r["wall_s"]),
        "server_busy": each(lambda r: 100 * r["cpu_s"] / r["wall_s"]),
        "missing": each(lambda r: r["missing"]),
    }


def add_ratios(rows: list[Row], key: str = "cpu_us") -> None:
    """Gives each row `ratio`: what this server costs, divided by what the row's server costs."""
    mine = next((row for row in rows if row.name == OURS and row.figures), None)
    for row in rows:
        if mine is not None and row.figures:
            row.figures["ratio"] = mine.figures[key].over(row.figures[key])


def by_traffic(rows: dict[str, list[Row]]) -> list[Row]:
    """What `side_by_side` found, as one table: a traffic's row is this version's, with another version's right under it."""
    found = []
    for name, each in rows.items():
        add_ratios(each)
        for row in each:
            row.name = name if row.name == OURS else f"{name}: {row.name}"
            found.append(row)
    return found


def pin_self() -> None:
    """Keeps the benchmark itself off the server's core."""
    os.sched_setaffinity(0, {machine.load_core()})
    machine.allow_many_files()
