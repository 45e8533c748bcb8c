"""Several nodes over one order in one process: following and showing lag behind as far as the test says.

The order is a list in memory. Each `Node` is a `Journal` that hands its entries to its followers, and one task writes
them to the store: by themselves some turns of the loop later, or held until the test lets them go. So what goes wrong
between nodes is seen without NATS and without chance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from chatserver.core.changes import subject
from chatserver.core.errors import Unavailable
from chatserver.core.events import Draft, Event, encode_event
from chatserver.core.prices import Payment
from chatserver.core.visibility import View
from chatserver.journal.contract import (
    CAUGHT_UP_S,
    Answer,
    Appended,
    Follower,
    Guard,
    Outrun,
    settle,
    since,
)
from chatserver.journal.eventlog import Entry, EventLog
from chatserver.journal.guards import Subjects

KEEP_MS = 7 * 86_400_000


class Finder(Protocol):
    """What of the store is needed: which `client_id` stands where."""

    async def find_message(self, sender: str, client_id: str) -> tuple[int, int] | None: ...


class Stream:
    """The order of all nodes, and the one who writes it to the store (`held`: nothing is shown until `show`)."""

    def __init__(
        self, store: Finder, log: EventLog, clock_ms: Callable[[], int], lag: int = 0
    ) -> None:
        self.store = store
        self.log = log
        self.clock_ms = clock_ms
        self.lag = lag
        """Turns of the loop between what is appended and what is followed, and again what is shown."""
        self.held = False
        self.entries: list[Entry] = []
        self.nodes: list[Node] = []
        self.subjects = Subjects()
        self.last_seq = 0
        self.shown_seq = 0
        self.written = 0
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._projecting: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    async def start(self) -> None:
        self.last_seq = self.shown_seq = await self.log.last_seq()

    def publish(
        self, drafts: Sequence[Draft], client_id: str | None, guard: Guard | None
    ) -> Entry | Appended:
        """Give the drafts their places; where an entry of this `client_id` stands, if there is one. Raises `Outrun`."""
        if client_id is not None:
            # All of them: what was written while the store was asked is in neither, otherwise.
            for entry in self.entries:
                first = entry.events[0]
                if (entry.client_id, first.actor) == (client_id, drafts[0].actor):
                    return Appended(first.seq, first.at_ms, duplicate=True)
        if guard is not None:
            self.subjects.refuse_outrun(guard)
        at_ms = self.clock_ms()
        first_seq = max(self.last_seq + 1, at_ms * 1000)
        events = tuple(encode_event(d, first_seq + n, at_ms) for n, d in enumerate(drafts))
        entry = Entry(events, client_id)
        self.entries.append(entry)
        self.last_seq = events[-1].seq
        self.subjects.note(events)
        for node in self.nodes:
            node.hear()
        if not self.held and (self._projecting is None or self._projecting.done()):
            self._projecting = asyncio.create_task(self.show(lag=2 * self.lag))
        return entry

    async def show(self, lag: int = 0) -> None:
        """Write everything that was appended to the store."""
        for _ in range(lag):
            await asyncio.sleep(0)
        async with self._lock:
            while self.written < len(self.entries):
                batch = self.entries[self.written :]
                await self.log.write(batch)
                self.written += len(batch)
                self.shown_seq = batch[-1].events[-1].seq
                self.log.note_shown(self.shown_seq)
                self.notify()

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so. Raises `Unavailable` where it takes too long."""
        if is_so():
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((is_so, waiter))
        try:
            async with asyncio.timeout(CAUGHT_UP_S):
                await waiter
        except TimeoutError:
            raise Unavailable("The server is behind its own database.") from None

    def notify(self) -> None:
        for is_so, waiter in self._waiting:
            if not waiter.done() and is_so():
                waiter.set_result(None)
        self._waiting = [each for each in self._waiting if not each[1].done()]


@dataclass(slots=True)
class _Placing:
    drafts: tuple[Draft, ...]
    client_id: str | None
    answer: Callable[[Appended | Unavailable | Outrun], None]
    guard: Guard | None


class Node:
    """A `Journal` on a stream. `held`: nothing is followed until `follow`; `silent`: nobody waits for this node."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.held = False
        self.silent = False
        self.fresh = True
        self.head_seq = 0
        self.followers: Sequence[Follower] = ()
        self._at = 0
        self._due = False
        self._closing = True
        self._own: dict[int, Callable[[Appended | Unavailable | Outrun], None]] = {}
        self._queue: list[_Placing] = []
        self._publishing: asyncio.Task[None] | None = None

    @property
    def shown_seq(self) -> int:
        return self.stream.shown_seq

    @property
    def healthy(self) -> bool:
        return not self._closing

    async def start(self, followers: Sequence[Follower]) -> None:
        if not self.stream.nodes:
            await self.stream.start()
        self.followers = followers
        self.head_seq = self.stream.last_seq
        self._at = len(self.stream.entries)
        self.stream.nodes.append(self)
        self._closing = False

    # following

    def hear(self) -> None:
        """Something was appended."""
        if not self.held and not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._hear_later, self.stream.lag)

    def _hear_later(self, turns: int) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._hear_later, turns - 1)
            return
        self._due = False
        if not self.held:
            self.follow()

    def follow(self, entries: int | None = None) -> None:
        """Hand on everything that was appended, or the next so many appends of it."""
        end = len(self.stream.entries) if entries is None else self._at + entries
        news = self.stream.entries[self._at : end]
        self._at = end
        events: list[Event] = [event for entry in news for event in entry.events]
        if not events:
            return
        for entry in news:
            first = entry.events[0]
            answer = self._own.pop(first.seq, None)
            if answer is not None:
                answer(Appended(first.seq, first.at_ms, duplicate=False))
        self.head_seq = events[-1].seq
        for follower in self.followers:
            follower(events)
        self.stream.notify()

    def release(self) -> None:
        """Follow by itself again."""
        self.held = False
        self.follow()

    async def caught_up(self, seq: int) -> None:
        await self.stream.until(lambda: self.head_seq >= seq)

    async def newest(self) -> int:
        return self.stream.last_seq

    async def shown(self, seq: int) -> None:
        await self.stream.until(lambda: self.stream.shown_seq >= seq)

    async def guard(self, *user_ids: str) -> Guard:
        guarded = subject(*user_ids)
        seq = self.stream.subjects.newest(guarded)
        await self.shown(seq)
        return Guard(guarded, seq)

    # appending

    def place(self, payment: Payment, draft: Draft, answer: Answer) -> None:
        self._refuse()
        encode_event(draft, 1, 1)
        Payment.collect(payment)

        def answered(place: Appended | Unavailable | Outrun) -> None:
            assert not isinstance(place, Outrun)
            answer(place)

        self._enqueue(_Placing((draft,), draft.client_id, answered, None))

    def is_placed(self, actor: str, client_id: str) -> bool:
        return any((p.drafts[0].actor, p.client_id) == (actor, client_id) for p in self._queue)

    async def append(
        self, payment: Payment, *drafts: Draft, guard: Guard | None = None
    ) -> list[Appended]:
        self._refuse()
        if not drafts or (len(drafts) > 1 and any(d.client_id is not None for d in drafts)):
            raise ValueError("An append is one draft, or several without a client_id.")
        for draft in drafts:
            encode_event(draft, 1, 1)
        Payment.collect(payment)
        future: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        client_id = drafts[0].client_id
        self._enqueue(_Placing(drafts, client_id, partial(_settle_or_outrun, future), guard))
        try:
            first = await future
        except Outrun:
            Payment.hand_back(payment)
            raise
        last = first.seq + len(drafts) - 1
        await self.stream.until(lambda: self._is_settled(last))
        return [Appended(first.seq + n, first.at_ms, first.duplicate) for n in range(len(drafts))]

    def _is_settled(self, seq: int) -> bool:
        living = [node for node in self.stream.nodes if not node.silent]
        return self.stream.shown_seq >= seq and all(node.head_seq >= seq for node in living)

    def _refuse(self) -> None:
        if self._closing:
            raise Unavailable("The server is stopping.")
        if not self.fresh:
            raise Unavailable("The server is cut off from the others.")

    def _enqueue(self, placing: _Placing) -> None:
        self._queue.append(placing)
        if self._publishing is None or self._publishing.done():
            self._publishing = asyncio.create_task(self._publish())

    async def _publish(self) -> None:
        while self._queue:
            placing = self._queue[0]
            place = await self._published(placing)
            self._queue.pop(0)
            if isinstance(place, Entry):
                self._own[place.events[0].seq] = placing.answer
            else:
                placing.answer(place)
            self.stream.notify()

    async def _published(self, placing: _Placing) -> Entry | Appended | Outrun:
        if placing.client_id is not None:
            actor = placing.drafts[0].actor
            older = await self.stream.store.find_message(actor, placing.client_id)
            if older is not None:
                return Appended(older[0], older[1], duplicate=True)
        try:
            return self.stream.publish(placing.drafts, placing.client_id, placing.guard)
        except Outrun as outrun:
            return outrun

    # reading, and the end

    async def backlog(self, view: View, after: int, up_to: int, cap: int) -> int | None:
        await self.shown(min(up_to, self.stream.last_seq))
        found = await self.stream.log.count_visible(view, after, up_to, cap)
        return None if after < await self.stream.log.dropped_seq() else found

    async def few(self, view: View, after: int, up_to: int, most: int) -> list[Event] | None:
        await self.shown(min(up_to, self.stream.last_seq))
        found = await self.stream.log.few(view, after, up_to, most)
        return None if found is None or after < await self.stream.log.dropped_seq() else found

    async def replay(self, view: View, after: int, up_to: int, limit: int) -> list[Event]:
        await self.shown(min(up_to, self.stream.last_seq))
        return await self.stream.log.visible(view, after, up_to, limit)

    async def latest(self, most: int, most_bytes: int) -> tuple[list[Event], int]:
        await self.shown(self.stream.last_seq)
        log = self.stream.log
        return since(await log.latest(most, most_bytes), await log.dropped_seq())

    async def drop_passed(self) -> int:
        return await self.stream.log.drop_passing(self.stream.clock_ms() - KEEP_MS, 100_000)

    async def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        await self.stream.until(lambda: not self._queue)
        self.follow()
        self.stream.nodes.remove(self)
        await self.stream.show()


def _settle_or_outrun(
    future: asyncio.Future[Appended], answer: Appended | Unavailable | Outrun
) -> None:
    if isinstance(answer, Outrun):
        if not future.done():
            future.set_exception(answer)
    else:
        settle(future, answer)
