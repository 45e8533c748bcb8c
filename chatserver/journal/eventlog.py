"""What a database offers to the local journal: durable events, and what a view shows of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from chatserver.core.errors import Unavailable
from chatserver.core.events import Event
from chatserver.core.visibility import View
from chatserver.journal.contract import Appended


@dataclass(slots=True)
class Entry:
    """The events of one append, with their places: written all or none, with nothing between them. Not to be changed.

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

    def note_shown(self, seq: int) -> None:
        """Another process has written everything up to `seq`: what is read from now on shows it."""
        ...

    async def probe(self) -> None:
        """Returns where a `write` would now be made durable, else raises `Unavailable`."""
        ...

    async def visible(self, view: View, after: int, up_to: int, limit: int) -> list[Event]:
        """The first `limit` events in (after, up_to] that `view` shows, ascending, bytes as written."""
        ...

    async def few(self, view: View, after: int, up_to: int, most: int) -> list[Event] | None:
        """All events that `visible` would find there, where they are `most` at the most; None where they are more."""
        ...

    async def count_visible(self, view: View, after: int, up_to: int, cap: int) -> int:
        """How many events `visible` would find there, counted to `cap` at the most."""
        ...

    async def latest(self, most: int, most_bytes: int) -> list[Event]:
        """The newest events, ascending: `most` at the most, and no more than `most_bytes` of payload."""
        ...

    async def dropped_seq(self) -> int:
        """At or below this seq events may have been dropped by age; 0 where none were."""
        ...

    async def drop_passing(self, before_ms: int, limit: int) -> int:
        """Drop up to `limit` events that are no messages and happened before `before_ms`.

        Returns how many went; 0 means that none is left (or that the database does this by itself).
        """
        ...


class Projection(EventLog, Protocol):
    """What a store offers where a stream is the order: it shows what stands there, as far as somebody has written it.

    Whoever holds the lease writes: the projector, in one process at a time. A lease is a number that its `owner` counts up;
    where it stands still, somebody else may take it. Every method may raise `Unavailable`.
    """

    async def projected(self) -> int:
        """Everything up to this seq is shown."""
        ...

    async def find(self, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Appended]:
        """Where the events stand that these actors have written under these client ids; none for those there are not."""
        ...

    async def project(
        self, batch: Sequence[Entry], up_to: int, owner: int
    ) -> Sequence[Appended | None]:
        """Show `batch`, with what its events change, and everything up to `up_to`; as often as it takes.

        Returns as `EventLog.write`. Raises `Fenced` where the lease is another's. What an account writes after its end,
        is not kept.
        """
        ...

    async def lease(self) -> tuple[int, int] | None:
        """Its owner and how far it has counted; None where it is free."""
        ...

    async def take_lease(self, owner: int, seen: tuple[int, int] | None) -> bool:
        """Take it where it still is as it was `seen`; whether that was so."""
        ...

    async def beat(self, owner: int) -> bool:
        """Count on; False where it is another's."""
        ...

    async def give_lease_back(self, owner: int) -> None:
        """Let the next one have it at once."""
        ...

    async def end_again(self) -> None:
        """Take away once more what belonged to accounts that ended: a projector that was frozen may have written late."""
        ...


class Fenced(Exception):
    """Somebody else holds the lease; nothing was written."""


class InDoubt(Unavailable):
    """The database went away while it wrote: the batch may or may not be in it."""
