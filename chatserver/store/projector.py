"""Writing into the store what stands in the stream: one node at a time does it, from the place on that the store itself keeps.

Whoever wants the lease watches its count: where that stands still for `LEASE_S`, as seen by somebody who was awake all the time,
its owner is gone or frozen. So no clock of one host is compared with another's. A frozen owner that wakes finds the lease
taken when it writes next.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from chatserver.core.errors import Unavailable
from chatserver.journal.contract import Appended
from chatserver.journal.envelope import Placed
from chatserver.journal.eventlog import Entry, Fenced, Projection
from chatserver.journal.follower import StreamFollower
from chatserver.journal.stream import Stream

_log = logging.getLogger("chatserver.store")

KEEP_MS = 7 * 86_400_000
DROP_EVERY_S = 3600.0
DROP_EVENTS = 2000
"""As in the journal of one process."""
BATCH_EVENTS = 500
MAX_WAITING = 5_000
"""Events that wait to be written; then the stream is asked to wait."""
BEAT_S = 0.5
LEASE_S = 3.0
"""How long a takeover waits, and how long a stall may last."""
WATCH_S = 0.5
AWAKE_S = 1.5
"""So long between two looks, and the watcher itself was asleep: it begins to watch anew."""
PAUSE_S = (0.05, 1.0)
"""Shortest and longest pause before a batch is tried again."""


class Projector:
    """Shows the events of `stream` in `store`, while it has the lease. `clock_ms` is the time now."""

    def __init__(self, stream: Stream, store: Projection, clock_ms: Callable[[], int]) -> None:
        self.active = False
        """Whether this node has the lease, as far as it knows."""
        self.repeats = 0
        """Messages that stood in the store already under their id: there must be none."""
        self._stream = stream
        self._store = store
        self._clock_ms = clock_ms
        self._owner = secrets.randbits(52)
        self._taken = False
        self._waiting: list[Placed] = []
        self._wake = asyncio.Event()
        self._follower: StreamFollower | None = None
        self._running: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Wait for the lease, and show what there is."""
        self._running = asyncio.create_task(self._run(), name="projector")

    async def close(self) -> None:
        """Stop between two batches, and let the next one go on at once."""
        if self._running is None:
            return
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
        self._running = None
        if self._taken:
            with suppress(Unavailable):
                await self._store.give_lease_back(self._owner)

    async def _run(self) -> None:
        while True:
            try:
                await self._take()
                await self._show()
            except Fenced:
                _log.warning("another node shows the events now")
            except Unavailable as error:
                _log.info("the projector waits: %s", error.detail)
                await asyncio.sleep(PAUSE_S[1])
            finally:
                self.active = False

    # the lease

    async def _take(self) -> None:
        self._taken = False
        seen = await self._store.lease()
        since_s = looked_s = time.monotonic()
        while True:
            if seen is None or looked_s - since_s >= LEASE_S:
                if await self._store.take_lease(self._owner, seen):
                    break
            else:
                await asyncio.sleep(WATCH_S)
            now, now_s = await self._store.lease(), time.monotonic()
            if now != seen or now_s - looked_s > AWAKE_S:
                seen, since_s = now, now_s
            looked_s = now_s
        self._taken = self.active = True
        if seen is not None:
            _log.warning(
                "this node shows the events now: the one before has stopped without a word"
            )

    async def _beat(self) -> None:
        while await self._store.beat(self._owner):
            await asyncio.sleep(BEAT_S)
        raise Fenced

    # showing

    async def _show(self) -> None:
        await self._store.end_again()
        shown_seq = await self._show_nothing(await self._store.projected())
        self._waiting.clear()
        follower = StreamFollower(self._stream, "p", self._hear, self._is_full)
        self._follower = follower
        await follower.start(shown_seq)
        works = [
            asyncio.create_task(work) for work in (self._write_all(), self._beat(), self._age())
        ]
        try:
            done, _ = await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
            for work in done:
                work.result()
        finally:
            for work in works:
                work.cancel()
            await asyncio.gather(*works, return_exceptions=True)
            await follower.close()
            self._follower = None

    async def _show_nothing(self, shown_seq: int) -> int:
        """Where no message stands behind what is shown, everything is: seqs of a new stream begin far above."""
        last_seq = (await self._stream.state()).last_seq
        if last_seq <= shown_seq or await self._stream.newest_message() > shown_seq:
            return shown_seq
        await self._write([], last_seq)
        self._announce(last_seq)
        return last_seq

    def _is_full(self) -> bool:
        return len(self._waiting) >= MAX_WAITING

    def _hear(self, turn: list[Placed]) -> None:
        self._waiting += turn
        self._wake.set()

    async def _write_all(self) -> None:
        while True:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            batch = self._take_batch()
            up_to = batch[-1].event.seq
            outcome = await self._write(_entries(batch), up_to)
            repeats = sum(older is not None for older in outcome)
            if repeats:
                self.repeats += repeats
                _log.error("%d messages came under an id that there was already", repeats)
            self._announce(up_to)
            if self._follower is not None and not self._is_full():
                self._follower.go_on()

    def _take_batch(self) -> list[Placed]:
        """Some of what waits, never a part of an append: the follower hands those on whole."""
        count = min(BATCH_EVENTS, len(self._waiting))
        while count < len(self._waiting) and self._waiting[count].index > 0:
            count += 1
        batch, self._waiting = self._waiting[:count], self._waiting[count:]
        return batch

    async def _write(self, entries: Sequence[Entry], up_to: int) -> Sequence[Appended | None]:
        pause_s, longest_s = PAUSE_S
        while True:
            try:
                return await self._store.project(entries, up_to, self._owner)
            except Unavailable as error:
                _log.info("events are shown later: %s", error.detail)
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, longest_s)

    def _announce(self, seq: int) -> None:
        self._stream.link.publish(self._stream.subjects.signal("shown"), b"%d" % seq)

    async def _age(self) -> None:
        """Drop what has passed, as the journal of one process does."""
        while True:
            await asyncio.sleep(DROP_EVERY_S)
            with suppress(Unavailable):
                await self.drop_passed()
                await self._store.end_again()

    async def drop_passed(self) -> int:
        """Drop the events whose time to be kept is over; return how many. Done every hour anyway."""
        dropped, before_ms = 0, self._clock_ms() - KEEP_MS
        while some := await self._store.drop_passing(before_ms, DROP_EVENTS):
            dropped += some
        return dropped


def _entries(batch: Sequence[Placed]) -> list[Entry]:
    """The appends that these events were part of."""
    found: list[Entry] = []
    group: list[Placed] = []
    for placed in batch:
        if group and (placed.node, placed.number) != (group[0].node, group[0].number):
            found.append(_entry(group))
            group = []
        group.append(placed)
    return [*found, _entry(group)] if group else found


def _entry(group: Sequence[Placed]) -> Entry:
    return Entry(tuple([placed.event for placed in group]), group[0].client_id)
