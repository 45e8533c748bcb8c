"""What a database offers to the local journal: durable events, and what a view shows of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from chatserver.core.errors import Unavailable
from chatserver.core.events import Event
from chatserver.core.visibility import View
from chatserver.journal.contract import Appended


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

    def note_shown(self, seq: int) -> None:
        """Another process has written everything up to `seq`: what is read from now on shows it."""
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


class InDoubt(Unavailable):
    """The database went away while it wrote: the batch may or may not be in it."""
