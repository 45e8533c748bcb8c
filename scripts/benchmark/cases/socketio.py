"""Clients of Socket.IO: ours, our own WebSocket, and Socket.IO on Node, in the same rounds."""

from ..bench import Bench
from ..figures import Column, Table, ratio_check
from ..ours import OURS, OnSocketIO
from ..servers import Server
from . import fanout
from .connections import idle_row

OURS_HERE = f"{OURS}, Socket.IO"
ON_NODE = "Socket.IO on Node"


def socketio(bench: Bench) -> list[Table]:
    """Fan-out by WebSocket, and memory of idle clients."""
    peers = [
        server
        for server in bench.servers("ws")
        if "ocket" in server.name and "IO" in server.name.upper()
    ]
    servers: list[Server] = [bench.ours(), OnSocketIO(), *peers]
    one, _, flight = fanout.tables(bench, "ws", "Socket.IO", servers)
    count, rounds = (300, 1) if bench.quick else (2000, 3)
    memory = Table(
        "memory",
        f"Memory: {count:,} idle clients of Socket.IO",
        [Column("kb", "KB a connection"), Column("open_us", "CPU µs to open one", 0)],
        [idle_row(bench, server, "ws", count, rounds) for server in servers],
    )
    for table in (one, flight, memory):
        table.key = f"socketio-{table.key}"
    ratio_check(one, OURS_HERE, ON_NODE, "cpu_us", 1.0)
    ratio_check(flight, OURS_HERE, ON_NODE, "cpu_us", 1.0)
    return [one, flight, memory]
