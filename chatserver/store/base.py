"""The contract of a store: users, friendships, blocks, logins, tokens, and the history.

A store and the local journal share one database; events are written by the journal with the change that
each of them makes. Everything here may raise `Unavailable` when the database cannot answer in time.
All times are integer milliseconds since 1970 (UTC); all ids are opaque strings made by the caller.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from chatserver.core.errors import Unavailable
from chatserver.core.events import Event
from chatserver.journal.base import Appended, View


@dataclass(frozen=True, slots=True)
class User:
    """The public part of an account."""

    id: str
    first_name: str
    last_name: str
    color: str

    @property
    def name(self) -> str:
        """First and last name with one space between, as shown before a message."""
        return f"{self.first_name} {self.last_name}".rstrip()

    def public(self) -> dict[str, str]:
        """The `user` object of the wire."""
        return {
            "id": self.id,
            "firstName": self.first_name,
            "lastName": self.last_name,
            "name": self.name,
            "color": self.color,
        }


@dataclass(frozen=True, slots=True)
class Account:
    """A user with what only the owner and the sign-in may know. `password` is a PHC string."""

    user: User
    email: str
    password: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Login:
    """A signed-in device (`kind` "cookie") or a bearer token (`kind` "token").

    `secret_hash` is the SHA-256 of a token, None for cookies (they are sealed and carry the id).
    `expires_at` None means: not by time.
    """

    id: str
    user_id: str
    kind: str
    label: str
    secret_hash: bytes | None
    created_at: int
    expires_at: int | None
    last_used_at: int


@dataclass(frozen=True, slots=True)
class Friends:
    """A user's relations, true at position `seq` of the order."""

    friends: Sequence[tuple[User, int]]
    """Each friend with the time they were last seen (0: never)."""
    incoming: Sequence[User]
    outgoing: Sequence[User]
    seq: int


@dataclass(frozen=True, slots=True)
class Page:
    """Messages, ascending; `more` says that older (with `after`: newer) ones exist. True at `seq`."""

    events: Sequence[Event]
    more: bool
    seq: int


@dataclass(frozen=True, slots=True)
class ReadState:
    """Read positions: own by peer (None: broadcasts), and how far friends read the talk with me."""

    own: Mapping[str | None, int]
    peers: Mapping[str, int]
    unread: Mapping[str | None, int]
    """Messages of others after the own position, counted to 1,000 at most, by conversation."""
    seq: int


class Store(Protocol):
    """Reads see everything that was durable when they were called."""

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

    # accounts
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

    async def set_password(self, user_id: str, password: str) -> None: ...

    async def set_last_seen(self, seen: Mapping[str, int]) -> None:
        """user id -> ms. Not urgent: may be written late."""
        ...

    async def search(self, viewer: str, query: str, limit: int) -> list[tuple[User, str]]:
        """Users whose name holds each word of `query` as the beginning of a word of their name, or whose
        email is `query` exactly; without case; each with the viewer's relation. Never the viewer, never
        who has blocked the viewer or is blocked by the viewer. Ordered by name. An empty query finds nobody."""
        ...

    # friends
    async def friends(self, user_id: str) -> Friends: ...

    async def friends_since(self, user_id: str) -> tuple[dict[str, int], int]:
        """Friend id -> seq at which the friendship began; and the seq at which this is true."""
        ...

    async def relation(self, viewer: str, other: str) -> str:
        """`none`, `friend`, `incoming` (other asked viewer) or `outgoing`."""
        ...

    async def blocks(self, user_id: str) -> list[User]: ...

    async def blocked(self, by: str, user_id: str) -> bool: ...

    async def set_block(self, by: str, user_id: str, blocked: bool) -> None:
        """Block without a change of friendship (there was none), or unblock."""
        ...

    # logins and tokens
    async def add_login(self, login: Login) -> None: ...

    async def login(self, login_id: str) -> Login | None: ...

    async def login_by_secret(self, secret_hash: bytes) -> Login | None: ...

    async def logins(self, user_id: str, kind: str) -> list[Login]:
        """Newest first; expired ones left out by the caller."""
        ...

    async def touch_logins(self, used: Mapping[str, int]) -> None:
        """login id -> ms. Not urgent."""
        ...

    async def end_logins(self, login_ids: Iterable[str]) -> None: ...

    async def drop_expired_logins(self, now_ms: int) -> None: ...

    # the history
    async def find_message(self, sender: str, client_id: str) -> tuple[int, int] | None:
        """(seq, at) of the message that this sender wrote under this id, at any time in the past."""
        ...

    async def history(
        self,
        viewer: str,
        peer: str | None,
        before: int | None,
        after: int | None,
        limit: int,
    ) -> Page:
        """Messages of one conversation: with `peer`, or the broadcasts where it is None.

        Own messages always; a friend's from the beginning of the friendship on. With `after` the oldest
        after it, otherwise the newest (before `before`, if given).
        """
        ...

    async def read_state(self, user_id: str) -> ReadState: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """The events of one append, with their places: written all or none, with nothing between them.

    `client_id` makes a single event idempotent per actor; with several events it is None.
    """

    events: tuple[Event, ...]
    client_id: str | None = None


class EventLog(Protocol):
    """What a store offers to `journal/local.py`, its only caller: durable events, and what a view shows.

    There is one writer at a time, in one process, and it calls `write` again only when the last call
    has ended. Every method may raise `Unavailable`.
    """

    async def last_seq(self) -> int:
        """The newest seq ever written, also where its event is gone by now; 0 in a new database."""
        ...

    async def write(self, batch: Sequence[Entry]) -> Sequence[Appended | None]:
        """Make `batch` durable together with what its events change, in order.

        Every seq is above all earlier ones, and no two entries share actor and `client_id`. Returns for
        each entry None where it was written, or the standing of the older event whose `client_id` it
        repeats; then it is not written. Raises `Unavailable` where nothing of it was or will be written,
        and `InDoubt` where that is unknown; then the same call again finds out and finishes the batch.
        """
        ...

    async def probe(self) -> None:
        """Returns where a `write` would now be made durable, else raises `Unavailable`."""
        ...

    async def visible(self, view: View, after: int, up_to: int, limit: int) -> list[Event]:
        """The first `limit` events in (after, up_to] that `view` shows, ascending, bytes as written."""
        ...

    async def count_visible(self, view: View, after: int, up_to: int, cap: int) -> int:
        """How many events `visible` would find there, counted to `cap` at the most."""
        ...

    async def dropped_seq(self) -> int:
        """At or below this seq events may have been dropped by age; 0 where none were."""
        ...

    async def drop_passing(self, before_ms: int, limit: int) -> int:
        """Drop up to `limit` events that are no messages and happened before `before_ms`.

        Returns how many went; 0 means that none is left (or that the database does this by itself).
        """
        ...


Record = dict[str, str | int | bytes | None]
"""One thing that a store keeps, the same whatever the store: see `FIELDS`."""

FIELDS: Mapping[str, Sequence[str]] = {
    "users": (
        *("id", "email", "password", "first_name", "last_name", "color"),
        *("created_at", "last_seen"),
    ),
    "friendships": ("one", "other", "relation", "since"),
    "blocks": ("by", "user"),
    "logins": (
        *("id", "user_id", "kind", "label", "secret_hash"),
        *("created_at", "expires_at", "last_used_at"),
    ),
    "reads": ("user", "peer", "up_to"),
    "events": ("seq", "type", "audience", "actor", "to", "at", "payload", "client_id"),
}
"""The fields of a record by its kind. A friendship stands once, `one` before `other`, with the relation
of `one`; `peer` of a read position is '' for the broadcasts."""
KINDS = tuple(FIELDS)


class Port(Protocol):
    """What a store offers to `chatserver.migrate`: everything it keeps, out and in."""

    async def count(self, kind: str) -> int: ...

    def records(self, kind: str, after_seq: int) -> AsyncIterator[list[Record]]:
        """All records of `kind`, some at a time; of events those after `after_seq`, in order."""
        ...

    async def begin(self) -> dict[str, int]:
        """Make the store one that is being filled; what `note` and `add` noted when it was before.

        Raises `StoreRefused` where it holds anything that did not come so. While it is being filled,
        it starts only with `unfinished=True`.
        """
        ...

    async def add(self, kind: str, records: Sequence[Record]) -> None:
        """Write records; those that are there already stay. Notes the seq of the last event."""
        ...

    async def note(self, kind: str, value: int) -> None:
        """Remember that much of `kind` is done."""
        ...

    async def places(self) -> tuple[int, int]:
        """The newest seq, and the one at or below which events may have been dropped."""
        ...

    async def finish(self, last_seq: int, dropped_seq: int) -> None:
        """The store is whole: it takes over these places and may be started like any other."""
        ...


class InDoubt(Unavailable):
    """The database went away while it wrote: the batch may or may not be in it."""


class StoreRefused(Exception):
    """The database cannot be used as it stands; the text is one sentence that says what to do."""


UNFINISHED = (
    "The database holds a migration that has not ended: run `chatserver migrate` again,"
    " with the same source."
)
