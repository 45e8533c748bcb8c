"""The gap ladder: what a reader missed that its mailbox no longer holds is replayed, or it is told of a reset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol, TypeVar

from chatserver.core import vocabulary
from chatserver.core.errors import RateLimited, Unavailable
from chatserver.core.events import Event
from chatserver.core.hub import Hub
from chatserver.core.mailbox import Mailbox, cut_batch
from chatserver.core.visibility import View, shows
from chatserver.delivery.joins import Joins
from chatserver.journal.contract import Journal

V = TypeVar("V")

REPLAY_PAGE_EVENTS = 200
"""Events read from the journal in one go; a page is written before the next one is read."""


class Turns(Protocol):
    """What of `verbs.turns` is needed here: a replay is a costly read, and queues behind its user alone."""

    def is_crowded(self, key: str) -> bool:
        """Whether this user would have to wait for others of their own."""
        ...

    def turn(self, key: str) -> AbstractAsyncContextManager[None]:
        """Hold a turn of this user. Raises `RateLimited` or `Unavailable` where too many wait."""
        ...


class Catchup:
    """What lies below a mailbox. `replay_events` is how much may be caught up on; more is a reset.

    `lost` and `page` are called within a join (`delivery.joins`).
    """

    def __init__(
        self, hub: Hub, journal: Journal, replay_events: int, turns: Turns, joins: Joins
    ) -> None:
        self.resets: Counter[str] = Counter()
        """Resets given, by reason."""
        self._hub = hub
        self._journal = journal
        self._replay_events = replay_events
        self._turns = turns
        self._joins = joins

    async def lost(self, mailbox: Mailbox, after: int) -> str | None:
        """Why `after` cannot be resumed exactly; None where it can. Raises `Unavailable`."""
        if after > self._hub.head_seq:
            # It may be of a node that is ahead of this one.
            if after > self._journal.head_seq and after > await self._journal.newest():
                return self._reset("beyond the head")
            await self._journal.caught_up(after)
        if after >= mailbox.floor_seq:
            return None
        cap = self._replay_events + 1

        def count_up() -> Awaitable[int | None]:
            return self._journal.backlog(_view(mailbox), after, mailbox.floor_seq, cap)

        count = await self._in_turn(mailbox.user_id, count_up)
        if count is None:
            return self._reset("too long ago")
        if count + len(mailbox.events) > self._replay_events:
            return self._reset("too much missed")
        return None

    async def page(self, mailbox: Mailbox, after: int) -> tuple[list[Event], int]:
        """The next events below the mailbox's floor, and the position they lead to. Raises `Unavailable`."""
        floor_seq = mailbox.floor_seq
        if after >= floor_seq:
            return [], after
        limit = REPLAY_PAGE_EVENTS

        def read() -> Awaitable[list[Event]]:
            return self._journal.replay(_view(mailbox), after, floor_seq, limit)

        events = await self._in_turn(mailbox.user_id, read)
        kept = cut_batch(events)
        whole = len(kept) == len(events) < limit
        position = floor_seq if whole else kept[-1].seq
        # Again, as of now: a friendship may have ended while they were read.
        return [
            event
            for event in kept
            if shows(mailbox, event.seq, event.audience, event.actor, event.to)
        ], position

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

    def _reset(self, reason: str) -> str:
        self.resets[reason] += 1
        return reason


def _view(mailbox: Mailbox) -> View:
    # A copy: it is read in another thread while friendships may change here.
    return View(mailbox.user_id, dict(mailbox.friends))
