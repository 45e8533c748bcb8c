"""The gap ladder: what a reader missed that its mailbox no longer holds is replayed, or it is told of a reset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from chatserver.core import vocabulary
from chatserver.core.errors import RateLimited, Unavailable
from chatserver.core.events import Event
from chatserver.core.hub import Hub
from chatserver.core.mailbox import Mailbox, cut_batch
from chatserver.core.visibility import View, shows
from chatserver.delivery.joins import Joins
from chatserver.delivery.recent import RECENT_BYTES, RECENT_EVENTS, Recent
from chatserver.journal.contract import Journal

V = TypeVar("V")

REPLAY_PAGE_EVENTS = 200
"""Events read from the journal in one go; a page is written before the next one is read."""

QUICK_FRIENDS = 100
"""With so many friends what is few takes no more than a millisecond to find."""


class Turns(Protocol):
    """What of `verbs.turns` is needed here: a replay is a costly read, and queues behind its user alone."""

    def is_crowded(self, key: str) -> bool:
        """Whether this user would have to wait for others of their own."""
        ...

    def turn(self, key: str) -> AbstractAsyncContextManager[None]:
        """Hold a turn of this user. Raises `RateLimited` or `Unavailable` where too many wait."""
        ...


@dataclass(slots=True)
class Missed:
    """What is known of a cursor below a mailbox."""

    reason: str | None
    """Why it cannot be resumed exactly."""
    events: list[Event]
    """The first that come behind it."""
    position: int
    """Where they lead: to the mailbox, or to the next page."""


class Catchup:
    """What lies below a mailbox. `replay_events` is how much may be caught up on; more is a reset.

    `missed` and `page` are called within a join (`delivery.joins`). `recent` follows the order, before the hub does.
    """

    def __init__(
        self, hub: Hub, journal: Journal, replay_events: int, turns: Turns, joins: Joins
    ) -> None:
        self.resets: Counter[str] = Counter()
        """Resets given, by reason."""
        self.recent = Recent()
        self._hub = hub
        self._journal = journal
        self._replay_events = replay_events
        self._turns = turns
        self._joins = joins
        self._looking: set[str] = set()  # whose little is being looked for without a turn

    async def begin(self) -> None:
        """Know what was handed out last, also before the start."""
        try:
            events, floor_seq = await self._journal.latest(RECENT_EVENTS, RECENT_BYTES)
        except Unavailable:
            events, floor_seq = [], self._hub.head_seq
        self.recent.begin(events, min(floor_seq, self._hub.head_seq))

    def at_once(self, mailbox: Mailbox, after: int | None) -> Missed | None:
        """As `missed`, where memory says it (`after` is None: nothing, from the present on); None where the journal is to
        be asked."""
        head_seq, floor_seq = self._hub.head_seq, mailbox.floor_seq
        if after is None:
            return Missed(None, [], head_seq)
        if after > head_seq:
            return None
        if after >= floor_seq:
            return Missed(None, [], after)
        if len(mailbox.friends) > QUICK_FRIENDS or not self._journal.fresh:
            return None
        found = self.recent.few(mailbox, after, floor_seq, REPLAY_PAGE_EVENTS)
        return None if found is None else self._judge(mailbox, after, floor_seq, found, len(found))

    async def missed(self, mailbox: Mailbox, after: int) -> Missed:
        """What stands between `after` and the mailbox, if it is little: else why it cannot be had exactly, or nothing of it.
        Raises `Unavailable`."""
        missed = self.at_once(mailbox, after)
        if missed is not None:
            return missed
        if after > self._hub.head_seq:
            # It may be of a node that is ahead of this one.
            if after > self._journal.head_seq and after > await self._journal.newest():
                return self._lost("beyond the head", after)
            await self._journal.caught_up(after)
        floor_seq = mailbox.floor_seq
        if after >= floor_seq:
            return Missed(None, [], after)
        found = None
        user_id, is_quick = mailbox.user_id, self._is_quick(mailbox)
        if is_quick:
            self._looking.add(user_id)
            try:
                found = await self._few(mailbox, after, floor_seq)
            finally:
                self._looking.discard(user_id)
        if found is not None:
            return self._judge(mailbox, after, floor_seq, found, len(found))
        return await self._in_turn(
            user_id, lambda: self._look_below(mailbox, after, floor_seq, not is_quick)
        )

    def _is_quick(self, mailbox: Mailbox) -> bool:
        """Whether finding what is few needs no turn: not of a user with many friends, and of each once at a time. So a herd
        is not served a few at a time, but by few questions."""
        return len(mailbox.friends) <= QUICK_FRIENDS and mailbox.user_id not in self._looking

    async def _few(self, mailbox: Mailbox, after: int, floor_seq: int) -> list[Event] | None:
        found = await self._journal.few(_view(mailbox), after, floor_seq, REPLAY_PAGE_EVENTS)
        return None if found is None else _shown_now(mailbox, found)

    async def _look_below(
        self, mailbox: Mailbox, after: int, floor_seq: int, may_be_few: bool
    ) -> Missed:
        found = await self._few(mailbox, after, floor_seq) if may_be_few else None
        count: int | None
        if found is not None:
            count = len(found)
        else:
            count = await self._journal.backlog(
                _view(mailbox), after, floor_seq, self._replay_events + 1
            )
        return self._judge(mailbox, after, floor_seq, found, count)

    def _judge(
        self,
        mailbox: Mailbox,
        after: int,
        floor_seq: int,
        found: list[Event] | None,
        count: int | None,
    ) -> Missed:
        if count is None:
            return self._lost("too long ago", after)
        if count + len(mailbox.events) > self._replay_events:
            return self._lost("too much missed", after)
        return Missed(None, *(([], after) if found is None else _cut(found, floor_seq)))

    async def page(self, mailbox: Mailbox, after: int) -> tuple[list[Event], int]:
        """The next events below the mailbox's floor, and the position they lead to. Raises `Unavailable`."""
        floor_seq, limit = mailbox.floor_seq, REPLAY_PAGE_EVENTS
        if after >= floor_seq:
            return [], after

        def read() -> Awaitable[list[Event]]:
            return self._journal.replay(_view(mailbox), after, floor_seq, limit)

        events = await self._in_turn(mailbox.user_id, read)
        position = floor_seq if len(events) < limit else events[-1].seq
        events, position = _cut(events, position)
        return _shown_now(mailbox, events), position

    async def _in_turn(self, user_id: str, read: Callable[[], Awaitable[V]]) -> V:
        # Who waits for others of their own keeps nobody else from joining meanwhile: fifty polls of one user would
        # otherwise be all the joins that there are.
        crowded = self._turns.is_crowded(user_id)
        if crowded:
            self._joins.leave()
        try:
            async with self._turns.turn(user_id):
                return await read()
        except RateLimited as refusal:
            # A reader asks again by itself, as it does while the journal cannot answer.
            raise Unavailable(refusal.detail, refusal.retry_after_s) from refusal
        finally:
            if crowded:
                await self._joins.enter_again()

    def reset(self, reason: str) -> tuple[int, bytes]:
        """The seq and the JSON of a `reset` at the present head."""
        seq = self._hub.head_seq
        return seq, vocabulary.reset(seq, reason)

    def _lost(self, reason: str, after: int) -> Missed:
        self.resets[reason] += 1
        return Missed(reason, [], after)


def _cut(events: list[Event], position: int) -> tuple[list[Event], int]:
    """Of `events`, which lead to `position`, what is written at once, and the position that it leads to."""
    kept = cut_batch(events)
    return kept, position if len(kept) == len(events) else kept[-1].seq


def _shown_now(mailbox: Mailbox, events: list[Event]) -> list[Event]:
    """Of `events` those to be seen: a friendship may have ended while they were read."""
    return [
        event
        for event in events
        if shows(mailbox, event.seq, event.audience, event.actor, event.to)
    ]


def _view(mailbox: Mailbox) -> View:
    # A copy: it is read in another thread while friendships may change here.
    return View(mailbox.user_id, dict(mailbox.friends))
