"""SQLite and MongoDB beside each other: what a message costs and how soon it is acknowledged; queries at scale."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from chatserver.core.conversations import Range
from chatserver.store.mongo.store import MongoStore
from chatserver.store.sqlite.store import SqliteStore
from chatserver.verbs.keys import token_hash

from .. import machine, seed
from ..bench import FAILURES, Bench, Plan
from ..crowd import Crowd, circles
from ..figures import Column, Figure, Row, Table
from ..load import Conn, Traffic
from ..mongo import ON_MONGODB, Database, MongoChatServer, move
from ..ours import ChatServer
from ..servers import Server
from .conversations import COMMIT_RATES

FRIENDS = (50, 500, 5000)
"""Friends of the first users at full scale; a tenth of it in a quick look."""
SCALE, QUICK_SCALE = (100_000, 1_000_000), (3_000, 8_000)
"""Users, messages."""
TIMES, QUICK_TIMES = 200, 40

Query = Callable[[Any, int], Awaitable[object]]

COMMIT_COLUMNS = [
    Column("p50_ms", "acknowledged p50 ms"),
    Column("p99_ms", "p99 ms"),
    Column("sent_per_s", "messages a second", 0),
    Column("message_us", "CPU µs a message", 0),
    Column("server_busy", "server busy %", 0),
    Column("missing", "missing", 0),
]
QUERY_COLUMNS = [
    Column("sqlite_p50", "SQLite p50 ms", 2),
    Column("sqlite_p99", "p99 ms", 2),
    Column("mongo_p50", "MongoDB p50 ms", 2),
    Column("mongo_p99", "p99 ms", 2),
]


def mongodb(bench: Bench) -> list[Table]:
    """The server on both at three rates, then the queries of both stores on the same data."""
    with TemporaryDirectory(prefix="bench-mongo-") as folder:
        database = Database(Path(folder) / "mongodb")
        try:
            database.start()
            return [_commit(bench, database), _queries(bench, database, Path(folder) / "data")]
        finally:
            database.stop()


def _commit(bench: Bench, database: Database) -> Table:
    table = Table(
        "mongodb-commit",
        "Storing on SQLite and on MongoDB: 100 pairs of friends, acknowledged once durable",
        COMMIT_COLUMNS,
        [],
    )
    crowd = circles(100, 2)

    def plan(server: Server) -> list[Conn]:
        return [server.connect("ws", user, True) for user in range(crowd.users)]

    # The sender hears of a message in the write of its acknowledgement, so two deliveries a message.
    traffics = {f"{rate:,.0f} offered": Traffic(bench.round_s, rate, 0, 2) for rate in COMMIT_RATES}
    servers: list[Server] = [bench.ours(), MongoChatServer(database)]
    for rate, rows in bench.side_by_side(servers, crowd, plan, traffics, "delivered").items():
        for row in rows:
            row.name = f"{'MongoDB' if row.name == ON_MONGODB else 'SQLite'}, {rate}"
            if row.figures:
                row.figures["sent_per_s"] = Figure.of(
                    [value / 2 for value in row.figures["per_s"].rounds]
                )
            table.rows.append(row)
    for server in (bench.ours(), MongoChatServer(database)):
        _note_threads(bench, table, plan, server, crowd)
    table.notes.append(
        "Until the message is at its sender and its friend; the acknowledgement leaves in the same write."
    )
    return table


def _note_threads(bench: Bench, table: Table, plan: Plan, server: ChatServer, crowd: Crowd) -> None:
    """How much of the CPU time goes to threads: SQLite's writer, or PyMongo under Motor."""
    traffic = Traffic(bench.round_s * 2, COMMIT_RATES[1], 0, 2)
    try:
        with bench.connected(server, crowd, plan) as load:
            before = machine.threads_cpu_s(server.pid)
            load.run(traffic)
            main_s, others_s = (
                after - earlier
                for after, earlier in zip(machine.threads_cpu_s(server.pid), before, strict=True)
            )
    except FAILURES as error:
        table.notes.append(str(error))
        return
    share = 100 * others_s / (main_s + others_s)
    table.notes.append(
        f"{server.name}, {traffic.rate:,.0f} a second: {share:.0f} % of its CPU time is in threads"
        " beside the loop's, which are the database's."
    )


def _queries(bench: Bench, database: Database, folder: Path) -> Table:
    users, messages = QUICK_SCALE if bench.quick else SCALE
    friends = tuple(n // 10 if bench.quick else n for n in FRIENDS)
    table = Table(
        "mongodb-queries",
        f"Queries of the stores: {users:,} users, {messages:,} messages",
        QUERY_COLUMNS,
        [],
    )
    bench.say(f"making {messages:,} messages")
    seed.fill(folder, _hubs(users, friends), messages, senders=users)
    uri = database.uri("bench_queries")
    try:
        table.notes.append(f"`chatserver migrate` of all of it took {move(folder, uri):.0f} s.")
    except FAILURES as error:
        table.notes.append(str(error))
        return table
    questions = _questions(friends, users, messages)
    times = QUICK_TIMES if bench.quick else TIMES
    asyncio.run(_measure(bench, table, folder, uri, questions, times))
    table.notes.append(f"MongoDB is {database.version()}.")
    return table


def _hubs(users: int, friends: tuple[int, ...]) -> Crowd:
    """The first users have so many friends each, at random; everybody else has only them."""
    random = Random(users)
    pairs = {
        (hub, friend)
        for hub, count in enumerate(friends)
        for friend in random.sample(range(len(friends), users), count)
    }
    return Crowd(f"hubs-{users}", users, (0,) * users, tuple(sorted(pairs)))


def _questions(friends: tuple[int, ...], users: int, messages: int) -> dict[str, Query]:
    def anybody(number: int) -> int:
        return Random(number).randrange(users)

    def place(number: int) -> int:
        return seed.FIRST_SEQ + Random(number).randrange(messages // 10, messages)

    def page(hub: int, older: bool) -> Query:
        user = seed.user_id(hub)
        return lambda store, n: store.history(user, Range(before=place(n) if older else None))

    asked: dict[str, Query] = {}
    for hub, count in enumerate(friends):
        asked[f"newest page, {count:,} friends"] = page(hub, False)
        asked[f"older page, {count:,} friends"] = page(hub, True)
    middle = seed.user_id(1)
    asked[f"friends, {friends[1]:,} of them"] = lambda store, n: store.friends(middle)
    asked[f"read positions, {friends[1]:,} friends"] = lambda store, n: store.read_state(middle)
    asked[f"conversations, {friends[1]:,} friends"] = lambda store, n: store.standings(middle)
    asked["account by email"] = lambda store, n: store.account_by_email(seed.email(anybody(n)))
    asked["login by token"] = lambda store, n: store.login_by_secret(
        token_hash(seed.token(anybody(n)))
    )
    return asked


async def _measure(
    bench: Bench, table: Table, folder: Path, uri: str, questions: dict[str, Query], times: int
) -> None:
    def clock_ms() -> int:
        return time.time_ns() // 1_000_000

    stores: dict[str, SqliteStore | MongoStore]
    stores = {"sqlite": SqliteStore(folder, clock_ms), "mongo": MongoStore(uri, clock_ms)}
    for store in stores.values():
        await store.start()
    try:
        for name, question in questions.items():
            bench.say(name)
            row = Row(name)
            for key, store in stores.items():
                took_ms = await _times(question, store, times)
                row.figures[f"{key}_p50"] = Figure.of([took_ms[len(took_ms) // 2]])
                row.figures[f"{key}_p99"] = Figure.of([took_ms[len(took_ms) * 99 // 100]])
            table.rows.append(row)
    finally:
        for store in stores.values():
            await store.close()


async def _times(question: Query, store: object, times: int) -> list[float]:
    """Milliseconds, sorted; the first is to warm up. One that takes long is asked less often."""
    await question(store, 0)
    took_ms, began_s = [], time.perf_counter()
    for number in range(times):
        at_s = time.perf_counter()
        await question(store, number)
        took_ms.append((time.perf_counter() - at_s) * 1000)
        if time.perf_counter() - began_s > 20:
            break
    return sorted(took_ms)
