"""What the tests of stores and journals share: homes for data, a clock, and a small world of users.

A home keeps one backend's data; `open` may be called again and again on it, like a server restarting.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from chatserver.core import vocabulary
from chatserver.core.changes import (
    AccountEnd,
    BlockChange,
    Change,
    FriendChange,
    LoginsEnd,
    PasswordChange,
    ProfileChange,
)
from chatserver.core.conversations import Range, conversation_with
from chatserver.core.events import Audience, Draft, Event
from chatserver.core.people import Account, Login, User
from chatserver.core.visibility import View
from chatserver.journal.contract import Appended, Journal
from chatserver.journal.eventlog import EventLog
from chatserver.journal.local import LocalJournal
from chatserver.store.behind import Behind
from chatserver.store.contract import Store
from chatserver.store.mongo.store import MongoStore
from chatserver.store.sqlite.store import SqliteStore
from tests.support.nodes import Node, Stream
from tests.support.payments import paid

START_MS = 1_800_000_000_000
DAY_MS = 86_400_000


class Clock:
    """Milliseconds since 1970, as the test says."""

    def __init__(self) -> None:
        self.now_ms = START_MS

    def __call__(self) -> int:
        return self.now_ms


class KeptJournal(Journal, Protocol):
    """A journal that can be told to drop what is too old."""

    async def drop_passed(self) -> int: ...


Opening = Callable[[Store, EventLog, Clock], tuple[Store, KeptJournal]]
"""Makes the journal over a store that is started, and the store as a node of it reads it."""


def over_local(store: Store, log: EventLog, clock: Clock) -> tuple[Store, KeptJournal]:
    return store, LocalJournal(log, clock)


def over_delayed(store: Store, log: EventLog, clock: Clock) -> tuple[Store, KeptJournal]:
    """One node that follows three turns of the loop later than it appends, and whose store shows it after as many more."""
    node = Node(Stream(store, log, clock, lag=3))
    return Behind(store, node), node


class SqliteHome:
    """Data in a folder."""

    name = "sqlite"
    opening: Opening = staticmethod(over_local)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()

    def opened(self) -> AbstractAsyncContextManager[World]:
        """Of a home that has more than a folder."""
        raise NotImplementedError

    def make(self) -> tuple[Store, EventLog]:
        store = SqliteStore(self.folder, self.clock, busy_ms=300)
        return store, store.log


class MongoHome:
    """Data in a database of a server that speaks MongoDB's protocol."""

    name = "mongo"
    opening: Opening = staticmethod(over_local)

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.clock = Clock()

    def make(self) -> tuple[Store, EventLog]:
        store = MongoStore(self.uri, self.clock, wait_s=5)
        return store, store.log


Home = SqliteHome | MongoHome


class World:
    """A started store and journal, with verbs as short as the tests need them."""

    def __init__(self, store: Store, log: EventLog, journal: KeptJournal, clock: Clock) -> None:
        self.store = store
        self.log = log
        self.journal = journal
        self.clock = clock
        self.batches: list[Sequence[Event]] = []

    @property
    def events(self) -> list[Event]:
        """Everything that was handed to the follower."""
        return [event for batch in self.batches for event in batch]

    async def join(self, *names: str) -> None:
        """Accounts with these first names, which are their ids and emails too."""
        for name in names:
            await self.store.add_account(account(name))

    async def befriend(self, one: str, other: str) -> int:
        """Make them friends; the seq at which it stands."""
        return await self.relate("friend", one, other)

    async def relate(self, relation: str, one: str, other: str, block: bool = False) -> int:
        change = FriendChange(one, other, relation, block)
        told = [friend_draft(one, other, relation, change), friend_draft(other, one, relation)]
        return (await self.journal.append(paid(), *told))[0].seq

    async def say(
        self, actor: str, text: str = "hello", to: str | None = None, client_id: str | None = None
    ) -> Appended:
        (standing,) = await self.journal.append(paid(), message(actor, text, to, client_id))
        return standing

    async def rename(self, user: str, first: str, last: str = "", color: str = "#123456") -> int:
        change = ProfileChange(user, first, last, color)
        draft = Draft("profile", Audience.FRIENDS, user, None, {"user": {"id": user}}, None, change)
        return (await self.journal.append(paid(), draft))[0].seq

    async def read(self, user: str, up_to: int, peer: str | None = None) -> int:
        draft = vocabulary.read(user, conversation_with(peer), up_to)
        return (await self.journal.append(paid(), draft))[0].seq

    async def end_logins(self, user: str, *login_ids: str) -> int:
        draft = vocabulary.notice(LoginsEnd(user, login_ids))
        return (await self.journal.append(paid(), draft))[0].seq

    async def change_password(self, user: str, password: str, kept: str | None = None) -> int:
        draft = vocabulary.notice(PasswordChange(user, password, kept))
        return (await self.journal.append(paid(), draft))[0].seq

    async def block(self, by: str, user: str, blocked: bool) -> int:
        """Block without a change of friendship, or unblock."""
        draft = vocabulary.notice(BlockChange(by, user, blocked))
        return (await self.journal.append(paid(), draft))[0].seq

    async def end(self, user: str, friend: str) -> int:
        """End an account: the two ends of a friendship, the account with the second."""
        told = [
            friend_draft(friend, user, "none", FriendChange(user, friend, "none")),
            friend_draft(user, friend, "none", AccountEnd(user)),
        ]
        return (await self.journal.append(paid(), *told))[0].seq

    async def view(self, user: str) -> View:
        return View(user, (await self.store.friends_since(user))[0])

    async def replay(self, user: str, after: int = 0, limit: int = 100_000) -> list[Event]:
        return await self.journal.replay(await self.view(user), after, self.journal.head_seq, limit)

    async def texts(self, viewer: str, peer: str | None = None, **span: int) -> list[str]:
        """The texts of a page of history."""
        page = await self.store.history(viewer, Range(conversation_with(peer), **span))
        return [text_of(event) for event in page.events]


@asynccontextmanager
async def opened(home: Home) -> AsyncIterator[World]:
    """The home's store and journal, started; closed in order at the end."""
    if isinstance(home, SqliteHome) and home.name == "jetstream":
        async with home.opened() as world:
            yield world
        return
    store, log = home.make()
    await store.start()
    try:
        seen, journal = home.opening(store, log, home.clock)
        world = World(seen, log, journal, home.clock)
        await journal.start([world.batches.append])
        try:
            yield world
        finally:
            await journal.close()
    finally:
        await store.close()


def account(name: str, first: str | None = None, last: str = "") -> Account:
    user = User(name, first if first is not None else name, last, "#0000aa")
    return Account(user, f"{name}@example.com", f"$argon2id${name}", START_MS)


def login(id_: str, user: str, kind: str = "cookie", **more: Any) -> Login:
    fields: dict[str, Any] = {
        "label": f"label of {id_}",
        "secret_hash": None,
        "created_at": START_MS,
        "expires_at": None,
        "last_used_at": START_MS,
    }
    return Login(id_, user, kind, **{**fields, **more})


def message(
    actor: str, text: str = "hello", to: str | None = None, client_id: str | None = None
) -> Draft:
    sender = {"id": actor, "name": actor, "color": "#0000aa"}
    return vocabulary.message(sender, conversation_with(to), text, client_id)


def friend_draft(told: str, about: str, relation: str, change: Change | None = None) -> Draft:
    fields = {"user": {"id": about, "name": about}, "relation": relation}
    return Draft("friend", Audience.SELF, told, None, fields, None, change)


def text_of(event: Event) -> str:
    return str(json_of(event)["text"])


def json_of(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(event.payload)
    return found


def told(events: Sequence[Event]) -> list[tuple[str, str, int]]:
    """What an event is, as far as a test of visibility cares."""
    return [(event.type, event.actor, event.seq) for event in events]
