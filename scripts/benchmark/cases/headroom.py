"""Is the load generator itself fast enough to be believed?"""

from pathlib import Path

from ..bench import Bench
from ..crowd import star
from ..drip import DELIVERIES, deliveries_counted
from ..figures import Check, Column, Table, limit_check
from ..load import Conn, Traffic, build
from ..peers import HERE, Peer
from ..servers import Server

NAME = "C loop, joined writes"
BURSTS = {"20 in flight": 20, "100 in flight": 100}


def headroom(bench: Bench) -> list[Table]:
    """The bare C sender, joining what came together: most of the work is the receiver's."""
    crowd = star(1000)

    def plan(server: Server) -> list[Conn]:
        return [server.connect("ws", user, user == 0) for user in range(crowd.users)]

    def prepare(cache: Path) -> tuple[list[str | Path], str]:
        return [build([HERE / "floor.c"], cache / "native" / "floor"), "join"], "cc -O2"

    sender = Peer(NAME, frozenset({"ws"}), prepare, bench.cache)
    traffics = {
        name: Traffic(bench.round_s, 0, flight, crowd.users) for name, flight in BURSTS.items()
    }
    rows = bench.side_by_side([sender], crowd, plan, traffics, "delivered")
    table = Table(
        "headroom",
        "Headroom: what the load generator takes in from a bare C sender, 1,000 WebSockets",
        [
            Column("per_s", "deliveries a second", 0),
            Column("load_busy", "load busy %", 0),
            Column("server_busy", "sender busy %", 0),
            Column("missing", "missing", 0),
        ],
        [],
    )
    for name, (row,) in rows.items():
        row.name = f"{NAME}, {name}"
        table.rows.append(row)
    limit_check(
        table, table.rows[-1].name, "per_s", "over 2,000,000 deliveries a second", 2e6, least=True
    )
    counted = deliveries_counted(bench.load)
    text = f"{DELIVERIES} deliveries dripped a byte at a time are counted exactly"
    table.checks.append(Check(text, counted, DELIVERIES, least=True))
    return [table]
