"""A message wakes pollers, who poll again."""

from ..bench import Bench, add_ratios
from ..crowd import star
from ..figures import Column, Table, limit_check, ratio_check
from ..load import Conn, Traffic
from ..ours import OURS
from ..servers import Server

POLLERS = 200
RATE = 10.0


def longpoll(bench: Bench) -> list[Table]:
    """CPU time of a round trip: parked, woken, answered, asked again."""
    crowd = star(POLLERS)

    def plan(server: Server) -> list[Conn]:
        pollers = [server.connect("poll", user) for user in range(1, crowd.users)]
        return [server.connect("ws", 0, True), *pollers]

    traffics = {"wake": Traffic(bench.round_s, RATE, 1, crowd.users)}
    rows = bench.side_by_side(bench.servers("poll"), crowd, plan, traffics, "answers")["wake"]
    add_ratios(rows)
    columns = [
        Column("cpu_us", "CPU µs a round trip"),
        Column("ratio", "ours ÷ it", 2),
        Column("p50_ms", "p50 ms"),
        Column("p99_ms", "p99 ms"),
        Column("missing", "missing", 0),
    ]
    table = Table(
        "longpoll",
        f"Long-polling: a message wakes {POLLERS}, {RATE:g} messages a second",
        columns,
        rows,
    )
    limit_check(table, OURS, "cpu_us", "at most 20 µs a round trip", 20)
    ratio_check(table, OURS, "python-socketio", "cpu_us", 1.0)
    ratio_check(table, OURS, "Tornado write_message", "cpu_us", 1 / 3)
    ratio_check(table, OURS, "Socket.IO on Node", "cpu_us", 1.0)
    table.notes.append(
        "Tornado's row is a coroutine handler waiting on a condition, as in its chat demonstration."
    )
    return [table]
