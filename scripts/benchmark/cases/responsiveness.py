"""How long this server keeps anybody waiting: under load, and at its start."""

import http.client
import json
import time
from random import Random
from statistics import quantiles

from .. import seed
from ..bench import FAILURES, Bench
from ..beside import Beside
from ..crowd import strangers, town
from ..figures import Column, Figure, Row, Table, limit_check
from ..load import Conn, Traffic
from ..ours import OURS, ChatServer
from ..servers import Server, get

PROBE_EVERY_S = 0.002
STALL_RATE = 200.0
SIGN_IN_EVERY_S = 0.25
HISTORY_REQUESTS = 300


def stall(bench: Bench) -> list[Table]:
    """The longest that a request for the server's health waits, with everything going on."""
    users, friends = (2000, 10) if bench.quick else (10_000, 10)
    crowd = town(users, friends)
    row = Row(OURS)
    title = (
        f"Stalls: {users:,} connections, {STALL_RATE:g} messages a second to {friends} readers, "
        f"{1 / SIGN_IN_EVERY_S:g} sign-ins a second"
    )
    columns = [
        Column("worst_ms", "longest wait ms"),
        Column("p99_ms", "p99 ms"),
        Column("own_ms", "load generator's longest turn ms"),
        Column("sign_ins", "sign-ins", 0),
    ]
    table = Table("stall", title, columns, [row])

    def plan(server: Server) -> list[Conn]:
        people = [server.connect("ws", user, True) for user in range(crowd.users)]
        return [*people, Conn("probe", get("/healthz", server.port))]

    server = bench.ours()
    try:
        with bench.connected(server, crowd, plan) as load:
            done = []
            for _ in range(bench.rounds):
                with SignIns(server) as sign_ins:
                    result = load.run(Traffic(bench.round_s * 2, STALL_RATE, 0, 0, PROBE_EVERY_S))
                done.append({**result, "sign_ins": sign_ins.count})
        keys = {
            "worst_ms": "probe_max_ms",
            "p99_ms": "probe_p99_ms",
            "own_ms": "own_turn_max_ms",
            "sign_ins": "sign_ins",
        }
        row.figures = {key: Figure.of([each[name] for each in done]) for key, name in keys.items()}
        limit_check(table, OURS, "worst_ms", "no wait over 50 ms", 50)
    except FAILURES as error:
        row.missing = str(error)
    table.notes.append(
        "Seen from outside: a wait holds the way there and back and the load generator's own turn."
    )
    return [table]


class SignIns(Beside):
    """Signs people in, one after the other."""

    def __init__(self, server: ChatServer) -> None:
        super().__init__(SIGN_IN_EVERY_S)
        self._client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        self._user = 0
        self.count = 0

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._client.close()

    def _do(self) -> None:
        body = {"email": seed.email(self._user), "password": seed.PASSWORD}
        headers = {"Content-Type": "application/json"}
        self._client.request("POST", "/api/login", json.dumps(body), headers)
        answer = self._client.getresponse()
        answer.read()
        self.count += answer.status == 200
        self._user += 1


def start(bench: Bench) -> list[Table]:
    """From the start of the process until it is ready, and pages of a long history."""
    messages = 100_000 if bench.quick else 1_000_000
    row = Row(OURS)
    table = Table(
        "start",
        f"Start with {messages:,} stored messages, and pages of 50 from anywhere in them",
        [
            Column("ready_ms", "ready after ms", 0),
            Column("page_p50_ms", "page p50 ms"),
            Column("page_p99_ms", "page p99 ms"),
        ],
        [row],
    )
    server = bench.ours(messages)
    try:
        server.start(strangers(1000))
        ready_ms, pages = [], []
        for _ in range(bench.rounds):
            server.end()
            server.launch()
            ready_ms.append(_ready_after_s(server) * 1000)
            pages.append(quantiles(_page_times_ms(server, messages), n=100))
        row.figures = {
            "ready_ms": Figure.of(ready_ms),
            "page_p50_ms": Figure.of([page[49] for page in pages]),
            "page_p99_ms": Figure.of([page[98] for page in pages]),
        }
    except FAILURES as error:
        row.missing = str(error)
    finally:
        server.stop()
    limit_check(table, OURS, "ready_ms", "ready in under 1,000 ms", 1000)
    limit_check(table, OURS, "page_p99_ms", "p99 of a page under 20 ms", 20)
    return [table]


def _ready_after_s(server: ChatServer) -> float:
    while True:
        client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        client.request("GET", "/readyz")
        status = client.getresponse().status
        client.close()
        if status == 200:
            return time.monotonic() - server.started_at_s
        time.sleep(0.005)


def _page_times_ms(server: ChatServer, messages: int) -> list[float]:
    """Milliseconds for each of many pages of the broadcast conversation, each of somebody else."""
    client = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    random, times_ms = Random(messages), []
    for _ in range(HISTORY_REQUESTS):
        before = seed.FIRST_SEQ + random.randrange(messages // 10, messages)
        headers = {"Authorization": f"Bearer {seed.token(random.randrange(1000))}"}
        started_at = time.monotonic()
        client.request("GET", f"/api/messages?limit=50&before={before}", headers=headers)
        body = client.getresponse().read()
        times_ms.append((time.monotonic() - started_at) * 1000)
        assert b'"messages"' in body, body[:200]
    client.close()
    return times_ms
