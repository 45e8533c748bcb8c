"""The journal of one process: the store's own event table is the log, and this gives out the places.

Everything here runs on the event loop. An append gets its seq and its bytes at once, in call order, and
waits in a queue; one task writes whatever waits as one batch, at once after a quiet moment and else every
`pacing.APART_S`, and hands the batch to the followers in the same turn as it answers. It knows the database through `EventLog`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from chatserver.core.changes import subject
from chatserver.core.errors import Unavailable
from chatserver.core.events import MAX_SEQ, Draft, Event, encode_event
from chatserver.core.prices import Payment
from chatserver.core.visibility import View
from chatserver.journal.contract import Answer, Appended, Follower, Guard, settle, since
from chatserver.journal.dropping import DropMark
from chatserver.journal.eventlog import Entry, EventLog, InDoubt
from chatserver.journal.guards import Subjects
from chatserver.journal.pacing import Pace
from chatserver.journal.waiting import Reached

_log = logging.getLogger("chatserver.journal")

KEEP_MS = 7 * 86_400_000
"""How long events that are no messages can be replayed: a cursor older than a week gets a reset."""
MAX_WAITING = 10_000
"""Appends that wait to be written; one more is `Unavailable`. Some tenths of a second of work."""
MAX_WAITING_BYTES = 32 * 1024 * 1024
MAX_BATCH = 1000
"""Appends in one transaction: about 10 ms of writing, so that a burst does not delay its first answer."""
PROBE_S = 1.0
"""How often a database that failed is tried again while nobody appends."""
SETTLE_S = (0.1, 2.0)
"""Shortest and longest pause between two attempts to learn what became of a batch."""
DROP_EVERY_S = 3600.0
DROP_EVENTS = 2000
"""Events dropped in one transaction: appends wait behind it."""
CLOSE_S = 15.0
"""How long `close` waits for what was accepted; within the 30 s of a drain."""

_Key = tuple[str, str]
"""Actor and `client_id`."""


class _Waiting(Entry):
    """One append on its way, and everybody who waits for it."""

    __slots__ = ("answer", "key", "repeats")

    def __init__(
        self,
        events: tuple[Event, ...],
        client_id: str | None,
        key: _Key | None,
        answer: Answer,
    ) -> None:
        self.events = events
        self.client_id = client_id
        self.key = key
        self.answer = answer
        """Hears the place of the first event."""
        self.repeats: list[Answer] | None = None
        """Of appends of the same `client_id` that came while this one was on its way."""


class LocalJournal:
    """A `Journal` over `log`, whose only writer and only node it is: what was followed is shown by the store.

    `clock_ms` is the time now and may step: seq is `max(last + 1, microseconds since 1970)`. `keep_ms`
    is how long events that are no messages are kept.
    """

    fresh = True
    """Always; not a property, since each poll and each message asks."""

    def __init__(self, log: EventLog, clock_ms: Callable[[], int], keep_ms: int = KEEP_MS) -> None:
        self._events = log
        self._clock_ms = clock_ms
        self._keep_ms = keep_ms
        self._last_seq = 0
        self._head = Reached("The server is behind its own database.")
        self._healthy = False
        self._accepting = False
        """Neither before the start, nor at the end, nor while nobody knows what was written."""
        self._closing = False
        self._queue: deque[_Waiting] = deque()
        self._queued_bytes = 0
        self._by_client: dict[_Key, _Waiting] = {}
        self._subjects = Subjects()
        self._wake = asyncio.Event()
        self._followers: Sequence[Follower] = ()
        self._tasks: list[asyncio.Task[None]] = []
        self._mark = DropMark(log.dropped_seq)

    @property
    def head_seq(self) -> int:
        return self._head.seq

    @property
    def shown_seq(self) -> int:
        return self._head.seq

    @property
    def healthy(self) -> bool:
        return self._healthy and not self._closing

    async def start(self, followers: Sequence[Follower]) -> None:
        self._last_seq = await self._events.last_seq()
        self._head.reach(self._last_seq)
        self._followers = followers
        self._healthy = True
        writer = asyncio.create_task(self._write_all(), name="journal-writer")
        writer.add_done_callback(self._writer_ended)
        dropper = asyncio.create_task(self._drop_all(), name="journal-dropper")
        self._tasks = [writer, dropper]
        self._accepting = True

    async def caught_up(self, seq: int) -> None:
        await self._head.wait(seq)

    async def newest(self) -> int:
        return self._head.seq

    async def shown(self, seq: int) -> None:
        await self.caught_up(seq)

    async def guard(self, *user_ids: str) -> Guard:
        guarded = subject(*user_ids)
        seq = self._subjects.newest(guarded)
        await self.caught_up(seq)
        return Guard(guarded, seq)

    def place(self, payment: Payment, draft: Draft, answer: Answer) -> None:
        Payment.collect(payment)
        self._refuse_where_full()
        client_id, key = draft.client_id, None
        if client_id is not None:
            key = draft.actor, client_id
            first = self._by_client.get(key)
            if first is not None:
                first.repeats = repeats = first.repeats or []
                repeats.append(answer)
                return
        event = encode_event(draft, *self._next_place(1))
        if draft.change is not None:  # a message is in nobody's way
            self._subjects.note((event,))
        waiting = _Waiting((event,), client_id, key, answer)
        if key is not None:
            self._by_client[key] = waiting
        self._accept(waiting, len(event.payload))

    def is_placed(self, actor: str, client_id: str) -> bool:
        return (actor, client_id) in self._by_client

    async def append(
        self, payment: Payment, *drafts: Draft, guard: Guard | None = None
    ) -> list[Appended]:
        if guard is not None:
            self._subjects.refuse_outrun(guard)
        future: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        answer = partial(settle, future)
        if len(drafts) == 1:
            self.place(payment, drafts[0], answer)
            return [await future]
        Payment.collect(payment)
        if not drafts or any(draft.client_id is not None for draft in drafts):
            raise ValueError("An append is one draft, or several without a client_id.")
        self._refuse_where_full()
        seq, at_ms = self._next_place(len(drafts))
        events = tuple([encode_event(each, seq + n, at_ms) for n, each in enumerate(drafts)])
        self._subjects.note(events)
        size_bytes = sum([len(event.payload) for event in events])
        self._accept(_Waiting(events, None, None, answer), size_bytes)
        await future
        # Without a client_id there is nothing that they could be repeats of.
        return [Appended(event.seq, event.at_ms, False) for event in events]

    async def backlog(self, view: View, after: int, up_to: int, cap: int) -> int | None:
        # First the events, then the mark: what is dropped in between is so still noticed.
        found = await self._events.count_visible(view, after, up_to, cap)
        return None if after < await self._mark.seq() else found

    async def few(self, view: View, after: int, up_to: int, most: int) -> list[Event] | None:
        found = await self._events.few(view, after, up_to, most)
        return None if found is None or after < await self._mark.seq() else found

    async def replay(self, view: View, after: int, up_to: int, limit: int) -> list[Event]:
        return await self._events.visible(view, after, up_to, limit)

    async def latest(self, most: int, most_bytes: int) -> tuple[list[Event], int]:
        return since(await self._events.latest(most, most_bytes), await self._mark.seq())

    async def drop_passed(self) -> int:
        """Drop the events whose time to be kept is over; return how many. Done every hour anyway."""
        dropped = 0
        before_ms = self._clock_ms() - self._keep_ms
        with self._mark.moving():
            while some := await self._events.drop_passing(before_ms, DROP_EVENTS):
                dropped += some
        return dropped

    async def close(self) -> None:
        if self._closing or not self._tasks:
            return
        self._closing = True
        self._accepting = False
        self._wake.set()
        writer, dropper = self._tasks
        dropper.cancel()
        await asyncio.wait({writer}, timeout=CLOSE_S)
        writer.cancel()
        await asyncio.gather(writer, dropper, return_exceptions=True)

    # accepting

    def _accept(self, waiting: _Waiting, size_bytes: int) -> None:
        queue = self._queue
        if not queue:
            self._wake.set()
        queue.append(waiting)
        self._queued_bytes += size_bytes
        # Only now: a draft that cannot be encoded has taken no place.
        self._last_seq = waiting.events[-1].seq

    def _refuse_where_full(self) -> None:
        if not self._accepting:
            if self._closing or not self._tasks:
                raise Unavailable("The server is stopping.")
            raise Unavailable("The server cannot save messages at the moment.")
        if len(self._queue) >= MAX_WAITING or self._queued_bytes >= MAX_WAITING_BYTES:
            raise Unavailable("The server has too much to do at the moment.")

    def _next_place(self, count: int) -> tuple[int, int]:
        """Seq of the next event, of so many side by side, and the time now in milliseconds."""
        at_ms, seq = self._clock_ms(), self._last_seq + 1
        if seq < at_ms * 1000:  # not by `max`, which takes as long as all the rest
            seq = at_ms * 1000
        if seq + count > MAX_SEQ:
            raise Unavailable("The server's clock is wrong.")
        return seq, at_ms

    # writing

    async def _write_all(self) -> None:
        pace = Pace()
        while self._queue or not self._closing:
            if self._queue:
                await pace.next()
                await self._write(self._take_batch())
                continue
            self._wake.clear()
            if self._healthy:
                await self._wake.wait()
                continue
            try:
                async with asyncio.timeout(PROBE_S):
                    await self._wake.wait()
            except TimeoutError:
                await self._probe()

    def _take_batch(self) -> list[_Waiting]:
        queue = self._queue
        if len(queue) <= MAX_BATCH:
            batch = list(queue)
            queue.clear()
            self._queued_bytes = 0
        else:
            batch = [queue.popleft() for _ in range(MAX_BATCH)]
            taken = [event for waiting in batch for event in waiting.events]
            self._queued_bytes -= sum([len(event.payload) for event in taken])
        return batch

    async def _write(self, batch: list[_Waiting]) -> None:
        try:
            outcome = await self._events.write(batch)
        except InDoubt as error:
            self._note(False, error)
            self._accepting = False
            self._fail(batch, error)
            # These are certainly not written. Answer now, their senders can try again in time.
            self._fail(self._queue, error)
            self._queue.clear()
            self._queued_bytes = 0
            outcome = await self._settle(batch)
            for waiting in batch:
                self._subjects.note(waiting.events)
            self._accepting = not self._closing
        except Unavailable as error:
            self._note(False, error)
            self._fail(batch, error)
            return
        self._note(True, None)
        self._hand_on(batch, outcome)

    async def _settle(self, batch: list[_Waiting]) -> Sequence[Appended | None]:
        """Learn what became of a batch. Until then nothing later may be written: order would break."""
        pause_s, longest_s = SETTLE_S
        while True:
            await asyncio.sleep(pause_s)
            try:
                return await self._events.write(batch)
            except Unavailable:
                pause_s = min(pause_s * 2, longest_s)

    def _hand_on(self, batch: list[_Waiting], outcome: Sequence[Appended | None]) -> None:
        events: list[Event] = []
        # Answered just before they are handed on: so a sender's acknowledgement and event leave in one write.
        for waiting, older in zip(batch, outcome, strict=True):
            if older is None:
                own = waiting.events
                events += own
                older = Appended(own[0].seq, own[0].at_ms, False)
            self._answer(waiting, older)
        if events:
            self._head.reach(events[-1].seq)
            for follower in self._followers:
                try:
                    follower(events)
                except Exception:
                    # It promised not to. These events are durable, and they must go their way to the others.
                    _log.exception("a follower failed on the events up to %d", self._head.seq)

    def _fail(self, batch: Iterable[_Waiting], error: Unavailable) -> None:
        for waiting in batch:
            self._subjects.never_happened(waiting.events, self._head.seq)
            self._answer(waiting, Unavailable(error.detail, error.retry_after_s))

    def _answer(self, waiting: _Waiting, answer: Appended | Unavailable) -> None:
        if waiting.key is not None:
            self._by_client.pop(waiting.key, None)
        # Once only: of a batch in doubt they have been answered already when it turns out to have been written.
        who, waiting.answer = waiting.answer, _nobody
        try:
            who(answer)
        except Exception:
            _log.exception("somebody failed on being answered")
        if waiting.repeats is not None:
            self._answer_repeats(waiting, waiting.repeats, answer)

    def _answer_repeats(
        self, waiting: _Waiting, repeats: Sequence[Answer], answer: Appended | Unavailable
    ) -> None:
        waiting.repeats = None
        waiting.key = None  # whoever was answered may have placed the next with it
        if isinstance(answer, Appended):
            answer = replace(answer, duplicate=True)
        for each in repeats:
            waiting.answer = each
            self._answer(waiting, answer)

    # health and age

    async def _probe(self) -> None:
        try:
            await self._events.probe()
        except Unavailable:
            return
        self._note(True, None)

    def _note(self, healthy: bool, error: Unavailable | None) -> None:
        if self._healthy and not healthy:
            _log.error("events cannot be made durable: %s", error)
        elif healthy and not self._healthy:
            _log.warning("events can be made durable again")
        self._healthy = healthy

    def _writer_ended(self, writer: asyncio.Task[None]) -> None:
        self._healthy = self._accepting = False
        error = None if writer.cancelled() else writer.exception()
        if error is not None:
            _log.critical("the journal has stopped for good", exc_info=error)
        left = {id(w): w for w in (*self._queue, *self._by_client.values())}
        self._fail(list(left.values()), Unavailable("The server is stopping."))
        self._queue.clear()

    async def _drop_all(self) -> None:
        while True:
            try:
                if dropped := await self.drop_passed():
                    _log.info("dropped %d events that are over a week old", dropped)
            except Unavailable:
                pass  # The log has said so where it failed; the next round does this one's work.
            await asyncio.sleep(DROP_EVERY_S)


def _nobody(what: object) -> None:
    """Whoever has been answered already."""
