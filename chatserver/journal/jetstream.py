"""The journal of many nodes: one stream of NATS JetStream is the order, and each node follows all of it.

An append is answered when its own event comes back from the stream: then it is durable, and was handed to the followers here.
The store shows it a little later (`store/projector.py`). How it stands in the stream is `envelope`, how it gets there
`publisher`, how it comes back `follower`; who else is there `nodes`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from chatserver.core.changes import subject
from chatserver.core.errors import Unavailable
from chatserver.core.events import Draft, Event
from chatserver.core.prices import Payment
from chatserver.core.visibility import View
from chatserver.journal.contract import Answer, Appended, Follower, Guard, Outrun, since
from chatserver.journal.envelope import Placed
from chatserver.journal.eventlog import Projection
from chatserver.journal.follower import StreamFollower, remember
from chatserver.journal.nodes import FRESH_S, Nodes, now_s, settles
from chatserver.journal.pacing import Pace
from chatserver.journal.publisher import Outcome, Publisher, Sending
from chatserver.journal.stream import Stream
from chatserver.journal.waiting import Reached, resolve, resolve_one

_log = logging.getLogger("chatserver.journal")

MAX_WAITING = 10_000
MAX_WAITING_BYTES = 32 * 1024 * 1024
"""Appends that are on their way; one more is `Unavailable`."""
ASK_EVERY_S = 1.0
"""How often this node proves that it is fresh."""
AWAKE_S = 1.0
"""So long a node that was frozen refuses at least: what had waited in its sockets has long been asked of another one."""
SHOWN_EVERY_S = 0.5
"""How often the store is asked how far it is, while anybody waits and the projector has not said."""
LAG_S = 300.0
"""Half of the stream's window for ids: where the store is further behind, neither knows every id."""
CLOSE_S = 15.0

_STOPPING = "The server is stopping."


class JetStreamJournal:
    """A `Journal` over `stream`, one node of any number; `log` is the store that shows it. The stream is open."""

    def __init__(self, stream: Stream, log: Projection) -> None:
        self.node = secrets.token_hex(4)
        """Its name among the others, new with every start."""
        self._stream = stream
        self._link = stream.link
        self._log = log
        self._head = Reached("The server is behind the order.")
        self._shown = Reached("The server is behind the order at the moment.")
        self._follower = StreamFollower(stream, f"n-{self.node}", self._hand_on)
        subjects = stream.subjects
        self._publisher = Publisher(self._link, subjects, self.node, self._repeats, stream.is_kept)
        self._nodes = Nodes(self._link, subjects, self.node, lambda: self.head_seq)
        self._followers: Sequence[Follower] = ()
        self._fresh_s = float("-inf")
        self._asked: deque[tuple[int, float]] = deque()
        self._heads: deque[tuple[int, float]] = deque()
        """Where this node was when, of what the store does not show yet."""
        self._queue: deque[Sending] = deque()
        self._bytes = 0
        self._on_way = 0
        self._by_client: dict[tuple[str, str], list[Answer]] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._passing: set[asyncio.Task[None]] = set()
        self._closing = False

    @property
    def head_seq(self) -> int:
        return self._head.seq

    @property
    def shown_seq(self) -> int:
        return self._shown.seq

    @property
    def healthy(self) -> bool:
        return self.fresh and not self._closing and self._stream.is_kept()

    def others(self) -> list[str]:
        """The other nodes that live, as far as is known."""
        return self._nodes.living()

    @property
    def fresh(self) -> bool:
        return now_s() - self._fresh_s < FRESH_S and not self._follower.broken

    @property
    def left_behind(self) -> bool:
        """Whether what comes next is gone: what is remembered here can never be true again, and only a new start helps."""
        return self._follower.left_behind

    @property
    def lag_s(self) -> float:
        """For how long the store has not shown what this node had followed."""
        return now_s() - self._heads[0][1] if self._heads else 0.0

    async def start(self, followers: Sequence[Follower]) -> None:
        self._followers = followers
        asked_s = now_s()
        shown = self._stream.subjects.signal("shown")
        await self._link.subscribe(shown, lambda said: self._note_shown(int(said.data)))
        self._head.reach(await self._stream.newest())
        self._note_shown(await self._log.projected())
        # How far behind the store is already, nobody knows yet.
        self._heads.append((self.head_seq, float("-inf")))
        self._note_shown(self.shown_seq)
        await self._publisher.start()
        await asyncio.gather(self._nodes.start(), remember(self._stream, "r", self.head_seq))
        await self._follower.start(self.head_seq)
        self._fresh_s = asked_s
        loops = (self._flush_all(), self._ask_all(), self._look_at_store())
        self._tasks = [asyncio.create_task(each, name="jetstream") for each in loops]
        # What cannot be had in that time is waited for by whoever asks.
        with suppress(Unavailable):
            await self.shown(self.head_seq)

    async def caught_up(self, seq: int) -> None:
        await self._head.wait(seq)

    async def newest(self) -> int:
        return max(await self._stream.newest(), self.head_seq)

    async def shown(self, seq: int) -> None:
        await self._shown.wait(seq)

    async def guard(self, *user_ids: str) -> Guard:
        guarded = subject(*user_ids)
        seq = await self._stream.last_of(self._stream.subjects.guarded(guarded))
        await self.shown(seq)
        return Guard(guarded, seq)

    def place(self, payment: Payment, draft: Draft, answer: Answer) -> None:
        self._refuse_where_full()
        Payment.collect(payment)
        self._place(draft, answer)

    def _place(self, draft: Draft, answer: Answer) -> None:
        key = None if draft.client_id is None else (draft.actor, draft.client_id)
        if key is not None and key in self._by_client:
            self._by_client[key].append(answer)
            return
        answers = [answer]
        self._accept(Sending((draft,), partial(self._answer, key, answers)))
        if key is not None:
            self._by_client[key] = answers  # of repeats that come while it is on its way, too

    def is_placed(self, actor: str, client_id: str) -> bool:
        return (actor, client_id) in self._by_client

    async def append(
        self, payment: Payment, *drafts: Draft, guard: Guard | None = None
    ) -> list[Appended]:
        if not drafts or (len(drafts) > 1 and any(d.client_id is not None for d in drafts)):
            raise ValueError("An append is one draft, or several without a client_id.")
        self._refuse_where_full()
        Payment.collect(payment)
        future: asyncio.Future[list[Appended]] = asyncio.get_running_loop().create_future()
        if drafts[0].client_id is not None and guard is None:
            self._place(drafts[0], partial(resolve_one, future))
        else:
            self._accept(Sending(drafts, partial(resolve, future), guard))
        try:
            standing = await future
        except Outrun:
            Payment.hand_back(payment)
            raise
        if any(settles(draft.change) for draft in drafts):
            # Whoever asks any node from now on is answered by what this has changed.
            await self._shown.wait(standing[-1].seq)
            await self._nodes.settled(standing[-1].seq)
        return standing

    async def backlog(self, view: View, after: int, up_to: int, cap: int) -> int | None:
        self._refuse_stale()
        await self.shown(min(up_to, self.head_seq))
        # First the events, then the mark: what is dropped in between is so still noticed.
        found = await self._log.count_visible(view, after, up_to, cap)
        return None if after < await self._log.dropped_seq() else found

    async def few(self, view: View, after: int, up_to: int, most: int) -> list[Event] | None:
        self._refuse_stale()
        await self.shown(min(up_to, self.head_seq))
        found = await self._log.few(view, after, up_to, most)
        return None if found is None or after < await self._log.dropped_seq() else found

    async def replay(self, view: View, after: int, up_to: int, limit: int) -> list[Event]:
        self._refuse_stale()
        await self.shown(min(up_to, self.head_seq))
        return await self._log.visible(view, after, up_to, limit)

    async def latest(self, most: int, most_bytes: int) -> tuple[list[Event], int]:
        await self.shown(self.head_seq)
        return since(await self._log.latest(most, most_bytes), await self._log.dropped_seq())

    async def close(self) -> None:
        if self._closing or not self._tasks:
            return
        self._closing = True
        self._wake.set()
        if self._on_way:
            self._idle.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self._idle.wait()
        for task in (*self._tasks, *self._passing):
            task.cancel()
        await asyncio.gather(*self._tasks, *self._passing, return_exceptions=True)
        await self._nodes.close()
        await self._publisher.close()
        await self._follower.close()
        for sending in self._queue:
            sending.done(Unavailable(_STOPPING))

    # accepting

    def _refuse_where_full(self) -> None:
        if self._closing or not self._tasks:
            raise Unavailable(_STOPPING)
        self._stream.refuse_lost()
        self._refuse_stale()
        if self._on_way >= MAX_WAITING or self._bytes >= MAX_WAITING_BYTES:
            raise Unavailable("The server has too much to do at the moment.")

    def _refuse_stale(self) -> None:
        if not self.fresh:
            raise Unavailable("The server is cut off from the others.")

    def _accept(self, sending: Sending) -> None:
        size_bytes = self._publisher.prepare(sending)
        done = sending.done

        def account(outcome: Outcome) -> None:
            self._on_way -= 1
            self._bytes -= size_bytes
            if not self._on_way:
                self._idle.set()
            done(outcome)

        sending.done = account
        self._on_way += 1
        self._bytes += size_bytes
        self._queue.append(sending)
        self._wake.set()

    def _answer(
        self, key: tuple[str, str] | None, answers: Sequence[Answer], outcome: Outcome
    ) -> None:
        if key is not None:
            self._by_client.pop(key, None)
        assert not isinstance(outcome, Outrun), "nothing with a client id is guarded"
        for number, answer in enumerate(answers):
            standing: Appended | Unavailable
            if isinstance(outcome, Unavailable):
                standing = Unavailable(outcome.detail, outcome.retry_after_s)
            else:
                standing = outcome[0] if not number else replace(outcome[0], duplicate=True)
            try:
                answer(standing)
            except Exception:
                _log.exception("somebody failed on being answered")

    # on the way to the stream

    async def _flush_all(self) -> None:
        pace = Pace()
        while True:
            if not self._queue:
                self._wake.clear()
                await self._wake.wait()
            await pace.next()
            batch, self._queue = list(self._queue), deque()
            try:
                await self._send(batch)
            except asyncio.CancelledError:
                self._queue.extend(batch)  # nothing of it was sent: `close` tells whoever waits
                raise

    async def _send(self, batch: list[Sending]) -> None:
        """Send what the store does not have already; what it cannot say of is refused."""
        keys = {each.key: each for each in batch if each.drafts[0].client_id is not None}
        found: dict[tuple[str, str], Appended] | None = {}
        if keys:
            try:
                found = None if self.lag_s > LAG_S else await self._log.find(list(keys))
            except Unavailable as error:
                _log.info("repeats cannot be looked up: %s", error.detail)
                found = None
        for sending in batch:
            if sending.drafts[0].client_id is None:
                self._publisher.send(sending)
            elif found is None:
                sending.done(Unavailable("The server cannot save messages at the moment.", 2.0))
            elif (older := found.get(sending.key)) is not None:
                self._begin(self._answer_repeat(older, sending.done))
            else:
                self._publisher.send(sending)

    async def _answer_repeat(self, older: Appended, done: Callable[[Outcome], None]) -> None:
        try:
            await self.caught_up(older.seq)
        except Unavailable as error:
            return done(error)
        done([replace(older, duplicate=True)])

    def _repeats(self, seq: int, sending: Sending) -> None:
        self._begin(self._find_out(seq, sending))

    async def _find_out(self, seq: int, sending: Sending) -> None:
        """The stream has this id already, at `seq`: it is an earlier message, or this one by an attempt before."""
        try:
            subject_name = self._stream.subjects.of_draft(sending.drafts[0])
            placed = await self._stream.at(seq or await self._stream.last_of(subject_name))
            if placed is not None and self._publisher.is_own(placed, sending):
                return  # It comes back as any other.
            if not seq:
                return self._publisher.end(sending, Outrun())
            if placed is None and sending.drafts[0].client_id is None:
                return  # Its own, and forgotten by the stream since.
            if placed is None:
                older = (await self._log.find([sending.key])).get(sending.key)
            else:
                older = placed.first or Appended(seq, placed.event.at_ms, True)
        except Unavailable:
            return  # It is sent again, and so asked again.
        if older is not None:
            await self._answer_repeat(older, partial(self._publisher.end, sending))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    # out of the stream

    def _hand_on(self, turn: list[Placed]) -> None:
        events = [placed.event for placed in turn]
        # Answered just before they are handed on: so a sender's acknowledgement and event leave in one write.
        for placed in turn:
            if placed.node == self.node:
                self._publisher.came_back(placed)
        head_seq = events[-1].seq
        self._head.reach(head_seq)
        for follower in self._followers:
            try:
                follower(events)
            except Exception:
                # It promised not to. These events are durable, and they must go their way to the others.
                _log.exception("a follower failed on the events up to %d", head_seq)
        self._prove()
        if any(settles(event.change) for event in events):
            self._nodes.beat()

    def _prove(self) -> None:
        while self._asked and self._asked[0][0] <= self.head_seq:
            self._fresh_s = max(self._fresh_s, self._asked.popleft()[1])

    async def _ask_all(self) -> None:
        asked_s = now_s()
        while True:
            await asyncio.sleep(ASK_EVERY_S)
            if now_s() - asked_s > FRESH_S:
                await asyncio.sleep(AWAKE_S)
            asked_s = now_s()
            self._heads.append((self.head_seq, asked_s))
            self._note_shown(self.shown_seq)
            with suppress(Unavailable):
                newest = await self._stream.newest()
                self._asked.append((newest, asked_s))
                self._prove()

    # what the store shows

    def _note_shown(self, seq: int) -> None:
        self._log.note_shown(seq)
        self._shown.reach(seq)
        while self._heads and self._heads[0][0] <= self.shown_seq:
            self._heads.popleft()

    async def _look_at_store(self) -> None:
        while True:
            await asyncio.sleep(SHOWN_EVERY_S)
            if self._shown.awaited or self._heads:
                with suppress(Unavailable):
                    self._note_shown(await self._log.projected())
