"""Read positions: how far somebody has read, and what is unread.

A position is news only where it moves over a message: else a client that always says "all of it" would cause an event that
moves the head, over which it could move again. And a user's positions are written one a second; what comes in between is
written as one.
"""

from __future__ import annotations

import asyncio
import logging
import weakref
from collections.abc import Sequence
from typing import Any

from chatserver.core import fields as rules
from chatserver.core import vocabulary
from chatserver.core.bounded import Bounded
from chatserver.core.changes import ReadChange
from chatserver.core.conversations import Conversation, Direct, Range, conversation_with
from chatserver.core.errors import ChatError, Forbidden, InvalidField
from chatserver.core.events import Event
from chatserver.core.fields import Fields
from chatserver.core.hub import Hub
from chatserver.core.kinds import MESSAGE
from chatserver.core.prices import Payment
from chatserver.journal.contract import Journal
from chatserver.store.contract import History
from chatserver.verbs.friendships import Friendships
from chatserver.verbs.prices import Prices
from chatserver.verbs.users import Users

log = logging.getLogger(__name__)

POSITIONS_REMEMBERED = 50_000
CONVERSATIONS_WAITING = 20
"""Conversations of one user whose positions may wait to be written: some seconds of them. One more is refused."""

_Key = tuple[str, Conversation]


class Reads:
    """The verbs of read positions. What it remembers of them follows the order."""

    def __init__(
        self,
        store: History,
        journal: Journal,
        hub: Hub,
        users: Users,
        friendships: Friendships,
        prices: Prices,
    ) -> None:
        self._store = store
        self._journal = journal
        self._hub = hub
        self._users = users
        self._friendships = friendships
        self._prices = prices
        self._reading: weakref.WeakValueDictionary[_Key, _Reading] = weakref.WeakValueDictionary()
        self._lines: weakref.WeakValueDictionary[str, _Line] = weakref.WeakValueDictionary()
        self._positions: Bounded[_Key, int] = Bounded(POSITIONS_REMEMBERED)
        self._later: set[asyncio.Task[None]] = set()

    def follow(self, events: Sequence[Event]) -> None:
        """Move the positions that are remembered or being read."""
        for event in events:
            change = event.change
            if change is not None and isinstance(change, ReadChange):
                key = (change.user_id, change.conversation)
                if self._positions.get(key) is not None or key in self._reading:
                    self._move(key, change.up_to)

    def _move(self, key: _Key, up_to: int) -> int:
        position = max(up_to, self._positions.get(key) or 0)
        self._positions.put(key, position)
        return position

    async def read(self, user_id: str, fields: Fields, patient: bool = True) -> None:
        """Move a read position forward. A smaller one than before, or one with no message before it, changes nothing.

        Returns once it is written; not `patient`: at once, where it has to wait for its second. Raises `InvalidField`,
        `Forbidden`, and `RateLimited` where too many conversations of the user wait.
        """
        conversation, up_to = await self._asked(user_id, fields)
        key = (user_id, conversation)
        position = self._positions.get(key)
        if position is not None and self._passes_message(key, position, up_to) is False:
            return
        reading = self._reading.get(key)
        if reading is None:
            reading = self._reading[key] = _Reading()
        # Positions that come while one waits or is being written are written as one: the furthest.
        reading.up_to = max(reading.up_to, up_to)
        if patient or not self._prices.reads.wait_s(user_id):
            await self._settle(key, reading)
        elif not reading.lock.locked():
            task = asyncio.create_task(self._settle_later(key, reading))
            self._later.add(task)
            task.add_done_callback(self._later.discard)

    async def _asked(self, user_id: str, fields: Fields) -> tuple[Conversation, int]:
        conversation = conversation_with(rules.optional_id(fields.get("with"), "with"))
        up_to = rules.seq(fields.get("upTo"), "upTo")
        if up_to > self._hub.head_seq:
            # It may be of a node that is ahead of this one: what it says was read must be known here first.
            up_to = min(up_to, await self._journal.newest())
            await self._journal.caught_up(up_to)
        if isinstance(conversation, Direct):
            if conversation.user_id == user_id:
                raise InvalidField("with", "You have no conversation with yourself.")
            if not await self._friendships.are_friends(user_id, conversation.user_id):
                raise Forbidden("You can read with friends only.")
        return conversation, up_to

    async def _settle_later(self, key: _Key, reading: _Reading) -> None:
        try:
            await self._settle(key, reading)
        except ChatError as error:
            # Nobody waits for an answer, and the next position says it again.
            log.debug("a read position was not written: %s", error.detail)

    async def _settle(self, key: _Key, reading: _Reading) -> None:
        user_id, conversation = key
        async with reading.lock:
            position = await self._position(key)
            # Looked at before it is paid: a costly read that takes its turn, but no second of the user's.
            if not await self._is_news(key, position, reading.up_to):
                return
            payment = await self._pay(user_id)
            # What came while this waited goes along; and the position may have moved, which `follow` has seen.
            up_to, now = reading.up_to, await self._position(key)
            if now == position or await self._is_news(key, now, up_to):
                self._users.refuse_gone(user_id)
                draft = vocabulary.read(user_id, conversation, up_to)
                await self._journal.append(payment, draft)

    async def _position(self, key: _Key) -> int:
        position = self._positions.get(key)
        if position is None:
            async with self._prices.turns.turn(key[0]):
                kept = await self._store.read_position(*key)
            # It may have been moved while it was read, which `follow` has seen.
            position = self._move(key, kept)
        return position

    async def _pay(self, user_id: str) -> Payment:
        """Wait for the user's next second. Raises `RateLimited` where too many do."""
        till = self._prices.reads
        line = self._lines.get(user_id)
        if line is None:
            line = self._lines[user_id] = _Line()
        if line.waiting >= CONVERSATIONS_WAITING:
            raise till.refuse(user_id)
        line.waiting += 1
        try:
            async with line.lock:
                while True:
                    payment = till.offer(user_id)
                    if payment is not None:
                        return payment
                    await asyncio.sleep(till.wait_s(user_id))
        finally:
            line.waiting -= 1

    async def _is_news(self, key: _Key, position: int, up_to: int) -> bool:
        """Whether there is a message to pass. Exact: the store is asked for one where memory cannot tell."""
        passes = self._passes_message(key, position, up_to)
        if passes is None:
            part = Range(key[1], before=up_to + 1, after=position, limit=1)
            async with self._prices.turns.turn(key[0]):
                page = await self._store.history(key[0], part)
            passes = bool(page.events)
        return passes

    def _passes_message(self, key: _Key, position: int, up_to: int) -> bool | None:
        """Whether a message of the conversation stands in (position, up_to], as far as the user's mailbox can tell.

        None where it reaches not so far back. Costs a step for each event after the position, 1,000 at most.
        """
        if up_to <= position:
            return False
        user_id, conversation = key
        mailbox = self._hub.mailbox(user_id)
        if mailbox is None:
            return None
        for event in mailbox.after(position):
            if event.seq <= up_to and _is_message_in(event, conversation):
                return True
        return False if position >= mailbox.floor_seq else None

    async def conversations(self, user_id: str) -> bytes:
        """Where each conversation stands, as JSON: its last message, the own position, and what is unread."""
        async with self._prices.turns.turn(user_id):
            found = await self._store.standings(user_id)
        await self._journal.caught_up(found.seq)
        return vocabulary.conversations(found)

    async def read_state(self, user_id: str) -> dict[str, Any]:
        """Own positions, how far friends have read, and unread counts."""
        async with self._prices.turns.turn(user_id):
            state = await self._store.read_state(user_id)
        await self._journal.caught_up(state.seq)
        return vocabulary.read_state(state)


def _is_message_in(event: Event, conversation: Conversation) -> bool:
    """Whether an event of a user's mailbox is a message of this conversation of theirs."""
    if event.type != MESSAGE.name:
        return False
    if isinstance(conversation, Direct):
        return event.to is not None and conversation.user_id in (event.actor, event.to)
    return event.to is None


class _Reading:
    """A read position on its way: the furthest asked for, and whose turn it is."""

    __slots__ = ("__weakref__", "lock", "up_to")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.up_to = 0


class _Line:
    """The conversations of one user whose positions wait to be paid."""

    __slots__ = ("__weakref__", "lock", "waiting")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.waiting = 0
