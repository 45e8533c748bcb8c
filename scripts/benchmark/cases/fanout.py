"""One sender and many who hear it."""

from ..bench import Bench, add_ratios
from ..crowd import Crowd, star
from ..figures import Check, Column, Figure, Row, Table, limit_check, ratio_check
from ..load import Conn, Traffic
from ..ours import OURS
from ..servers import Server

SUBSCRIBERS = 1000
RATE_ONE_AT_A_TIME = 20.0
IN_FLIGHT = {"eight": 8, "flight": 20}
OURS_ON_WS = f"{OURS}, WebSocket"

COLUMNS = [
    Column("cpu_us", "CPU µs a delivery", 2),
    Column("ratio", "ours ÷ it", 2),
    Column("per_s", "deliveries a second", 0),
    Column("p50_ms", "p50 ms"),
    Column("p99_ms", "p99 ms"),
    Column("load_busy", "load busy %", 0),
    Column("missing", "missing", 0),
]


def plan_for(way: str, crowd: Crowd) -> list[tuple[str, int, bool]]:
    """The sender on a WebSocket, everyone else on `way`."""
    return [("ws", 0, True)] + [(way, user, False) for user in range(1, crowd.users)]


def tables(bench: Bench, way: str, title: str, servers: list[Server]) -> list[Table]:
    """One message at a time, then several, on the same connections: a table each."""
    crowd = star(SUBSCRIBERS)

    def plan(server: Server) -> list[Conn]:
        others = "ws" if server.name == OURS_ON_WS else way
        return [server.connect(*conn) for conn in plan_for(others, crowd)]

    traffics = {
        "one": Traffic(bench.round_s, RATE_ONE_AT_A_TIME, 1, crowd.users),
        "next": Traffic(bench.round_s, 0, 1, crowd.users),
        **{key: Traffic(bench.round_s, 0, many, crowd.users) for key, many in IN_FLIGHT.items()},
    }
    rows = bench.side_by_side(servers, crowd, plan, traffics, "delivered")
    for each in rows.values():
        add_ratios(each)
    one = Table(
        f"{way}-one",
        f"{title}: one sender, {SUBSCRIBERS:,} friends, {RATE_ONE_AT_A_TIME:g} messages a second",
        COLUMNS,
        rows["one"],
    )
    following = Table(
        f"{way}-next",
        f"{title}: one sender, {SUBSCRIBERS:,} friends, each message when all have the one before",
        COLUMNS,
        rows["next"],
    )
    flights = [
        Table(
            f"{way}-{key}",
            f"{title}: one sender, {SUBSCRIBERS:,} friends, {many} messages in flight",
            COLUMNS,
            rows[key],
        )
        for key, many in IN_FLIGHT.items()
    ]
    return [one, following, *flights]


def ws(bench: Bench) -> list[Table]:
    """WebSocket fan-out."""
    one, following, eight, flight = tables(bench, "ws", "WebSocket", bench.servers("ws"))
    ratio_check(one, OURS, "Python loop of send()", "cpu_us", 1.3)
    ratio_check(one, OURS, "Nchan on nginx", "cpu_us", 1.0)
    ratio_check(one, OURS, "Bun publish", "cpu_us", 1.2)
    ratio_check(one, OURS, "Tornado write_message", "cpu_us", 1 / 3)
    limit_check(flight, OURS, "cpu_us", "at most 1.0 µs a delivery", 1.0)
    limit_check(flight, OURS, "per_s", "over 1,000,000 deliveries a second", 1e6, least=True)
    for several in (eight, flight):
        ratio_check(several, OURS, "Bun publish", "cpu_us", 1.0)
    return [one, following, eight, flight]


def sse(bench: Bench) -> list[Table]:
    """Event-stream fan-out."""
    on_ws = bench.ours()
    on_ws.name = OURS_ON_WS
    one, following, eight, flight = tables(
        bench, "sse", "Event streams", [*bench.servers("sse"), on_ws]
    )
    ratio_check(one, OURS, OURS_ON_WS, "cpu_us", 1.2)
    ratio_check(flight, OURS, OURS_ON_WS, "cpu_us", 1.2)
    ratio_check(one, OURS, "Nchan on nginx", "cpu_us", 1.0)
    ratio_check(flight, OURS, "Nchan on nginx", "cpu_us", 1.0)
    return [one, following, eight, flight]


def growth(bench: Bench) -> list[Table]:
    """The same work with ever more friends, and with ever more strangers."""
    sizes = [10, 1000] if bench.quick else [10, 100, 1000, 10_000]
    table = Table(
        "growth",
        "Growth: one sender, WebSocket, about 20,000 deliveries a second",
        [
            Column("cpu_us", "CPU µs a delivery", 2),
            Column("message_us", "CPU µs a message", 0),
            Column("added_us", "µs each added friend", 2),
            Column("p99_ms", "p99 ms"),
        ],
        [],
    )
    before: tuple[int, Figure] | None = None
    for size in sizes:
        row = _star_row(bench, star(size), f"{size:,} friends")
        table.rows.append(row)
        if not row.figures:
            continue
        cost = row.figures["message_us"]
        if before is not None:
            smaller, smaller_cost = before
            added = (cost.median - smaller_cost.median) / (size - smaller)
            row.figures["added_us"] = Figure.of([added])
        before = (size, cost)
    for users in [1_000, 20_000] if bench.quick else [1_000, 100_000]:
        few = star(10)
        crowd = Crowd(f"star-10-of-{users}", users, (0,) * users, few.friendships)
        table.rows.append(
            _star_row(bench, crowd, f"10 friends among {users:,} users", connected=11)
        )
    _growth_checks(table)
    return [table]


def _star_row(bench: Bench, crowd: Crowd, name: str, connected: int = 0) -> Row:
    connected = connected or crowd.users

    def plan(server: Server) -> list[Conn]:
        return [server.connect("ws", user, user == 0) for user in range(connected)]

    rate = max(2.0, min(1000.0, 20_000 / connected))
    traffics = {"grow": Traffic(bench.round_s, rate, 0, connected)}
    server = bench.ours()
    row = bench.side_by_side([server], crowd, plan, traffics, "delivered")["grow"][0]
    row.name = name
    return row


def _growth_checks(table: Table) -> None:
    """Flat, once the message's own cost is spread; and blind to how many users exist."""
    rows = {row.name: row for row in table.rows if row.figures}
    added = [row.figures["added_us"].median for row in rows.values() if "added_us" in row.figures]
    if len(added) > 1:
        flat = "an added friend costs at most 1.2 × as much in the largest crowd as in the second"
        table.checks.append(Check(flat, added[-1] / added[0], 1.2))
        table.notes.append(
            "An added friend's cost: the difference to the row above, by the difference in friends."
        )
    names = [name for name in rows if "among" in name]
    if len(names) == 2:
        ratio_check(table, names[1], names[0], "message_us", 1.2)
