"""What a server holds, read from outside: memory and descriptors from /proc, the rest from its metrics."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

import httpx

from scripts.benchmark.machine import process_rss_bytes
from tests.support.process import ServerProcess

MEMORY_MB = 16.0
"""So much more than at the first look may be resident: caches fill that are bounded by number, and the allocator
keeps what it had at the busiest moment. Argon2's 19 MiB a thread are in the first look already."""
DESCRIPTORS = 2
TASKS = 2
"""One more look at the metrics may be under way, and a timer's work."""
SETTLE_S = 30.0
"""How long things may take to return to where they were, after what lingers has gone."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a server held at one moment."""

    memory_mb: float
    descriptors: int
    tasks: int
    mailboxes: int
    connections: int

    def __str__(self) -> str:
        return (
            f"{self.memory_mb:.1f} MB, {self.descriptors} descriptors, {self.tasks} tasks, "
            f"{self.mailboxes} mailboxes, {self.connections} readers"
        )

    def grown_over(self, first: Held) -> list[str]:
        """What is more than at `first`, beyond the tolerances."""
        bounds = {
            "memory_mb": first.memory_mb + MEMORY_MB,
            "descriptors": first.descriptors + DESCRIPTORS,
            "tasks": first.tasks + TASKS,
            "mailboxes": 0,
            "connections": 0,
        }
        return [name for name, bound in bounds.items() if getattr(self, name) > bound]


async def look(server: ServerProcess) -> Held:
    """What `server` holds now."""
    async with httpx.AsyncClient(base_url=server.url, timeout=20) as http:
        page = (await http.get("/metrics")).text
    values = re.findall(r"^chatserver_(\w+)(?:\{[^}]*\})? ([\d.e+]+)$", page, re.MULTILINE)
    total: dict[str, float] = {}
    for name, value in values:
        total[name] = total.get(name, 0.0) + float(value)
    return Held(
        process_rss_bytes(server.pid) / 2**20,
        len(list(Path(f"/proc/{server.pid}/fd").iterdir())),
        int(total["tasks"]),
        int(total["mailboxes"]),
        int(total["connections"]),
    )


async def settled(server: ServerProcess, first: Held | None) -> Held:
    """What `server` holds once nothing lingers any more, or after SETTLE_S at the latest."""
    give_up_at_s = asyncio.get_running_loop().time() + SETTLE_S
    while True:
        held = await look(server)
        still = held.mailboxes or held.connections or (first and held.grown_over(first))
        if not still or asyncio.get_running_loop().time() > give_up_at_s:
            return held
        await asyncio.sleep(0.5)
