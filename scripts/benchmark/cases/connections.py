"""Connections that only wait."""

from .. import machine
from ..bench import FAILURES, Bench
from ..crowd import Crowd, strangers
from ..figures import Column, Figure, Row, Table, limit_check
from ..load import Conn, Load
from ..ours import OURS
from ..servers import Server

WAYS = {"ws": ("WebSockets", 6.0), "sse": ("event streams", 5.0), "poll": ("waiting polls", 8.0)}
FIRST = 50
"""Open before the first look, so that what a server sets up once is not counted as theirs."""


MANY = 19_000
"""As many as one process may open files for on a common machine, less what else it needs."""

CHURN_CYCLES = 20


def memory(bench: Bench) -> list[Table]:
    """Resident memory that an idle connection adds, each time in a fresh process."""
    count = 300 if bench.quick else 5000
    rounds = 1 if bench.quick else 3
    tables = []
    columns = [Column("kb", "KB a connection"), Column("open_us", "CPU µs to open one", 0)]
    for way, (title, limit_kb) in WAYS.items():
        servers = [s for s in bench.servers(way) if "send()" not in s.name]
        rows = [idle_row(bench, server, way, count, rounds) for server in servers]
        table = Table(f"memory-{way}", f"Memory: {count:,} idle {title}", columns, rows)
        # A few hundred connections do not yet fill what an allocator takes at once.
        if not bench.quick:
            limit_check(table, OURS, "kb", f"at most {limit_kb:g} KB", limit_kb)
        tables.append(table)
    if not bench.quick and machine.open_files_limit() > MANY + 500:
        rows = []
        for way, (title, _) in WAYS.items():
            row = idle_row(bench, bench.ours(), way, MANY, 1)
            row.name = f"{OURS}, {title}"
            rows.append(row)
        tables.append(Table("memory-many", f"Memory: {MANY:,} idle connections", columns, rows))
    return [*tables, churn(bench)]


def churn(bench: Bench) -> Table:
    """Memory after connections came and went many times: what is left behind would add up."""
    crowd = strangers(300 if bench.quick else 2000)
    cycles = 4 if bench.quick else CHURN_CYCLES
    row = Row(OURS)
    server = bench.ours()
    try:
        server.start(crowd)
        left_mb = []
        # The same clients every time: a polling client that is gone counts as one until its time is up.
        conns = [server.connect(("ws", "sse", "poll")[i % 3], i) for i in range(crowd.users)]
        for cycle in range(cycles):
            bench.say(f"coming and going, {cycle + 1} of {cycles}")
            with Load(bench.load, server.port, conns, server.captures) as load:
                load.open()
                machine.wait_until_idle(server.pid)
            machine.wait_until_idle(server.pid)
            left_mb.append(machine.process_rss_bytes(server.pid) / 2**20)
        # The first half fills what the server and its allocator keep for good.
        half = cycles // 2
        row.figures = {
            "left_mb": Figure.of([left_mb[-1]]),
            "grown_kb": Figure.of([(left_mb[-1] - left_mb[half]) * 1024 / (cycles - half - 1)]),
        }
    except FAILURES as error:
        row.missing = str(error)
    finally:
        server.stop()
    title = f"Churn: {crowd.users:,} connections of three kinds come and go {cycles} times"
    columns = [Column("left_mb", "MB at the end"), Column("grown_kb", "KB a cycle, second half", 0)]
    table = Table("churn", title, columns, [row])
    if not bench.quick:
        limit_check(
            table,
            OURS,
            "grown_kb",
            f"the second half grows by at most {crowd.users / 5:,.0f} KB a cycle",
            crowd.users / 5,
        )
    return table


def idle_row(bench: Bench, server: Server, way: str, count: int, rounds: int) -> Row:
    """What an idle connection costs on one server."""
    row = Row(server.name)
    crowd = strangers(count + FIRST)
    looks = []
    try:
        for _ in range(rounds):
            bench.say(f"{server.name}: {count:,} on {way}")
            looks.append(_look(bench, server, crowd, way))
        row.figures = {
            "kb": Figure.of([rss_bytes / 1024 / count for rss_bytes, _ in looks]),
            "open_us": Figure.of([cpu_s * 1e6 / count for _, cpu_s in looks]),
        }
        row.version = server.version()
    except FAILURES as error:
        row.missing = str(error)
    return row


def _look(bench: Bench, server: Server, crowd: Crowd, way: str) -> tuple[int, float]:
    """Bytes and CPU seconds that the connections after the first few have added."""

    def first(server: Server) -> list[Conn]:
        return [server.connect(way, user) for user in range(FIRST)]

    with bench.connected(server, crowd, first):
        rss_bytes, cpu_s = machine.process_rss_bytes(server.pid), machine.process_cpu_s(server.pid)
        rest = [server.connect(way, user) for user in range(FIRST, crowd.users)]
        with Load(bench.load, server.port, rest, server.captures) as load:
            load.open()
            machine.wait_until_idle(server.pid)
            return (
                machine.process_rss_bytes(server.pid) - rss_bytes,
                machine.process_cpu_s(server.pid) - cpu_s,
            )
