"""The per-user queue: a bounded window over the journal that every reader of the user reads.

Nothing is ever taken out by reading. A reader brings its own cursor; one integer, `floor_seq`, decides
whether something that it should have seen may be missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from chatserver.core.errors import Ending
from chatserver.core.events import Event, Signal

BATCH_BYTES = 128 * 1024
"""What one read gives at the most (but one event always): it bounds what waits to be written to one
connection. Large enough that catching up is not slowed by turns of the loop."""

_SURE_EVENTS = 7
"""So many events are under BATCH_BYTES without counting: 4,000 code points are 16 KB at most."""


class Reader(Protocol):
    """What the hub needs to know of a reader (implementations: `chatserver.transports.reader`)."""

    dirty: bool
    """Marked for the flush of this turn."""
    client: str
    """The client's own name for itself; empty where it gave none."""

    def flush(self) -> None:
        """Write what the mailbox holds after its cursor. Must not raise, wait, or publish."""
        ...

    def offer(self, signal: Signal) -> None:
        """Take a signal for the next flush, or drop it. The same rules as for `flush`."""
        ...

    def end(self, ending: Ending) -> None:
        """Tell the client (`bye`) and let go. Idempotent."""
        ...


class Follower(Protocol):
    """The connection of a reader that has everything: it is handed what comes (`Mailbox.follow`)."""

    def follow(self, events: list[Event]) -> None:
        """Write these, which come next. The same rules as for `Reader.flush`."""
        ...

    def fall_behind(self) -> None:
        """Have the reader pull again, from what was handed over last on."""
        ...


class Mailbox:
    """The events of one user, from `floor_seq` (exclusive) to the present.

    Bounded by `max_events` and `max_bytes` (of payload); past either the oldest leave and the floor
    rises. `friends` holds each friend with the seq at which the friendship began, as of the hub's head.

    A reader pulls, at a cursor of its own; one that has everything may follow instead. Then its cursor is
    `told_seq`, and that of all others that follow.
    """

    __slots__ = (
        "_bytes",
        "_max_bytes",
        "_max_events",
        "events",
        "floor_seq",
        "followers",
        "fresh_events",
        "friends",
        "pullers",
        "readers",
        "told_seq",
        "user_id",
    )

    def __init__(
        self, user_id: str, floor_seq: int, friends: dict[str, int], max_events: int, max_bytes: int
    ) -> None:
        self.user_id = user_id
        self.floor_seq = floor_seq
        self.friends = friends
        self.readers: list[Reader] = []  # oldest first
        # Never changed but replaced: so they can be gone through while readers come and go.
        self.pullers: tuple[Reader, ...] = ()
        self.followers: tuple[Follower, ...] = ()
        self.told_seq = floor_seq
        self.fresh_events = 0
        """How many of the newest nobody has been told of yet: of the hub, while it takes a batch."""
        self.events: list[Event] = []
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._bytes = 0

    # Readers.

    def attach(self, reader: Reader) -> None:
        """Let `reader` pull."""
        self.readers.append(reader)
        self.pullers += (reader,)

    def detach(self, reader: Reader) -> None:
        """Forget a reader that pulls."""
        self.readers.remove(reader)
        self.pullers = tuple([other for other in self.pullers if other is not reader])

    def follow(self, reader: Reader, follower: Follower, cursor: int) -> None:
        """Hand `follower` what comes, instead of having `reader` pull it, which has all up to `cursor`.

        The caller sees to it that nothing here lies after `cursor` (ValueError).
        """
        if self.events and self.events[-1].seq > cursor:
            raise ValueError(f"a reader of {self.user_id} has not read everything")
        self.pullers = tuple([other for other in self.pullers if other is not reader])
        self.followers += (follower,)
        self.told_seq = max(self.told_seq, cursor)

    def pull(self, reader: Reader, follower: Follower) -> int:
        """Undo `follow`; the cursor from which the reader goes on by itself."""
        self.followers = tuple([other for other in self.followers if other is not follower])
        self.pullers += (reader,)
        return self.told_seq

    # Events.

    def extend(self, run: Sequence[Event], size_bytes: int) -> None:
        """Add the newest events, `size_bytes` of payload in all.

        The caller keeps the order: a run that does not begin above the last seq is a bug (ValueError).
        """
        events = self.events
        if (events[-1].seq if events else self.floor_seq) >= run[0].seq:
            raise ValueError(f"seq {run[0].seq} does not follow in mailbox {self.user_id}")
        events += run
        self._bytes += size_bytes
        if self._bytes > self._max_bytes or len(events) > self._max_events:
            self._evict()

    def _evict(self) -> None:
        # A sixteenth more than needed, so that a full mailbox does not move its list at every append.
        keep_events = self._max_events - self._max_events // 16
        keep_bytes = self._max_bytes - self._max_bytes // 16
        events = self.events
        gone = max(0, len(events) - keep_events)
        self._bytes -= sum([len(event.payload) for event in events[:gone]])
        while self._bytes > keep_bytes:
            self._bytes -= len(events[gone].payload)
            gone += 1
        self.floor_seq = events[gone - 1].seq
        del events[:gone]

    def read_after(self, cursor: int, like: list[Event] | None = None) -> list[Event] | None:
        """The events after `cursor`, oldest first, up to BATCH_BYTES of them; None where there is a gap.

        `like` is what another mailbox gave just now. Where this one would give the same, it is returned
        itself: of a thousand friends nearly all stand equally far, and so only the first has to search.
        """
        if cursor < self.floor_seq:
            return None
        events = self.events
        if like:
            start = len(events) - len(like)
            if (
                start >= 0
                and events[start:] == like  # events are compared by identity
                and like[0].seq > cursor
                and (not start or events[start - 1].seq <= cursor)
            ):
                return like
        start = len(events)
        # Readers are nearly always close to the end: walking back beats a bisection.
        while start and events[start - 1].seq > cursor:
            start -= 1
        batch = events[start:]
        return batch if len(batch) <= _SURE_EVENTS else cut_batch(batch)

    def depth_after(self, cursor: int) -> int:
        """How many events stand after `cursor` in this window."""
        return sum(1 for event in self.events if event.seq > cursor)

    @property
    def size_bytes(self) -> int:
        """Payload bytes held."""
        return self._bytes


def cut_batch(batch: list[Event]) -> list[Event]:
    """The beginning of `batch` that is within BATCH_BYTES; one event at least, if there is one."""
    size = 0
    for at, event in enumerate(batch):
        size += len(event.payload)
        if size > BATCH_BYTES and at:
            return batch[:at]
    return batch
