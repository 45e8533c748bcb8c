"""Read positions: how far somebody has read, and what is unread."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Sequence
from typing import Any

from chatserver.core import fields as rules
from chatserver.core import vocabulary
from chatserver.core.bounded import Bounded
from chatserver.core.changes import ReadChange
from chatserver.core.conversations import Conversation, Direct, conversation_with
from chatserver.core.errors import Forbidden, InvalidField
from chatserver.core.events import Event
from chatserver.core.fields import Fields
from chatserver.core.hub import Hub
from chatserver.journal.contract import Journal
from chatserver.store.contract import History
from chatserver.verbs.friendships import Friendships
from chatserver.verbs.users import Users

POSITIONS_REMEMBERED = 50_000

_Key = tuple[str, Conversation]


class Reads:
    """The verbs of read positions. What it remembers of them follows the order."""

    def __init__(
        self, store: History, journal: Journal, hub: Hub, users: Users, friendships: Friendships
    ) -> None:
        self._store = store
        self._journal = journal
        self._hub = hub
        self._users = users
        self._friendships = friendships
        self._reading: weakref.WeakValueDictionary[_Key, _Reading] = weakref.WeakValueDictionary()
        self._positions: Bounded[_Key, int] = Bounded(POSITIONS_REMEMBERED)

    def follow(self, events: Sequence[Event]) -> None:
        """Move the positions that are remembered or being read."""
        for event in events:
            if isinstance(event.change, ReadChange):
                change = event.change
                key = (change.user_id, change.conversation)
                if self._positions.get(key) is not None or key in self._reading:
                    self._move(key, change.up_to)

    def _move(self, key: _Key, up_to: int) -> int:
        position = max(up_to, self._positions.get(key) or 0)
        self._positions.put(key, position)
        return position

    async def read(self, user_id: str, fields: Fields) -> None:
        """Move a read position forward. A smaller one than before changes nothing."""
        conversation = conversation_with(rules.optional_id(fields.get("with"), "with"))
        up_to = min(rules.seq(fields.get("upTo"), "upTo"), self._hub.head_seq)
        if isinstance(conversation, Direct):
            if conversation.user_id == user_id:
                raise InvalidField("with", "You have no conversation with yourself.")
            if not await self._friendships.are_friends(user_id, conversation.user_id):
                raise Forbidden("You can read with friends only.")
        key = (user_id, conversation)
        reading = self._reading.get(key)
        if reading is None:
            reading = self._reading[key] = _Reading()
        # Positions that come while one is being written are written as one: the furthest.
        reading.up_to = max(reading.up_to, up_to)
        async with reading.lock:
            position = self._positions.get(key)
            if position is None:
                state = await self._store.read_state(user_id)
                # It may have been moved while it was read, which `follow` has seen.
                position = self._move(key, state.own.get(conversation, 0))
            if reading.up_to > position:
                self._users.refuse_gone(user_id)
                await self._journal.append(vocabulary.read(user_id, conversation, reading.up_to))

    async def read_state(self, user_id: str) -> dict[str, Any]:
        """Own positions, how far friends have read, and unread counts."""
        state = await self._store.read_state(user_id)
        await self._journal.caught_up(state.seq)
        return vocabulary.read_state(state)


class _Reading:
    """A read position on its way: the furthest asked for, and whose turn it is."""

    __slots__ = ("__weakref__", "lock", "up_to")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.up_to = 0
