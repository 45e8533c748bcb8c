"""People who come: one after another, back to where they were, and all at once after a restart."""

import http.client
import time
from collections.abc import Callable
from dataclasses import replace

from .. import machine, seed
from ..bench import FAILURES, Bench
from ..beside import Beside
from ..crowd import Crowd, circles
from ..figures import Column, Figure, Row, Table, limit_check
from ..load import Conn, Load
from ..ours import OURS, ChatServer
from ..servers import Server

FRIENDS = 9
FIRST = 50
"""Connected before the first look: what a server sets up once is not counted as theirs."""

GOALS_US = {"ws": 150.0, "sse": 150.0, "poll": 100.0}
TITLES = {"ws": "WebSockets", "sse": "event streams", "poll": "first polls"}
LIMIT_KB = 4.0

PROBE_EVERY_S = 0.01
Connect = Callable[[Server, int], Conn]


def arrive(bench: Bench) -> list[Table]:
    """CPU time and memory of somebody who comes, all of whose nine friends come too."""
    crowd = circles(30 if bench.quick else 500, FRIENDS + 1)
    tables = []
    for way, title in TITLES.items():
        servers = [server for server in bench.servers(way) if "send()" not in server.name]

        def connect(server: Server, user: int, way: str = way) -> Conn:
            conn = server.connect(way, user)
            return replace(conn, then="") if way == "poll" else conn  # the first, and no other

        rows = [_row(bench, server, crowd, connect) for server in servers]
        table = _table(f"arrive-{way}", f"{crowd.users:,} {title} of friends", rows)
        limit_check(table, OURS, "cpu_us", f"at most {GOALS_US[way]:g} µs each", GOALS_US[way])
        if way == "ws":
            limit_check(table, OURS, "kb", f"at most {LIMIT_KB:g} KB each", LIMIT_KB)
        tables.append(table)
    return [*tables, _resumed(bench)]


def _resumed(bench: Bench) -> Table:
    crowd = circles(30 if bench.quick else 500, FRIENDS + 1)
    head = seed.FIRST_SEQ
    kinds: list[tuple[str, str, int, float]] = [
        ("WebSocket, nothing missed", "ws", 0, 150.0),
        ("WebSocket, ten messages missed", "ws", crowd.users, 250.0),  # one of each
        ("poll that waits, nothing missed", "poll", 0, 60.0),
    ]
    rows = []
    for name, way, messages, _ in kinds:

        def connect(server: Server, user: int, way: str = way) -> Conn:
            conn = server.connect(way, user)
            return replace(conn, first=conn.first.replace("client=", f"after={head}&client="))

        for server in bench.versions(messages):
            server.senders = crowd.users
            row = _row(bench, server, crowd, connect)
            row.name = name if server.name == OURS else f"{name}: {server.name}"
            rows.append(row)
    table = _table("arrive-resumed", f"{crowd.users:,} who come back with `after=N`", rows)
    for name, _, _, limit in kinds:
        limit_check(table, name, "cpu_us", f"{name}: at most {limit:g} µs", limit)
    return table


def _table(key: str, title: str, rows: list[Row]) -> Table:
    columns = [Column("cpu_us", "CPU µs each", 0), Column("kb", "KB each")]
    table = Table(key, f"Arrivals: {title}", columns, rows)
    table.notes.append("Each round in a fresh process, which has nobody in memory.")
    return table


def _row(bench: Bench, server: Server, crowd: Crowd, connect: Connect) -> Row:
    row = Row(server.name)
    count = crowd.users - FIRST
    looks = []

    def first(server: Server) -> list[Conn]:
        return [connect(server, user) for user in range(FIRST)]

    try:
        for _ in range(1 if bench.quick else max(3, bench.rounds)):
            bench.say(f"{server.name}: {crowd.users:,} come")
            with bench.connected(server, crowd, first):
                before = machine.process_cpu_s(server.pid), machine.process_rss_bytes(server.pid)
                rest = [connect(server, user) for user in range(FIRST, crowd.users)]
                with Load(bench.load, server.port, rest, server.captures) as load:
                    load.open()
                    machine.wait_until_idle(server.pid)
                    cpu_s = machine.process_cpu_s(server.pid) - before[0]
                    looks.append((cpu_s, machine.process_rss_bytes(server.pid) - before[1]))
        row.figures = {
            "cpu_us": Figure.of([cpu_s * 1e6 / count for cpu_s, _ in looks]),
            "kb": Figure.of([rss_bytes / 1024 / count for _, rss_bytes in looks]),
        }
        row.version = server.version()
    except FAILURES as error:
        row.missing = str(error)
    return row


def herd(bench: Bench) -> list[Table]:
    """All come back at the same moment after `kill -9` and a restart."""
    crowd = circles(50 if bench.quick else 500, FRIENDS + 1)
    row = Row(OURS)
    server, rounds = bench.ours(), []
    try:
        for number in range(1 if bench.quick else bench.rounds):
            bench.say(f"herd {number + 1}")
            rounds.append(_one_herd(bench, server, crowd))
        row.figures = {
            "all_s": Figure.of([all_s for all_s, _, _ in rounds]),
            "worst_ms": Figure.of([worst_ms for _, worst_ms, _ in rounds]),
            "cpu_us": Figure.of([cpu_s * 1e6 / crowd.users for _, _, cpu_s in rounds]),
        }
    except FAILURES as error:
        row.missing = str(error)
    columns = [
        Column("all_s", "s until the last is greeted", 2),
        Column("worst_ms", "longest wait of /healthz ms", 0),
        Column("cpu_us", "CPU µs each", 0),
    ]
    table = Table(
        "herd", f"Herd: {crowd.users:,} WebSockets at once after a restart", columns, [row]
    )
    limit_check(table, OURS, "all_s", "all within 2 s", 2.0)
    limit_check(table, OURS, "worst_ms", "no wait of /healthz over 50 ms", 50.0)
    table.notes.append("Refused is nobody, or there would be no figures.")
    return [table]


def _one_herd(bench: Bench, server: ChatServer, crowd: Crowd) -> tuple[float, float, float]:
    """Seconds until all are in, the longest wait of a health request in ms, CPU seconds."""
    try:
        server.start(crowd)
        server.crash()
        server.launch()
        conns = [server.connect("ws", user) for user in range(crowd.users)]
        with Load(bench.load, server.port, conns, server.captures) as load:
            machine.wait_until_idle(server.pid)
            before_s = machine.process_cpu_s(server.pid)
            with Health(server.port) as health:
                all_s = load.open(crowd.users)
            return all_s, health.worst_s * 1000, machine.process_cpu_s(server.pid) - before_s
    finally:
        server.stop()


class Health(Beside):
    """Asks for the server's health, on one connection each time."""

    def __init__(self, port: int) -> None:
        super().__init__(PROBE_EVERY_S)
        self._port = port
        self.worst_s = 0.0

    def _do(self) -> None:
        began_s = time.monotonic()
        client = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        client.request("GET", "/healthz")
        client.getresponse().read()
        client.close()
        self.worst_s = max(self.worst_s, time.monotonic() - began_s)
