"""The newest events of the order, in memory: who comes back soon has missed these alone, and no database is asked.

After a restart or a train's tunnel everybody comes back with a cursor of a moment ago. What lies between is mostly what others
have written to others, and to find out that nothing of it was for somebody took a way to the database and back for each.
Here it is found by who caused it, as by the index of the store; who may see what, `shows` says.
"""

from __future__ import annotations

from collections.abc import Sequence

from chatserver.core.changes import AccountEnd
from chatserver.core.events import MAX_SEQ, Event
from chatserver.core.mailbox import size_of
from chatserver.core.visibility import Viewer, shows

RECENT_EVENTS = 10_000
"""So many are kept at the most; read from the database at the start in some 20 ms."""
RECENT_BYTES = 4 * 1024 * 1024
"""And so much memory is held by them."""

LOOKED_AT = 1000
"""So many are looked at for one who comes back, in some 0.3 ms; where there are more the journal is asked."""


class Recent:
    """What was handed out last: everything after `floor_seq`. Nothing is known before `begin`."""

    def __init__(self) -> None:
        self.floor_seq = MAX_SEQ
        self._events: list[Event] = []
        self._bytes = 0
        # It grows when somebody asks: most events are missed by nobody, and each would cost its message some 0.3 µs.
        self._by_actor: dict[str, list[Event]] = {}
        self._indexed = 0

    def begin(self, events: Sequence[Event], floor_seq: int) -> None:
        """Begin with the newest events of the journal, which are all after `floor_seq`; what was followed since is kept."""
        followed = self._events
        first_seq = followed[0].seq if followed else MAX_SEQ
        self.forget(floor_seq)
        self.follow([event for event in events if event.seq < first_seq])
        self.follow(followed)

    def forget(self, floor_seq: int) -> None:
        """Know of nothing up to `floor_seq` any more."""
        self.floor_seq = floor_seq
        self._events, self._bytes = [], 0
        self._by_actor, self._indexed = {}, 0

    def follow(self, events: Sequence[Event]) -> None:
        """Remember these, which come next in the order."""
        for event in events:
            if event.change is not None and isinstance(event.change, AccountEnd):
                self.forget(events[-1].seq)  # the store keeps less of what was before
                return
        kept = self._events
        kept += events
        self._bytes += size_of(events)
        if len(kept) > RECENT_EVENTS or self._bytes > RECENT_BYTES:
            self._make_room()

    def _make_room(self) -> None:
        # A quarter at once, so that the index is not made anew too often.
        events = self._events
        gone = max(0, len(events) - RECENT_EVENTS * 3 // 4)
        left_bytes = self._bytes - size_of(events[:gone])
        while left_bytes > RECENT_BYTES * 3 // 4:
            left_bytes -= size_of(events[gone : gone + 1])
            gone += 1
        left = events[gone:]
        self.forget(events[gone - 1].seq)
        self._events, self._bytes = left, left_bytes

    def few(self, viewer: Viewer, after: int, up_to: int, most: int) -> list[Event] | None:
        """As `Journal.few`; None also where it is not all known here."""
        if after < self.floor_seq:
            return None
        if self._indexed < len(self._events):
            self._index()
        found, looked_at, by_actor = list[Event](), 0, self._by_actor
        for actor in (viewer.user_id, *viewer.friends):
            events = by_actor.get(actor)
            if events is None:
                continue
            at = len(events)
            while at and (event := events[at - 1]).seq > after:
                at -= 1
                if event.seq <= up_to and shows(
                    viewer, event.seq, event.audience, event.actor, event.to
                ):
                    found.append(event)
                looked_at += 1
                if looked_at > LOOKED_AT:
                    return None
        if len(found) > most:
            return None
        found.sort(key=_seq_of)
        return found

    def _index(self) -> None:
        by_actor = self._by_actor
        for event in self._events[self._indexed :]:
            by_actor.setdefault(event.actor, []).append(event)
        self._indexed = len(self._events)


def _seq_of(event: Event) -> int:
    return event.seq
