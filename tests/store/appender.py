"""A process that appends without an end, and is killed in the middle: `python -m tests.store.appender KIND WHERE`.

It prints the place and the text of each message when it stands.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

from chatserver.journal.local import LocalJournal
from chatserver.store.mongo import database as mongo_db
from chatserver.store.mongo.store import MongoStore
from chatserver.store.sqlite.store import SqliteStore
from tests.store.kit import message
from tests.support.payments import paid

ROOT = Path(__file__).resolve().parents[2]
ROWS = 8
"""So many append at once."""


def acknowledged_until_killed(kind: str, where: str, lines: int) -> list[tuple[int, str]]:
    """Append in a child until it acknowledged `lines`, then kill it; what it acknowledged."""
    command = [sys.executable, "-m", "tests.store.appender", kind, where]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        head = [child.stdout.readline() for _ in range(lines)]
        child.kill()
        # A line that the kill cut short is no acknowledgement.
        told = [line for line in head + child.stdout.readlines() if line.endswith("\n")]
    return [(int(line.split()[0]), line.split()[1]) for line in told]


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000


async def _append(kind: str, where: str) -> None:
    mongo_db.LEASE_S = 1.0  # whoever comes after it does not wait long
    store = (
        SqliteStore(Path(where), _clock_ms) if kind == "sqlite" else MongoStore(where, _clock_ms)
    )
    await store.start()
    journal = LocalJournal(store.log, _clock_ms)
    await journal.start([])

    async def say(row: int) -> None:
        for number in range(1_000_000):
            text = f"{row}-{number}"
            (standing,) = await journal.append(paid(), message("ann", text, None, text))
            print(f"{standing.seq} {text}", flush=True)

    await asyncio.gather(*map(say, range(ROWS)))


if __name__ == "__main__":
    asyncio.run(_append(*sys.argv[1:]))
