"""Coming, talking and going for an hour: what is left behind would add up."""

import time

from .. import machine
from ..bench import FAILURES, Bench
from ..crowd import circles
from ..figures import Column, Figure, Row, Table, limit_check
from ..load import Load, Traffic
from ..ours import OURS

SHIFTS, SHIFT_USERS, CIRCLE = 20, 600, 10
"""A shift is away for longer (20 × 10 s) than a mailbox without readers is kept (120 s)."""
CYCLE_S = 10.0
TALK = Traffic(3.0, 100.0)
GROWTH_MB = 1.0


def hour(bench: Bench) -> list[Table]:
    """Shifts of friends on three transports come, talk for some seconds, and go without a word."""
    cycles = round(bench.minutes * 60 / CYCLE_S)
    crowd = circles(SHIFTS * SHIFT_USERS // CIRCLE, CIRCLE)
    row = Row(OURS)
    server = bench.ours()
    looks_mb: list[float] = []
    delivered = 0
    try:
        server.start(crowd)
        for cycle in range(cycles):
            began_at = time.monotonic()
            first = cycle % SHIFTS * SHIFT_USERS
            conns = [
                server.connect(way, user, way == "ws")
                for user in range(first, first + SHIFT_USERS)
                for way in (("ws", "sse", "poll")[user % 3],)
            ]
            with Load(bench.load, server.port, conns, server.captures) as load:
                load.open()
                delivered += load.run(TALK)["delivered"]
            machine.wait_until_idle(server.pid)
            looks_mb.append(machine.process_rss_bytes(server.pid) / 2**20)
            if cycle % SHIFTS == SHIFTS - 1:
                bench.say(f"{cycle + 1} of {cycles}: {looks_mb[-1]:.1f} MB")
            time.sleep(max(0.0, CYCLE_S - (time.monotonic() - began_at)))
        row.figures = _figures(looks_mb, delivered, cycles)
        row.version = server.version()
    except FAILURES as error:
        row.missing = str(error)
    finally:
        server.stop()
    title = f"Coming and going for {bench.minutes:g} minutes: {SHIFT_USERS} connections every {CYCLE_S:g} s"
    columns = [
        Column("opened", "connections in all", 0),
        Column("delivered", "deliveries in all", 0),
        Column("early_mb", "MB, first sixth"),
        Column("half_mb", "MB, fourth sixth"),
        Column("late_mb", "MB, last sixth"),
        Column("grown_mb", "grown since half-time, MB", 2),
    ]
    table = Table("hour", title, columns, [row])
    text = f"since half-time it has grown by at most {GROWTH_MB:g} MB"
    limit_check(table, OURS, "grown_mb", text, GROWTH_MB)
    return [table]


def _figures(looks_mb: list[float], delivered: int, cycles: int) -> dict[str, Figure]:
    sixth = max(1, len(looks_mb) // 6)
    early, half, late = (
        Figure.of(looks_mb[start : start + sixth])
        for start in (0, len(looks_mb) // 2, len(looks_mb) - sixth)
    )
    return {
        "opened": Figure.of([cycles * SHIFT_USERS]),
        "delivered": Figure.of([delivered]),
        "early_mb": early,
        "half_mb": half,
        "late_mb": late,
        "grown_mb": Figure.of([late.median - half.median]),
    }
