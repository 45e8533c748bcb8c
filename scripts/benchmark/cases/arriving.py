"""People who come: one after another, back to where they were, and all at once after a restart."""

import http.client
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

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
            if way == "poll":  # it asks as it will go on asking
                return replace(conn, first=conn.then.replace("{1}", str(head)))
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
    row = Row(OURS)
    server, rounds = bench.ours(), []
    count = 500 if bench.quick else 5000
    try:
        for number in range(1 if bench.quick else bench.rounds):
            bench.say(f"herd {number + 1}")
            rounds.append(_one_herd(bench, server, count))
        row.figures = {
            "all_s": Figure.of([one.all_s for one in rounds]),
            "worst_ms": Figure.of([one.worst_s * 1000 for one in rounds]),
            "send_p99_ms": Figure.of([one.send_p99_s * 1000 for one in rounds]),
            "cpu_us": Figure.of([one.cpu_s * 1e6 / count for one in rounds]),
        }
    except FAILURES as error:
        row.missing = str(error)
    columns = [
        Column("all_s", "s until the last is greeted", 2),
        Column("worst_ms", "longest wait of /healthz ms", 0),
        Column("send_p99_ms", "p99 of a send ms", 0),
        Column("cpu_us", "CPU µs each", 0),
    ]
    table = Table("herd", f"Herd: {count:,} WebSockets at once after a restart", columns, [row])
    limit_check(table, OURS, "all_s", "all within 2 s", 2.0)
    limit_check(table, OURS, "worst_ms", "no wait of /healthz over 50 ms", 50.0)
    limit_check(table, OURS, "send_p99_ms", "p99 of a send no more than 100 ms", 100.0)
    table.notes.append("Refused is nobody, or there would be no figures.")
    table.notes.append(
        "The sends are of somebody who was there before, one after another for as long as the herd comes; what each waits"
        " for is on the disk."
    )
    return [table]


@dataclass
class _Herd:
    """How one went; `cpu_s` is of all."""

    all_s: float
    worst_s: float
    send_p99_s: float
    cpu_s: float


def _one_herd(bench: Bench, server: ChatServer, count: int) -> _Herd:
    crowd = circles(count // (FRIENDS + 1) + 1, FRIENDS + 1)
    try:
        server.start(crowd)
        server.crash()
        server.launch()
        conns = [server.connect("ws", user) for user in range(count)]
        with Load(bench.load, server.port, conns, server.captures) as load:
            machine.wait_until_idle(server.pid)
            with Sends(server.port, count) as sends, Health(server.port) as health:
                before_s = machine.process_cpu_s(server.pid)
                all_s = load.open(count)
            cpu_s = machine.process_cpu_s(server.pid) - before_s
            return _Herd(all_s, health.worst_s, sends.p99_s(), cpu_s)
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


class Sends(Beside):
    """Sends messages of `user`, on one connection that is there when it is entered."""

    def __init__(self, port: int, user: int) -> None:
        super().__init__(PROBE_EVERY_S)
        self._client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self._headers = {
            "Authorization": f"Bearer {seed.token(user)}",
            "Content-Type": "application/json",
        }
        self._taken_s: list[float] = []

    def __enter__(self) -> Self:
        self._do()
        self._taken_s.clear()
        return super().__enter__()

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._client.close()

    def _do(self) -> None:
        began_s = time.monotonic()
        self._client.request("POST", "/api/messages", '{"text":"here already"}', self._headers)
        answer = self._client.getresponse()
        answer.read()
        if answer.status != 201:
            raise RuntimeError(f"a send in the herd was answered {answer.status}")
        self._taken_s.append(time.monotonic() - began_s)

    def p99_s(self) -> float:
        """Of what has been answered: one of a hundred took longer."""
        return sorted(self._taken_s)[len(self._taken_s) * 99 // 100]
