"""A run: one account, a reader on each transport, numbered messages, and who saw which of them when."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
import time
import uuid

from tests.support.clients import (
    ClassicReader,
    EventsReader,
    Person,
    PollReader,
    Reader,
    ShortPollReader,
    WebSocketReader,
)
from tests.support.socketio_readers import SocketIoReader

SETTLE_S = 10.0
"""What the lanes may take to be ready, and what the last messages may take to arrive beyond the interval."""
LOOK_S = 0.05
"""Between two looks whether everything has arrived."""
KINDS: dict[str, type[Reader]] = {
    "WebSocket": WebSocketReader,
    "Server-Sent Events": EventsReader,
    "Long-polling": PollReader,
    "Polling": ShortPollReader,
    "Classic": ClassicReader,
}
SOCKETIO: dict[str, type[Reader]] = {"Socket.IO": SocketIoReader}
"""One more, where the server answers its clients."""


class Lane:
    """One reader, and when it saw which message."""

    def __init__(self, name: str, client: str, reader: Reader) -> None:
        self.name = name
        self.client = client
        self.reader = reader
        self.ready = asyncio.Event()
        self.seen_at_s: dict[int, float] = {}
        self.doubled = 0

    def see(self, number: int) -> None:
        """Note that a message is here now."""
        if number in self.seen_at_s:
            self.doubled += 1
        else:
            self.seen_at_s[number] = time.perf_counter()


class Comparison:
    """What a run sends, and what its lanes see of it."""

    def __init__(
        self, url: str, person: Person, poll_s: float, kinds: dict[str, type[Reader]] = KINDS
    ) -> None:
        self.person = person
        self.poll_s = poll_s
        self.run = uuid.uuid4().hex[:8]
        self.sent_at_s: dict[int, float] = {}
        self.lanes: list[Lane] = []
        for place, (name, kind) in enumerate(kinds.items()):
            client = f"lab-{self.run}-{place}"
            reader = kind(url, person.token, client)
            if isinstance(reader, ShortPollReader | ClassicReader):
                reader.pause_s = poll_s
            self.lanes.append(Lane(name, client, reader))

    async def measure(self, rate: float, seconds: float) -> None:
        """Write at the rate for so long, and wait until every lane has every message."""
        tasks = [asyncio.create_task(self._read(lane)) for lane in self.lanes]
        async with asyncio.timeout(SETTLE_S):
            await asyncio.gather(*(lane.ready.wait() for lane in self.lanes))
        for number in range(1, max(1, round(rate * seconds)) + 1):
            due_s = time.perf_counter() + 1 / rate
            self.sent_at_s[number] = time.perf_counter()
            text = f"lab {self.run} {number}"
            await self.person.send(text, client_id=f"{self.run}-{number}")
            _progress(f"\r{number} messages")
            await asyncio.sleep(max(0, due_s - time.perf_counter()))
        _progress("\n")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S + self.poll_s):
                while any(len(lane.seen_at_s) < len(self.sent_at_s) for lane in self.lanes):
                    await asyncio.sleep(LOOK_S)
        for task in tasks:
            task.cancel()
        for failure in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(failure, Exception):
                print(f"lab: a lane ended early: {failure!r}", file=sys.stderr)

    async def _read(self, lane: Lane) -> None:
        try:
            await lane.reader.connect()
        finally:
            lane.ready.set()
        while True:
            event = json.loads(await lane.reader.receive())
            found = re.fullmatch(rf"lab {self.run} (\d+)", str(event.get("text", "")))
            if event["type"] == "message" and found:
                lane.see(int(found[1]))

    def latencies_ms(self, lane: Lane) -> list[float]:
        """From the sending to the arrival, for each message that came."""
        return [(at_s - self.sent_at_s[n]) * 1000 for n, at_s in lane.seen_at_s.items()]

    def firsts(self) -> dict[str, int]:
        """How often each lane was the first to see a message."""
        counts = {lane.name: 0 for lane in self.lanes}
        for number in self.sent_at_s:
            arrivals = [
                (lane.seen_at_s[number], lane.name)
                for lane in self.lanes
                if number in lane.seen_at_s
            ]
            if arrivals:
                counts[min(arrivals)[1]] += 1
        return counts


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(text, end="", file=sys.stderr, flush=True)
