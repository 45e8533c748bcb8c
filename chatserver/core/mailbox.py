"""The per-user queue: a bounded window over the journal that every reader of the user reads.

Nothing is ever taken out by reading. A reader brings its own cursor; one integer, `floor_seq`, decides
whether something that it should have seen may be missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from chatserver.core.errors import Ending
from chatserver.core.events import EVENT_BYTES, Event, Signal
from chatserver.core.visibility import shows

BATCH_BYTES = 128 * 1024
"""What one read gives at the most (but one event always): it bounds what waits to be written to one
connection. Large enough that catching up is not slowed by turns of the loop."""

_SURE_EVENTS = 7
"""So many events are under BATCH_BYTES without counting: 4,000 code points are 16 KB at most."""


class Pipe(Protocol):
    """Where the bytes of a reader may go straight to its peer: a socket on which nothing waits."""

    def send(self, data: bytes, /) -> int:
        """Send what there is room for, and say how much that was. Raises OSError; that there is no room is one, too."""
        ...


class Framing(Protocol):
    """How events look on one transport."""

    def of(self, events: list[Event]) -> bytes:
        """The bytes of `events`, one after another; there is one at least."""
        ...


class Reader(Protocol):
    """What the hub needs to know of a reader (implementations: `chatserver.transports.reader`).

    It is a cursor into a mailbox, and holds that cursor itself. None of these may raise, wait, or publish.
    """

    dirty: bool
    """Marked for the flush of this turn."""
    client: str
    """The client's own name for itself; empty where it gave none."""
    knows: int
    """How many comings (`Signal.coming`) the whole presence has shown it."""
    cursor: int
    """The seq of the last event that it has."""
    pipe: Pipe | None
    """What `hand_out` may write to by itself, where the cursor stands right before a run; it moves the cursor then, and counts
    no bytes. The reader sees to it that it is None wherever anything else would have to go first."""
    frames: Framing | None
    """How to write on its pipe, asked anew by whoever writes: it may be another each time. None for whoever never has one."""

    def keep(self, data: bytes, sent: int) -> None:
        """Of `data` only the first `sent` bytes went over the pipe: the rest goes when there is room."""
        ...

    def take(self, run: list[Event], before: int) -> bool:
        """Write `run`, the newest events of the mailbox, if nothing is missing and nothing waits.

        `before` is the seq up to which the reader must have everything: where its cursor is in
        [before, run[0].seq), the run is exactly what comes next. Returns False where it did not take
        the run; then it is marked, and pulls at the flush.
        """
        ...

    def flush(self) -> None:
        """Pull: write what the mailbox holds after the cursor."""
        ...

    def offer(self, signal: Signal) -> None:
        """Take a signal for the next flush, or drop it."""
        ...

    def end(self, ending: Ending) -> None:
        """Tell the client (`bye`) and let go. Idempotent."""
        ...

    def cut(self) -> None:
        """Break the connection without a word."""
        ...


class Bounds:
    """Of each mailbox: it has `max_events` places, each for a share of `max_bytes`, and an event takes as many as it needs.

    So both bounds are one, and the short events that nearly all are need no sum: a number of its own in each mailbox would be
    two or three lines of memory more that the caches have lost whenever somebody writes.
    """

    __slots__ = ("max_events", "share_bytes")

    def __init__(self, max_events: int, max_bytes: int) -> None:
        """`max_bytes` are what the events of one mailbox may hold (`size_of`)."""
        self.max_events = max_events
        self.share_bytes = max(1, max_bytes // max_events)

    def more_places(self, events: Sequence[Event]) -> int:
        """How many places `events` take beyond one each."""
        share_bytes, more = self.share_bytes, 0
        for event in events:  # nearly always one, for which a list would take as long again
            more += (len(event.payload) + EVENT_BYTES - 1) // share_bytes
        return more


class Mailbox:
    """The events of one user, from `floor_seq` (exclusive) to the present.

    Past the hub's `bounds` the oldest leave and the floor rises. `friends` holds each friend with the seq at
    which the friendship began, as of the hub's head.
    """

    __slots__ = (
        "events",
        "floor_seq",
        "friends",
        "last_seq",
        "more_places",
        "readers",
        "sole",
        "user_id",
    )

    def __init__(self, user_id: str, floor_seq: int, friends: dict[str, int]) -> None:
        self.user_id = user_id
        self.floor_seq = floor_seq
        self.last_seq = floor_seq
        """The seq of the newest event here, or the floor where there is none."""
        self.friends = friends
        self.readers: tuple[Reader, ...] = ()  # oldest first
        self.sole: Reader | None = None
        """The one reader, where there is no other."""
        self.events: list[Event] = []
        self.more_places = 0
        """What the events here take beyond one place each (`Bounds.more_places`)."""

    def attach(self, reader: Reader) -> None:
        """Let `reader` read."""
        self.readers += (reader,)
        self.sole = reader if len(self.readers) == 1 else None

    def detach(self, reader: Reader) -> None:
        """Forget a reader."""
        self.readers = tuple([other for other in self.readers if other is not reader])
        self.sole = self.readers[0] if len(self.readers) == 1 else None

    def extend(self, run: Sequence[Event], more_places: int, bounds: Bounds) -> int:
        """Add the newest events, which take `more_places` of `bounds`; the last seq before them.

        The caller keeps the order: a run that does not begin above the last seq is a bug (ValueError).
        """
        before = self.last_seq
        if before >= run[0].seq:
            raise ValueError(f"seq {run[0].seq} does not follow in mailbox {self.user_id}")
        self.last_seq = run[-1].seq
        self.events += run
        self.more_places += more_places
        if len(self.events) + self.more_places > bounds.max_events:
            self.evict(bounds)
        return before

    def evict(self, bounds: Bounds) -> None:
        """Let the oldest go, a sixteenth more than needed, so that a full mailbox does not move its list at every append."""
        keep = bounds.max_events - bounds.max_events // 16
        events, gone = self.events, 0
        if not self.more_places:
            gone = len(events) - keep
        else:
            left = len(events) + self.more_places
            while left > keep and gone < len(events):
                more_places = bounds.more_places((events[gone],))
                self.more_places -= more_places
                left -= 1 + more_places
                gone += 1
        self.floor_seq = events[gone - 1].seq
        del events[:gone]

    def withdraw(self, bounds: Bounds) -> None:
        """Take out what the owner may not see any more, now that a friendship has ended.

        No cursor and no floor moves: it is not missing, it is not theirs.
        """
        self.events = self.visible(self.events)
        self.last_seq = self.events[-1].seq if self.events else self.floor_seq
        self.more_places = bounds.more_places(self.events)

    def visible(self, events: Iterable[Event]) -> list[Event]:
        """Those of `events` that the owner may see now."""
        return [
            each for each in events if shows(self, each.seq, each.audience, each.actor, each.to)
        ]

    def after(self, cursor: int) -> list[Event]:
        """All events here after `cursor`, oldest first."""
        events = self.events
        start = len(events)
        # Readers are nearly always close to the end: walking back beats a bisection.
        while start and events[start - 1].seq > cursor:
            start -= 1
        return events[start:]

    def read_after(self, cursor: int) -> list[Event] | None:
        """The events after `cursor`, oldest first, up to BATCH_BYTES of them; None where there is a gap."""
        events = self.events
        if len(events) > 1 and events[-2].seq <= cursor < self.last_seq:
            return events[-1:]  # nearly always the newest is all that is missing
        if cursor < self.floor_seq:
            return None
        batch = self.after(cursor)
        return batch if len(batch) <= _SURE_EVENTS else cut_batch(batch)

    def depth_after(self, cursor: int) -> int:
        """How many events stand after `cursor` in this window."""
        return sum(1 for event in self.events if event.seq > cursor)

    @property
    def size_bytes(self) -> int:
        """What the events here hold, as if nobody shared them."""
        return size_of(self.events)


Offer = Callable[[Reader, list[Event], int], None]
"""What is to be done with a reader that is not written to by `hand_out`: the run, and `before`, as `Reader.take` has them."""
Failed = Callable[[Reader, Exception], None]


def hand_out(
    run: list[Event], mailboxes: Iterable[Mailbox], bounds: Bounds, offer: Offer, failed: Failed
) -> None:
    """Put `run`, newer than anything there, into `mailboxes`, and write it to each sole reader that has a pipe and all before it.

    `bounds` are those of each mailbox. It is `Mailbox.extend` for each in one loop and then a write in another, without a call of
    Python: this is done for each friend of each sender, on memory that the caches have lost since
    (`docs/design/followers.md`). In two rounds, since a write takes the caches from whatever stands between it and the next.
    """
    first, last, alone, more_places = run[0], run[-1].seq, len(run) == 1, bounds.more_places(run)
    max_events = bounds.max_events
    readers: list[Reader] = []
    pipes: list[Pipe] = []
    for mailbox in mailboxes:
        before, mailbox.last_seq = mailbox.last_seq, last
        events = mailbox.events
        if alone:
            events.append(first)
        else:
            events += run
        if more_places:
            mailbox.more_places += more_places
        if len(events) + mailbox.more_places > max_events:
            mailbox.evict(bounds)
            # A run larger than the mailbox has pushed out its own beginning: what is left follows the floor.
            before = max(before, mailbox.floor_seq)
        reader = mailbox.sole
        # The very same integer, as it nearly always is; equal ones are for `take`.
        if reader is None or reader.cursor is not before or (pipe := reader.pipe) is None:
            for reader in mailbox.readers:
                offer(reader, run, before)
        else:
            readers.append(reader)
            pipes.append(pipe)
    _write(run, readers, pipes, failed)


def _write(
    run: list[Event], readers: Sequence[Reader], pipes: Sequence[Pipe], failed: Failed
) -> None:
    """Write `run` to each of `readers` by its pipe, and move its cursor."""
    frames: Framing | None = None
    last, data, data_bytes = run[-1].seq, b"", 0
    for reader, pipe in zip(readers, pipes, strict=True):
        if frames is not reader.frames and (frames := reader.frames) is not None:
            data_bytes = len(data := frames.of(run))
        try:
            sent = pipe.send(data)
        except OSError:
            sent = 0  # no room, or nobody there: whoever waits for room finds out
        reader.cursor = last
        if sent != data_bytes:
            _keep(reader, data, sent, failed)


def _keep(reader: Reader, data: bytes, sent: int, failed: Failed) -> None:
    try:
        reader.keep(data, sent)
    except Exception as error:
        failed(reader, error)


def size_of(events: Sequence[Event]) -> int:
    """What `events` hold in memory."""
    if len(events) == 1:  # nearly always
        return len(events[0].payload) + EVENT_BYTES
    return sum([len(event.payload) for event in events]) + EVENT_BYTES * len(events)


def cut_batch(batch: list[Event]) -> list[Event]:
    """The beginning of `batch` that is within BATCH_BYTES of payload; one event at least, if there is one."""
    if sum([len(event.payload) for event in batch]) <= BATCH_BYTES:
        return batch  # nearly always
    size = 0
    for at, event in enumerate(batch):
        size += len(event.payload)
        if size > BATCH_BYTES and at:
            return batch[:at]
    return batch
