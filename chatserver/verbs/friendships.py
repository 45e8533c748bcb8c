"""Who is whose friend. Finding people, asking, accepting, ending, blocking.

A change of friendship has its place in the journal's order: an event before it goes to the old audience, one
after it to the new one. It is told in two events, and made by the first.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import Any, Protocol

from chatserver.core import vocabulary
from chatserver.core.changes import FriendChange
from chatserver.core.errors import Conflict, InvalidField, NotFound
from chatserver.core.hub import Hub
from chatserver.core.limits import Limits
from chatserver.core.people import User
from chatserver.core.presence import Presence
from chatserver.journal.contract import Journal
from chatserver.store import contract
from chatserver.verbs.lookalikes import marked
from chatserver.verbs.users import Users

SEARCH_DEFAULT = 20

_NOBODY = "There is no such person."


class Source(contract.People, contract.Friendships, Protocol):
    """What of the store is needed here."""


class Friendships:
    """The verbs between two people. `hub` knows the friends of whoever reads here, `presence` who is online."""

    def __init__(
        self,
        store: Source,
        journal: Journal,
        hub: Hub,
        presence: Presence,
        users: Users,
        limits: Limits,
    ) -> None:
        self._store = store
        self._journal = journal
        self._hub = hub
        self._presence = presence
        self._users = users
        self._limits = limits
        self._pairs: weakref.WeakValueDictionary[tuple[str, str], asyncio.Lock] = (
            weakref.WeakValueDictionary()
        )

    async def find_people(self, user_id: str, query: str, limit: int) -> list[dict[str, str]]:
        """People by name or email, each with their relation to the one who asks, look-alikes of friends marked."""
        if not query:
            return []
        found = await self._store.search(user_id, query, limit)
        strangers = [other for other, relation in found if relation != "friend"]
        rows = {other.id: vocabulary.user(other) for other, _ in found}
        if strangers:
            friends = (await self._store.friends(user_id)).friends
            marks = await marked(strangers, [friend for friend, _ in friends])
            rows |= {row["id"]: row for row in marks}
        return [{**rows[other.id], "relation": relation} for other, relation in found]

    async def friends(self, user_id: str) -> dict[str, Any]:
        """Friends with their presence, and who has asked whom; look-alikes of friends among those who ask are marked."""
        found = await self._store.friends(user_id)
        await self._journal.caught_up(found.seq)
        online = self._presence.is_online
        return {
            "friends": [
                {**vocabulary.user(one), "online": online(one.id), "lastSeen": seen or None}
                for one, seen in found.friends
            ],
            "incoming": await marked(found.incoming, [one for one, _ in found.friends]),
            "outgoing": [vocabulary.user(one) for one in found.outgoing],
            "seq": found.seq,
        }

    def are_known_friends(self, user_id: str, other_id: str) -> bool:
        """Whether the two are friends, as far as that is in memory: False says nothing, then ask `are_friends`."""
        mailbox = self._hub.mailbox(user_id)
        return mailbox is not None and other_id in mailbox.friends

    async def are_friends(self, user_id: str, other_id: str) -> bool:
        """Whether the two are friends."""
        mailbox = self._hub.mailbox(user_id)
        if mailbox is not None:
            return other_id in mailbox.friends
        return await self._store.relation(user_id, other_id) == "friend"

    async def befriend(self, user_id: str, other_id: str) -> str:
        """Ask for friendship, or accept where the other has asked; the relation after that.

        Raises `NotFound` (also where the other has blocked the one who asks), `Conflict` (blocked by
        oneself, or too many friends).
        """
        user, other = await self._two(user_id, other_id)
        async with self._pair(user_id, other_id):
            if await self._store.blocked(other_id, user_id):
                raise NotFound(_NOBODY)
            if await self._store.blocked(user_id, other_id):
                raise Conflict("You have blocked this person: unblock them first.")
            relation = await self._store.relation(user_id, other_id)
            if relation == "incoming":
                await self._room_for_friend(user_id, "You have")
                await self._room_for_friend(other_id, "This person has")
                change = FriendChange(user_id, other_id, "friend")
                await self._append(user, other, ("friend", "friend"), change)
                return "friend"
            if relation == "none":
                await self._room_for_friend(user_id, "You have")
                change = FriendChange(user_id, other_id, "asked")
                await self._append(user, other, ("outgoing", "incoming"), change)
                return "outgoing"
            return relation

    async def unfriend(self, user_id: str, other_id: str) -> None:
        """End a friendship, decline or withdraw; nothing where there is nothing."""
        async with self._pair(user_id, other_id):
            if await self._store.relation(user_id, other_id) != "none":
                await self._part(user_id, other_id, block=False)

    async def block(self, user_id: str, other_id: str) -> None:
        """End what there is between the two, and be found and reached by the other no more."""
        await self._two(user_id, other_id)
        async with self._pair(user_id, other_id):
            if await self._store.relation(user_id, other_id) != "none":
                await self._part(user_id, other_id, block=True)
            elif not await self._store.blocked(user_id, other_id):
                await self._store.set_block(user_id, other_id, True)

    async def unblock(self, user_id: str, other_id: str) -> None:
        """Lift a block; nothing where there is none."""
        async with self._pair(user_id, other_id):
            await self._store.set_block(user_id, other_id, False)

    async def blocks(self, user_id: str) -> list[dict[str, str]]:
        """Whom the user has blocked."""
        return [vocabulary.user(other) for other in await self._store.blocks(user_id)]

    async def _two(self, user_id: str, other_id: str) -> tuple[User, User]:
        if user_id == other_id:
            raise InvalidField("id", "This is yourself.")
        user = await self._users.user(user_id)
        other = (await self._store.users([other_id])).get(other_id)
        if other is None or self._users.is_leaving(other_id):
            raise NotFound(_NOBODY)
        return user, other

    async def _part(self, user_id: str, other_id: str, block: bool) -> None:
        user, other = await self._two(user_id, other_id)
        change = FriendChange(user_id, other_id, "none", block)
        await self._append(user, other, ("none", "none"), change)

    async def _append(
        self, user: User, other: User, relations: tuple[str, str], change: FriendChange
    ) -> None:
        # Either may have left since they were looked up, and what comes behind an account's end would stay.
        self._users.refuse_gone(user.id)
        if self._users.is_leaving(other.id):
            raise NotFound(_NOBODY)
        await self._journal.append(*vocabulary.friend(user, other, relations, change))

    async def _room_for_friend(self, user_id: str, who_has: str) -> None:
        # LIMIT: changes with different people at the same instant may go past the limit by a few.
        found = await self._store.friends(user_id)
        if max(len(found.friends), len(found.outgoing)) >= self._limits.friends:
            raise Conflict(f"{who_has} as many friends as there may be ({self._limits.friends}).")

    def _pair(self, one: str, other: str) -> asyncio.Lock:
        """Changes between two people happen one after another."""
        key = (one, other) if one < other else (other, one)
        lock = self._pairs.get(key)
        if lock is None:
            lock = self._pairs[key] = asyncio.Lock()
        return lock
