"""Who is whose friend. Finding people, asking, accepting, ending, blocking.

A change of friendship has its place in the journal's order: an event before it goes to the old audience, one
after it to the new one. It is told in two events, and made by the first.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from chatserver.core import vocabulary
from chatserver.core.changes import BlockChange, FriendChange
from chatserver.core.errors import Conflict, InvalidField, NotFound, Unauthenticated, Unavailable
from chatserver.core.events import Draft
from chatserver.core.hub import Hub
from chatserver.core.names import ways_to_read
from chatserver.core.people import Friends, User
from chatserver.core.presence import Presence
from chatserver.core.prices import Payment, free_of_charge
from chatserver.journal.contract import Guard, Journal, Outrun
from chatserver.store import contract
from chatserver.verbs.decisions import decided
from chatserver.verbs.lookalikes import marked
from chatserver.verbs.partings import UNDO_S, Partings
from chatserver.verbs.prices import Prices, pair
from chatserver.verbs.users import Users

T = TypeVar("T")
V = TypeVar("V")

SEARCH_DEFAULT = 20
COMPARED = 20
"""Strangers of one search whose friends are compared with one's own: what a page shows."""
BLOCKS_MAX = 10_000
"""Whom one user may have blocked: they are all shown in one list, of about 1 MB."""
SLICE = 500
"""People made into objects in one turn of the loop: about 1 ms."""

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
        prices: Prices,
    ) -> None:
        self._store = store
        self._journal = journal
        self._hub = hub
        self._presence = presence
        self._users = users
        self._prices = prices
        self.partings = Partings(self._carry_out)
        """Ends that their users may still take back."""
        self._pairs: weakref.WeakValueDictionary[tuple[str, str], asyncio.Lock] = (
            weakref.WeakValueDictionary()
        )

    async def find_people(self, user_id: str, query: str, limit: int) -> list[dict[str, Any]]:
        """People by name or email, each with their relation to the one who asks, look-alikes of friends marked.

        Raises `RateLimited` for too many queries that may be an email address, whether or not somebody has it: a refusal
        for those alone that are found would tell as much as finding them.
        """
        if not query:
            return []
        if "@" in query:
            self._prices.email_searches.pay(user_id)
        async with self._prices.turns.turn(user_id):
            found = await self._search(user_id, query, limit)
        strangers = [other for other, relation in found if relation != "friend"]
        rows = {other.id: vocabulary.user(other) for other, _ in found}
        if strangers:
            marks = await marked(strangers, await self._friend_names(user_id))
            rows |= {row["id"]: row for row in marks}
            await self._tell_apart(user_id, query, rows, [one.id for one in strangers])
        return [{**rows[other.id], "relation": relation} for other, relation in found]

    async def _search(self, user_id: str, query: str, limit: int) -> list[tuple[User, str]]:
        found: dict[str, tuple[User, str]] = {}
        for words in ways_to_read(query):
            for other, relation in await self._store.search(user_id, words, limit):
                found.setdefault(other.id, (other, relation))
        return sorted(found.values(), key=lambda row: row[1] != "friend")[:limit]

    async def _tell_apart(
        self, user_id: str, query: str, rows: dict[str, dict[str, Any]], strangers: list[str]
    ) -> None:
        """Add to strangers what tells those of one name apart: friends in common, and the email that was asked for."""
        some = strangers[:COMPARED]
        async with self._prices.turns.turn(user_id):
            counts = await self._store.in_common(user_id, some)
            account = await self._store.account_by_email(query) if "@" in query else None
        for one in some:
            rows[one]["inCommon"] = counts.get(one, 0)
        if account is not None and account.user.id in rows:
            rows[account.user.id]["email"] = account.email

    async def _friends(self, user_id: str) -> Friends:
        async with self._prices.turns.turn(user_id):
            return await self._store.friends(user_id)

    async def friends(self, user_id: str) -> dict[str, Any]:
        """Friends with their presence, and who has asked whom: of who asks the oldest, and how many.

        Look-alikes of friends among those who ask are marked.
        """
        found = await self._friends(user_id)
        await self._journal.caught_up(found.seq)
        return {
            "friends": await _in_slices(partial(self._friend, user_id), found.friends),
            **await self._asked(found, [(one.id, one.name) for one, _ in found.friends]),
            "seq": found.seq,
        }

    async def _asked(self, found: Friends, names: Sequence[tuple[str, str]]) -> dict[str, Any]:
        return {
            "incoming": await marked(found.incoming, names),
            "incomingCount": found.incoming_count,
            "outgoing": await _in_slices(vocabulary.user, found.outgoing),
        }

    async def requests(self, user_id: str) -> dict[str, Any]:
        """As `friends`, without the friends and the position."""
        async with self._prices.turns.turn(user_id):
            found = await self._store.requests(user_id)
        return await self._asked(found, await self._friend_names(user_id) if found.incoming else ())

    async def page(
        self, user_id: str, skip: int, limit: int, first: Collection[str] = ()
    ) -> tuple[list[dict[str, Any]], int]:
        """Some friends as `friends` shows them, those of `first` before the others, and how many there are."""
        async with self._prices.turns.turn(user_id):
            found, count = await self._store.friends_page(user_id, first, skip, limit)
        return [self._friend(user_id, friend) for friend in found], count

    async def friend(self, user_id: str, other_id: str) -> dict[str, Any] | None:
        """One friend; None where the two are none."""
        if not await self.are_friends(user_id, other_id):
            return None
        found = (await self._store.users([other_id])).get(other_id)
        return None if found is None else self._friend(user_id, (found, 0))

    async def ending(self, user_id: str) -> list[dict[str, Any]]:
        """The friends with whom an end of this user's waits, by name."""
        found = await self._store.users(self.partings.of(user_id))
        rows = [self._friend(user_id, (other, 0)) for other in found.values()]
        return sorted((row for row in rows if "endsIn" in row), key=lambda row: row["name"])

    async def _friend_names(self, user_id: str) -> list[tuple[str, str]]:
        async with self._prices.turns.turn(user_id):
            return await self._store.friend_names(user_id)

    def _friend(self, user_id: str, friend: tuple[User, int]) -> dict[str, Any]:
        user, seen_ms = friend
        online = self._presence.is_online(user.id)
        row = {**vocabulary.user(user), "online": online, "lastSeen": seen_ms or None}
        ends_in_s = self.partings.ends_in_s(user_id, user.id)
        return row if ends_in_s is None else {**row, "endsIn": ends_in_s}

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
        """Ask for friendship, accept where the other has asked, take an end back that waits; the relation after that.

        Raises `NotFound` (also where the other has blocked the one who asks), `Conflict` (blocked by
        oneself, or too many friends), `RateLimited`.
        """
        two = await self._two(user_id, other_id)
        await self.partings.take_back_anywhere(user_id, other_id)
        return await self._decided(partial(self._befriend, *two), user_id, other_id)

    async def _befriend(self, user: User, other: User, guard: Guard) -> str:
        user_id, other_id = user.id, other.id
        if await self._store.blocked(other_id, user_id):
            raise NotFound(_NOBODY)
        if await self._store.blocked(user_id, other_id):
            raise Conflict("You have blocked this person: unblock them first.")
        relation = await self._store.relation(user_id, other_id)
        if relation == "incoming":
            payment = self._prices.relations.pay(user_id)
            await self._room_for_friend(user_id, "You have")
            await self._room_for_friend(other_id, "This person has")
            change = FriendChange(user_id, other_id, "friend")
            await self._append(payment, (user, other), ("friend", "friend"), change, guard)
            return "friend"
        if relation == "none":
            payment = self._prices.requests.pay(pair(user_id, other_id), user_id)
            await self._room_for_friend(user_id, "You have")
            change = FriendChange(user_id, other_id, "asked")
            await self._append(payment, (user, other), ("outgoing", "incoming"), change, guard)
            return "outgoing"
        return relation

    async def end_later(self, user_id: str, other_id: str, delay_s: int) -> bool:
        """End a friendship in `delay_s` seconds, unless `befriend` or `partings.keep` takes that back.

        False where there is no friendship: what else there is has ended at once. Raises `RateLimited`.
        """
        if await self._store.relation(user_id, other_id) != "friend":
            await self.unfriend(user_id, other_id)
            return False
        self._prices.relations.pay(user_id)
        await self.partings.put_off_for_all(user_id, other_id, delay_s)
        return True

    async def part(self, user_id: str, other_id: str) -> None:
        """`end_later`, for as long as people have to think better of it."""
        await self.end_later(user_id, other_id, UNDO_S)

    async def stay(self, user_id: str, other_id: str) -> None:
        """Take back the end of a friendship. Raises `Conflict` where it is too late."""
        await self.partings.keep(user_id, other_id)

    async def _carry_out(self, user_id: str, other_id: str) -> None:
        """The end of a friendship that was put off."""
        await self._decided(partial(self._end_put_off, user_id, other_id), user_id, other_id)

    async def _end_put_off(self, user_id: str, other_id: str, guard: Guard) -> None:
        if await self._store.relation(user_id, other_id) == "friend":
            try:
                two = await self._two(user_id, other_id)
            except (NotFound, Unauthenticated):
                return  # one of the two has left, and the friendship with them
            payment = free_of_charge("the end of a friendship was paid for when it was put off")
            change = FriendChange(user_id, other_id, "none")
            await self._append(payment, two, ("none", "none"), change, guard)

    async def unfriend(self, user_id: str, other_id: str) -> None:
        """End a friendship, decline or withdraw; nothing where there is nothing. Raises `RateLimited`."""
        await self.partings.take_back_anywhere(user_id, other_id)
        await self._decided(partial(self._unfriend, user_id, other_id), user_id, other_id)

    async def _unfriend(self, user_id: str, other_id: str, guard: Guard) -> None:
        if await self._store.relation(user_id, other_id) != "none":
            await self._part(user_id, other_id, False, guard)

    async def block(self, user_id: str, other_id: str) -> None:
        """End what there is between the two, and be found and reached by the other no more.

        Raises `NotFound` also where the other has blocked the one who asks: who is blocked does not find the blocker,
        and would learn of the block if only this verb found them. `RateLimited`, and `Conflict` where there are too many.

        LIMIT: whoever asks, blocks and unblocks in turns cannot be blocked in between; each of their requests is paid
        for, 60 a day at the most. And blocks of different people at the same instant, each at another node, may go past
        their number by one a node.
        """
        await self._two(user_id, other_id)
        # One after another, whoever they are of: or all of them would find the last place free. Nobody else waits here.
        async with self._pair(user_id, user_id):
            await self._decided(partial(self._block, user_id, other_id), user_id, other_id)

    async def _block(self, user_id: str, other_id: str, guard: Guard) -> None:
        if await self._store.blocked(user_id, other_id):
            return
        if await self._store.blocked(other_id, user_id):
            raise NotFound(_NOBODY)
        if (await self._store.relation_counts(user_id)).get("blocked", 0) >= BLOCKS_MAX:
            raise Conflict(f"You have blocked as many people as you may ({BLOCKS_MAX}).")
        if await self._store.relation(user_id, other_id) != "none":
            await self._part(user_id, other_id, True, guard)
        else:
            await self._set_block(BlockChange(user_id, other_id, True), guard)

    async def unblock(self, user_id: str, other_id: str) -> None:
        """Lift a block; nothing where there is none. Raises `RateLimited`."""
        await self._decided(partial(self._unblock, user_id, other_id), user_id, other_id)

    async def _unblock(self, user_id: str, other_id: str, guard: Guard) -> None:
        if await self._store.blocked(user_id, other_id):
            await self._set_block(BlockChange(user_id, other_id, False), guard)

    async def _set_block(self, change: BlockChange, guard: Guard) -> None:
        self._users.refuse_gone(change.user_id)
        payment = self._prices.relations.pay(change.user_id)
        await self._append_or_give_back(payment, [vocabulary.notice(change)], guard)

    async def blocks(self, user_id: str) -> list[dict[str, str]]:
        """Whom the user has blocked."""
        async with self._prices.turns.turn(user_id):
            found = await self._store.blocks(user_id)
        return await _in_slices(vocabulary.user, found)

    async def _two(self, user_id: str, other_id: str) -> tuple[User, User]:
        if user_id == other_id:
            raise InvalidField("id", "This is yourself.")
        user = await self._users.user(user_id)
        other = (await self._store.users([other_id])).get(other_id)
        if other is None or self._users.is_leaving(other_id):
            raise NotFound(_NOBODY)
        return user, other

    async def _part(self, user_id: str, other_id: str, block: bool, guard: Guard) -> None:
        two = await self._two(user_id, other_id)
        payment = self._prices.relations.pay(user_id)
        change = FriendChange(user_id, other_id, "none", block)
        await self._append(payment, two, ("none", "none"), change, guard)

    async def _append(
        self,
        payment: Payment,
        two: tuple[User, User],
        relations: tuple[str, str],
        change: FriendChange,
        guard: Guard,
    ) -> None:
        user, other = two
        # Either may have left since they were looked up, and what comes behind an account's end would stay.
        self._users.refuse_gone(user.id)
        if self._users.is_leaving(other.id):
            raise NotFound(_NOBODY)
        drafts = vocabulary.friend(user, other, relations, change)
        await self._append_or_give_back(payment, drafts, guard)

    async def _append_or_give_back(
        self, payment: Payment, drafts: Sequence[Draft], guard: Guard
    ) -> None:
        try:
            await self._journal.append(payment, *drafts, guard=guard)
        except (Outrun, Unavailable):
            # It is decided again, and may be nothing then; or whoever asks again in an outage would use up their day.
            payment.give_back()
            raise

    async def _room_for_friend(self, user_id: str, who_has: str) -> None:
        # LIMIT: changes with different people at the same instant may go past the limit by a few.
        found = await self._store.relation_counts(user_id)
        if max(found.get("friend", 0), found.get("outgoing", 0)) >= self._prices.limits.friends:
            raise Conflict(
                f"{who_has} as many friends as there may be ({self._prices.limits.friends})."
            )

    async def _decided(
        self, decide: Callable[[Guard], Awaitable[V]], user_id: str, other_id: str
    ) -> V:
        async with self._pair(user_id, other_id):
            return await decided(self._journal, decide, user_id, other_id)

    def _pair(self, one: str, other: str) -> asyncio.Lock:
        """Changes between two people happen one after another here; what others do elsewhere, the guard notices.

        Of one user with themselves: what they do to many, before the pair.
        """
        key = (one, other) if one < other else (other, one)
        lock = self._pairs.get(key)
        if lock is None:
            lock = self._pairs[key] = asyncio.Lock()
        return lock


async def _in_slices(make: Callable[[T], V], items: Sequence[T]) -> list[V]:
    """What `make` makes of each of `items`; between some of them others have their turn of the loop."""
    made: list[V] = []
    for at in range(0, len(items), SLICE):
        if at:
            await asyncio.sleep(0)
        made += map(make, items[at : at + SLICE])
    return made
