"""A store that may lag behind the order, read so that nobody notices: R1 and R3 of `journal.contract`, for all reads.

Where one process writes what another reads, a read waits until the store shows what this node has applied; a snapshot
also waits a while for what any node has acknowledged. A node that is not fresh reads nothing. The store of the local
journal is never behind, and is not wrapped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Container, Iterable, Mapping, Sequence
from typing import TypeVar

from chatserver.core.alerts import Subscription
from chatserver.core.conversations import Conversation, Page, Range, ReadState, Standings
from chatserver.core.errors import Unavailable
from chatserver.core.people import Account, Friends, Login, Newcomer, User
from chatserver.journal.contract import Journal
from chatserver.store.contract import Store

V = TypeVar("V")

NEWEST_S = 2.0
"""How long a snapshot waits for the newest: then it is answered as of an older seq, which it names."""


class Behind:
    """The `Store` `store`, each read of which shows what `journal` has handed out here."""

    def __init__(self, store: Store, journal: Journal) -> None:
        self._store = store
        self._journal = journal

    async def _read(self, question: Awaitable[V]) -> V:
        """The answer, once the store shows what was applied here. Raises `Unavailable`, where not fresh too."""
        try:
            self._refuse_stale()
            await self._journal.shown(self._journal.head_seq)
        except BaseException:
            _let_go(question)
            raise
        return await question

    async def _snapshot(self, question: Awaitable[V]) -> V:
        """As `_read`, and with what any node had acknowledged, if that comes within NEWEST_S."""
        try:
            self._refuse_stale()
            newest = await self._journal.newest()
            if newest > self._journal.shown_seq:
                await self._shown_soon(newest)
        except BaseException:
            _let_go(question)
            raise
        return await self._read(question)

    async def _shown_soon(self, seq: int) -> None:
        try:
            async with asyncio.timeout(NEWEST_S):
                await self._journal.shown(seq)
        except (TimeoutError, Unavailable):
            pass  # What is shown is true at its own, older seq: from there nothing will be missed.

    def _refuse_stale(self) -> None:
        if not self._journal.fresh:
            raise Unavailable("The server is cut off from the others.")

    # The store itself.

    @property
    def healthy(self) -> bool:
        return self._store.healthy

    async def start(self) -> None:
        await self._store.start()

    async def close(self) -> None:
        await self._store.close()

    # People.

    async def add_account(self, account: Account) -> None:
        await self._store.add_account(account)

    async def account(self, user_id: str) -> Account | None:
        return await self._read(self._store.account(user_id))

    async def account_by_email(self, email: str) -> Account | None:
        return await self._read(self._store.account_by_email(email))

    async def users(self, ids: Iterable[str]) -> dict[str, User]:
        return await self._read(self._store.users(ids))

    async def set_last_seen(self, seen: Mapping[str, int]) -> None:
        await self._store.set_last_seen(seen)

    async def set_zone(self, user_id: str, zone: str) -> None:
        await self._store.set_zone(user_id, zone)

    async def search(self, viewer: str, query: str, limit: int) -> list[tuple[User, str]]:
        return await self._read(self._store.search(viewer, query, limit))

    # Friendships.

    async def friends(self, user_id: str) -> Friends:
        return await self._snapshot(self._store.friends(user_id))

    async def friends_page(
        self, user_id: str, first: Collection[str], skip: int, limit: int
    ) -> tuple[list[tuple[User, int]], int]:
        return await self._read(self._store.friends_page(user_id, first, skip, limit))

    async def requests(self, user_id: str) -> Friends:
        return await self._snapshot(self._store.requests(user_id))

    async def friend_names(self, user_id: str) -> list[tuple[str, str]]:
        return await self._read(self._store.friend_names(user_id))

    async def relation_counts(self, user_id: str) -> Mapping[str, int]:
        return await self._read(self._store.relation_counts(user_id))

    async def in_common(self, viewer: str, others: Sequence[str]) -> Mapping[str, int]:
        return await self._read(self._store.in_common(viewer, others))

    async def friends_since(self, user_id: str) -> tuple[dict[str, int], int, int]:
        return await self._read(self._store.friends_since(user_id))

    async def relation(self, viewer: str, other: str) -> str:
        return await self._read(self._store.relation(viewer, other))

    async def blocks(self, user_id: str) -> list[User]:
        return await self._read(self._store.blocks(user_id))

    async def blocked(self, by: str, user_id: str) -> bool:
        return await self._read(self._store.blocked(by, user_id))

    # Logins are not in the order when they begin, and what is remembered of their ends wins over what is read.

    async def add_login(self, login: Login) -> bool:
        return await self._store.add_login(login)

    async def login(self, login_id: str) -> Login | None:
        return await self._read(self._store.login(login_id))

    async def login_by_secret(self, secret_hash: bytes) -> Login | None:
        return await self._read(self._store.login_by_secret(secret_hash))

    async def logins(self, user_id: str, kind: str) -> list[Login]:
        return await self._read(self._store.logins(user_id, kind))

    async def touch_logins(self, used: Mapping[str, int]) -> None:
        await self._store.touch_logins(used)

    async def drop_expired_logins(self, now_ms: int) -> None:
        await self._store.drop_expired_logins(now_ms)

    async def newcomers(
        self, login_ids: Sequence[str], secret_hashes: Sequence[bytes], here: Container[str]
    ) -> Mapping[str | bytes, Newcomer]:
        return await self._read(self._store.newcomers(login_ids, secret_hashes, here))

    # History.

    async def find_message(self, sender: str, client_id: str) -> tuple[int, int] | None:
        return await self._read(self._store.find_message(sender, client_id))

    async def history(self, viewer: str, part: Range) -> Page:
        return await self._snapshot(self._store.history(viewer, part))

    async def read_position(self, user_id: str, conversation: Conversation) -> int:
        return await self._read(self._store.read_position(user_id, conversation))

    async def read_state(self, user_id: str) -> ReadState:
        return await self._snapshot(self._store.read_state(user_id))

    async def standings(self, user_id: str) -> Standings:
        return await self._snapshot(self._store.standings(user_id))

    # Alerts.

    async def add_subscription(self, subscription: Subscription, keep: int) -> bool:
        return await self._store.add_subscription(subscription, keep)

    async def subscriptions(self, user_id: str) -> list[Subscription]:
        return await self._read(self._store.subscriptions(user_id))

    async def drop_subscription(self, user_id: str, endpoint: str) -> None:
        await self._store.drop_subscription(user_id, endpoint)

    async def subscribers(self) -> set[str]:
        return await self._store.subscribers()

    async def wishes(self, user_id: str) -> str | None:
        return await self._store.wishes(user_id)

    async def set_wishes(self, user_id: str, wishes: str) -> None:
        await self._store.set_wishes(user_id, wishes)


def _let_go(question: Awaitable[object]) -> None:
    """A question that is never asked is closed, or Python warns of it."""
    close = getattr(question, "close", None)
    if close is not None:
        close()
