"""The contract of a store, cut by who asks: people, friendships, logins, and the history.

A store and the local journal share one database; events are written by the journal with the change that
each of them makes. Everything here may raise `Unavailable` when the database cannot answer in time.
Reads see everything that was durable when they were called. All times are integer milliseconds since 1970
(UTC); all ids are opaque strings made by the caller.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from typing import Protocol

from chatserver.core.alerts import Subscription
from chatserver.core.conversations import Conversation, Page, Range, ReadState, Standings
from chatserver.core.people import Account, Friends, Login, Newcomer, User


class People(Protocol):
    """Accounts and users."""

    async def add_account(self, account: Account) -> None:
        """Keep a new account. Raises `Conflict` where the email (compared without case) is taken."""
        ...

    async def account(self, user_id: str) -> Account | None: ...

    async def account_by_email(self, email: str) -> Account | None:
        """Compared without case."""
        ...

    async def users(self, ids: Iterable[str]) -> dict[str, User]:
        """Those of `ids` that exist."""
        ...

    async def set_last_seen(self, seen: Mapping[str, int]) -> None:
        """user id -> ms. Not urgent: may be written late."""
        ...

    async def set_zone(self, user_id: str, zone: str) -> None:
        """Keep the time zone that somebody has chosen."""
        ...

    async def search(self, viewer: str, query: str, limit: int) -> list[tuple[User, str]]:
        """Users whose name holds each word of `query` as the beginning of a word of their name, or whose
        email is `query` exactly; without case; each with the viewer's relation. Never the viewer, never
        who has blocked the viewer or is blocked by the viewer. Friends first, then by name. An empty query
        finds nobody. Where hundreds share the beginnings of its words, not all of them are looked at:
        friends, and some hundred others, always the same."""
        ...


class Friendships(Protocol):
    """Who is whose friend, and who has blocked whom."""

    async def friends(self, user_id: str) -> Friends:
        """Friends and who was asked, by name; of who asks the `MAX_INCOMING` oldest, and how many there are."""
        ...

    async def friends_page(
        self, user_id: str, first: Collection[str], skip: int, limit: int
    ) -> tuple[list[tuple[User, int]], int]:
        """Up to `limit` friends after `skip`, with when they were last seen, and how many friends there are: those of
        `first`, then the others, each by name."""
        ...

    async def requests(self, user_id: str) -> Friends:
        """As `friends`, without the friends: of whoever has thousands, somebody who only answers needs none of them."""
        ...

    async def friend_names(self, user_id: str) -> list[tuple[str, str]]:
        """Id and name of each friend, in no order."""
        ...

    async def relation_counts(self, user_id: str) -> Mapping[str, int]:
        """How many people stand in each relation to the user, and how many are `blocked` by the user; what is 0 may be missing."""
        ...

    async def in_common(self, viewer: str, others: Sequence[str]) -> Mapping[str, int]:
        """How many friends the viewer and each of `others` have in common; of whoever has thousands, some are looked at."""
        ...

    async def friends_since(self, user_id: str) -> tuple[dict[str, int], int, int]:
        """Friend id -> seq at which the friendship began; a seq, and the newest change that was seen.

        All changes up to the first seq are in it, and none later than the newest, those of pairs that have ended included.
        """
        ...

    async def relation(self, viewer: str, other: str) -> str:
        """`none`, `friend`, `incoming` (other asked viewer) or `outgoing`."""
        ...

    async def blocks(self, user_id: str) -> list[User]: ...

    async def blocked(self, by: str, user_id: str) -> bool: ...


class Logins(Protocol):
    """Signed-in devices and bearer tokens. They end by changes in the order (`core.changes`), or by time.

    A login is there only while it is of its account's generation.
    """

    async def add_login(self, login: Login) -> bool:
        """Keep a new login. False, and it is not kept, where its account is gone or of another generation."""
        ...

    async def login(self, login_id: str) -> Login | None: ...

    async def login_by_secret(self, secret_hash: bytes) -> Login | None: ...

    async def logins(self, user_id: str, kind: str) -> list[Login]:
        """Newest first; expired ones left out by the caller."""
        ...

    async def touch_logins(self, used: Mapping[str, int]) -> None:
        """login id -> ms. Not urgent."""
        ...

    async def drop_expired_logins(self, now_ms: int) -> None: ...


class History(Protocol):
    """What was written, and how far it was read."""

    async def find_message(self, sender: str, client_id: str) -> tuple[int, int] | None:
        """(seq, at) of the message that this sender wrote under this id, at any time in the past."""
        ...

    async def history(self, viewer: str, part: Range) -> Page:
        """Messages of one conversation, as `viewer` may see them (`core.visibility`)."""
        ...

    async def read_position(self, user_id: str, conversation: Conversation) -> int:
        """How far somebody has read a conversation; 0 where they never said."""
        ...

    async def read_state(self, user_id: str) -> ReadState: ...

    async def standings(self, user_id: str) -> Standings:
        """Where each of somebody's conversations stands: the broadcasts, and one with each friend of now."""
        ...


class Alerts(Protocol):
    """Where somebody may be called, and what they say of it."""

    async def add_subscription(self, subscription: Subscription, keep: int) -> bool:
        """Keep it in the place of what has its endpoint, whoever's; of the user's the `keep` newest stay.

        False, and it is not kept, where its login is gone. It ends by the changes that end its login.
        """
        ...

    async def subscriptions(self, user_id: str) -> list[Subscription]:
        """Oldest first; logins that have ended by time are left out by the caller."""
        ...

    async def drop_subscription(self, user_id: str, endpoint: str) -> None: ...

    async def subscribers(self) -> set[str]:
        """Who has any."""
        ...

    async def wishes(self, user_id: str) -> str | None:
        """As it was set; None where it never was."""
        ...

    async def set_wishes(self, user_id: str, wishes: str) -> None:
        """JSON of the caller's; nothing where the account is gone."""
        ...


class Newcomers(Protocol):
    """Who comes in, all in one."""

    async def newcomers(
        self, login_ids: Sequence[str], secret_hashes: Sequence[bytes], here: Container[str]
    ) -> Mapping[str | bytes, Newcomer]:
        """The logins that there are of these, by what they were asked for by; without the friends of users in `here`."""
        ...


class Store(People, Friendships, Logins, Newcomers, History, Alerts, Protocol):
    """All of it, in one database."""

    @property
    def healthy(self) -> bool:
        """False while the database cannot be used."""
        ...

    async def start(self) -> None:
        """Open the database; make or migrate its schema. Raises `StoreRefused` with one sentence."""
        ...

    async def close(self) -> None:
        """Finish what was accepted and let go of the database."""
        ...


class StoreRefused(Exception):
    """The database cannot be used as it stands; the text is one sentence that says what to do."""
