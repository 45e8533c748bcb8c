"""The gap ladder: what a reader missed that its mailbox no longer holds is replayed, or it is told of a reset."""

from __future__ import annotations

from collections import Counter

from chatserver.core import vocabulary
from chatserver.core.events import Event
from chatserver.core.hub import Hub
from chatserver.core.mailbox import Mailbox, cut_batch
from chatserver.core.visibility import View
from chatserver.journal.contract import Journal

REPLAY_PAGE_EVENTS = 200
"""Events read from the journal in one go; a page is written before the next one is read."""


class Catchup:
    """What lies below a mailbox. `replay_events` is how much may be caught up on; more is a reset."""

    def __init__(self, hub: Hub, journal: Journal, replay_events: int) -> None:
        self.resets: Counter[str] = Counter()
        """Resets given, by reason."""
        self._hub = hub
        self._journal = journal
        self._replay_events = replay_events

    async def lost(self, mailbox: Mailbox, after: int) -> str | None:
        """Why `after` cannot be resumed exactly; None where it can. Raises `Unavailable`."""
        if after > self._hub.head_seq:
            if after > self._journal.head_seq:
                return self._reset("beyond the head")
            await self._journal.caught_up(after)
        if after >= mailbox.floor_seq:
            return None
        cap = self._replay_events + 1
        count = await self._journal.backlog(_view(mailbox), after, mailbox.floor_seq, cap)
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
        events = await self._journal.replay(_view(mailbox), after, floor_seq, limit)
        kept = cut_batch(events)
        whole = len(kept) == len(events) < limit
        return kept, floor_seq if whole else kept[-1].seq

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
