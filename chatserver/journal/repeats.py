"""What stands in the stream a second time, although the stream is to refuse what it has already.

It knows an id for `stream.WINDOW_S`. A NATS that was frozen for longer forgets the ids at the moment in which it reads what had
waited in its sockets: what had been sent once more, since no answer came. So a message stood there twice, and everybody saw it
twice. What follows the stream asks here, and nobody hears of the second one.
"""

from __future__ import annotations

from dataclasses import replace

from chatserver.core.events import Event
from chatserver.core.kinds import NOTICE
from chatserver.journal.contract import Appended
from chatserver.journal.envelope import Placed

REMEMBERED = 10_000
"""The newest appends that are surely known: those of the last moments before it froze are what comes again, and a node
has a thousand messages on their way at the most. At twice as many, 8 MB."""

_Key = tuple[str, str | int]


class Repeats:
    """The newest appends of one message, and where each stands. For all that follows one stream in this process."""

    def __init__(self) -> None:
        self._newer: dict[_Key, tuple[int, int]] = {}
        self._older: dict[_Key, tuple[int, int]] = {}

    def marked(self, placed: Placed) -> Placed:
        """As it is, and remembered; a repeat with where the append stands `first`, and in the place of its event one that nobody
        sees and no store keeps."""
        if placed.of > 1:
            return placed  # it goes again only where nothing of it has happened
        event, key = placed.event, _key(placed)
        found = self._newer.get(key) or self._older.get(key)
        if found is None or found[0] > event.seq:
            if len(self._newer) >= REMEMBERED:
                self._older, self._newer = self._newer, {}
            self._newer[key] = (event.seq, event.at_ms)
        elif found[0] < event.seq:
            unseen = Event(
                event.seq, event.at_ms, NOTICE.name, NOTICE.to_all, event.actor, None, b""
            )
            return replace(placed, event=unseen, client_id=None, first=Appended(*found, True))
        return placed


def _key(placed: Placed) -> _Key:
    if placed.client_id is not None:
        return placed.event.actor, placed.client_id
    return placed.node, placed.number
