"""Work that looks like people writing to each other."""

from random import Random

from ..bench import (
    FAILURES,
    Bench,
    Counted,
    add_ratios,
    by_traffic,
    figures_of,
    measure,
    shorter,
)
from ..crowd import circles, friends_of, strangers, town
from ..figures import Column, Row, Table, limit_check, ratio_check
from ..load import Conn, Traffic
from ..ours import OURS
from ..servers import Server

GROUP_RATE = 2000.0
GROUPS, GROUP_SIZE = 100, 10
CHAT_RATE = 500.0
COMMIT_RATES = (100.0, 1000.0, 5000.0)
SENDERS = 100
IN_FLIGHT = (1, 8, 100, 400)
GROUP_COLUMNS = [
    Column("cpu_us", "CPU µs a delivery", 2),
    Column("ratio", "ours ÷ it", 2),
    Column("message_us", "CPU µs a message", 0),
    Column("p50_ms", "p50 ms"),
    Column("p99_ms", "p99 ms"),
    Column("server_busy", "server busy %", 0),
    Column("missing", "missing", 0),
]


def groups(bench: Bench) -> list[Table]:
    """Circles of friends, everyone sending: circle by circle, and all over the place.

    In the first order, what comes within a few milliseconds has the same readers: who joins what waits, writes
    less often. In the second it has not, and each message finds other memory than the one before.
    """
    users = list(range(GROUPS * GROUP_SIZE))
    tables = [_groups(bench, "groups", "", users)]
    if not bench.quick:
        Random(GROUPS).shuffle(users)
        tables.append(_groups(bench, "groups-random", ", senders at random", users))
    return tables


def _groups(bench: Bench, key: str, how: str, senders: list[int]) -> Table:
    crowd = circles(GROUPS, GROUP_SIZE)

    def plan(server: Server) -> list[Conn]:
        return [server.connect("ws", user, True) for user in senders]

    traffics = {key: Traffic(bench.round_s, GROUP_RATE, 0, GROUP_SIZE)}
    rows = bench.side_by_side(bench.servers("ws"), crowd, plan, traffics, "delivered")[key]
    add_ratios(rows)
    title = (
        f"Groups: {crowd.users:,} connections in circles of {GROUP_SIZE}, "
        f"{GROUP_RATE:,.0f} messages a second{how}"
    )
    table = Table(key, title, GROUP_COLUMNS, rows)
    ratio_check(table, OURS, "Socket.IO on Node", "cpu_us", 1.0)
    ratio_check(table, OURS, "ws on Node", "cpu_us", 1.1)
    limit_check(table, OURS, "p99_ms", "p99 at most 5 ms", 5.0)
    table.notes.append(
        "Ours are stored before they are delivered and filtered by friendship; the peers' are not."
    )
    return table


def chat(bench: Bench) -> list[Table]:
    """A town of 10,000 with 2,000 of them connected, all writing."""
    users, connected = (2000, 400) if bench.quick else (10_000, 2000)
    crowd = town(users, 50)
    friends = friends_of(crowd)
    audience = [1 + len([f for f in friends[user] if f < connected]) for user in range(connected)]
    row = Row(OURS)
    title = (
        f"Chat: {users:,} users of 50 friends, {connected:,} connected, "
        f"{CHAT_RATE:g} messages a second to {sum(audience) / connected:.0f} readers each"
    )
    table = Table(
        "chat", title, [column for column in GROUP_COLUMNS if column.key != "ratio"], [row]
    )
    traffic = Traffic(bench.round_s * 2, CHAT_RATE)

    def plan(server: Server) -> list[Conn]:
        return [server.connect("ws", user, True) for user in range(connected)]

    server = bench.ours()
    try:
        with bench.connected(server, crowd, plan) as load:
            results: list[Counted] = []
            turn = measure(server, load, shorter(traffic))["sent"]
            for _ in range(bench.rounds):
                result = measure(server, load, traffic)
                # Senders take turns, so who has sent is known, and with it how many had to hear it.
                senders = range(turn, turn + result["sent"])
                result["missing"] = (
                    sum(audience[i % connected] for i in senders) - result["delivered"]
                )
                turn += result["sent"]
                results.append(result)
            row.figures = figures_of(results, "delivered")
            row.version = server.version()
    except FAILURES as error:
        row.missing = str(error)
    limit_check(table, OURS, "p99_ms", "p99 under 50 ms", 50)
    return [table]


def commit(bench: Bench) -> list[Table]:
    """From sending to receiving, stored in between, at three rates."""
    crowd = circles(100, 2)

    def plan(server: Server) -> list[Conn]:
        return [server.connect("ws", user, True) for user in range(crowd.users)]

    traffics = {
        f"{rate:,.0f} a second": Traffic(bench.round_s, rate, 0, 2) for rate in COMMIT_RATES
    }
    rows = bench.side_by_side([*bench.versions()], crowd, plan, traffics, "delivered")
    title = "Storing: 100 pairs of friends, each message durable before it is delivered"
    return [Table("commit", title, GROUP_COLUMNS, by_traffic(rows))]


def message(bench: Bench) -> list[Table]:
    """What a message costs that only its sender hears: parsed, checked, paid, stored durably, acknowledged, echoed.

    How many go into one write to the disk decides: with more on the way at the same time, each pays less for it.
    """
    crowd = strangers(SENDERS)

    def plan(server: Server) -> list[Conn]:
        return [server.connect("ws", user, True) for user in range(crowd.users)]

    traffics = {
        f"{flight:,} on the way": Traffic(bench.round_s, 0, flight, 1) for flight in IN_FLIGHT
    }
    rows = bench.side_by_side([*bench.versions()], crowd, plan, traffics, "sent")
    table = Table(
        "message",
        f"A message that nobody else hears: {SENDERS} senders in turn, each message durable before it is acknowledged",
        [
            Column("cpu_us", "CPU µs a message", 1),
            Column("ratio", "ours ÷ it", 2),
            Column("per_s", "messages a second", 0),
            Column("p50_ms", "p50 ms"),
            Column("p99_ms", "p99 ms"),
        ],
        by_traffic(rows),
    )
    limit_check(table, f"{IN_FLIGHT[-1]:,} on the way", "cpu_us", "at most 50 µs a message", 50)
    return [table]
