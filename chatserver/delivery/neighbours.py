"""The other nodes, as this floor knows them: whose users are where, and which client has moved on to another node.

Each node beats once a second and says how many users it has and the hash of them all: who knows others asks for the whole
list. A node that is silent for LOST_S is gone. A client's newest reader ends its older ones wherever they are; what orders
the two is a stamp that grows with all that is heard (L. Lamport, "Time, Clocks, and the Ordering of Events", 1978), so
no clock of a host has to be right.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar, Protocol, cast

from chatserver.core import vocabulary
from chatserver.core.bounded import Bounded
from chatserver.core.errors import SUPERSEDED, TOO_MANY
from chatserver.core.events import Signal
from chatserver.core.everywhere import Count, Everywhere
from chatserver.core.hub import Hub
from chatserver.core.mailbox import Mailbox, Reader
from chatserver.delivery.clockwork import Clocks
from chatserver.delivery.elsewhere import Elsewhere, Named, names

log = logging.getLogger(__name__)

BEAT_S = 1.0
LOST_S = 8.0
"""Silent for so long, a node is taken for gone; with the grace its users leave within 30 s."""
WHOLE_PART = 5000
"""Users in one piece of the whole list: some 100 KB, far below the 1 MB that NATS takes at once."""
WHOLE_APART_S = 0.5
"""The whole list is said once for all who ask at about the same time."""
KEPT_S = 5.0
"""So long typing is kept for a client whose poll comes to this node next: the page shows it no longer."""
KEPT_SIGNALS = 1000
HANDED_REMEMBERED = 10_000
"""Clients that were handed their signals by another node in the last moment."""


class Talk(Protocol):
    """What of `journal.nats_signals.Talk` is needed here."""

    node_id: str

    def on(self, kind: str, heard: Callable[[str, Sequence[Any]], None]) -> None: ...

    def say(self, kind: str, *fields: Any) -> None: ...


class Moving(Reader, Protocol):
    """A reader whose client may turn up at another node."""

    mailbox: Mailbox
    client: str
    is_stream: ClassVar[bool]
    stamp: int

    def moved(self) -> None:
        """The client polls at another node now."""
        ...

    def offered_elsewhere(self) -> None:
        """Another node has handed the client what waits here."""
        ...


class Alone:
    """The neighbours of the only node: none."""

    several = False

    def attached(self, reader: Moving) -> None: ...

    def polled(self, reader: Moving) -> None: ...

    def detached(self, reader: Moving) -> None: ...

    def handed(self, reader: Moving) -> None: ...

    def keep(self, signal: Signal, to: str | None) -> None: ...

    def catch_up(self, reader: Moving) -> None: ...

    def turn(self, now_s: float) -> None: ...

    def leave(self) -> None: ...


class Neighbours:
    """The other nodes."""

    several = True
    """Whether the next poll of a client may come to another node."""

    def __init__(
        self,
        talk: Talk,
        hub: Hub,
        presence: Everywhere,
        clocks: Clocks,
        readers_max: int,
    ) -> None:
        self._talk = talk
        self._hub = hub
        self._presence = presence
        self._clock_s, self._clock_ms = clocks.monotonic_s, clocks.now_ms
        presence.announce = partial(talk.say, "presence")
        self._elsewhere = Elsewhere(readers_max)
        self._stamp = 0
        self._beat_s = self._whole_s = float("-inf")
        self._heard_s: dict[str, float] = {}
        self._pieces: dict[str, list[str]] = {}
        self._kept: deque[tuple[float, Signal, str | None]] = deque(maxlen=KEPT_SIGNALS)
        self._handed: Bounded[tuple[str, str], float] = Bounded(HANDED_REMEMBERED)
        for kind, heard in (
            ("beat", self._heard_beat),
            ("presence", self._heard_presence),
            ("ask", self._heard_ask),
            ("whole", self._heard_whole),
            ("leave", self._heard_leave),
            ("attach", self._heard_attach),
            ("readers", self._heard_readers),
            ("handed", self._heard_handed),
        ):
            talk.on(kind, heard)

    def __len__(self) -> int:
        """How many other nodes there are."""
        return len(self._heard_s)

    # What this node says.

    def turn(self, now_s: float) -> None:
        """Beat when it is time, and give up who was silent for too long."""
        if now_s - self._beat_s >= BEAT_S:
            self._beat_s = now_s
            self._talk.say("beat", self._stamp, *self._presence.count())
        for node_id in [n for n, at_s in self._heard_s.items() if now_s - at_s > LOST_S]:
            log.warning("node %s is silent: its users are taken for gone", node_id)
            self._lose(node_id)

    def leave(self) -> None:
        """This node goes: its users have the grace to come back by another one."""
        self._talk.say("leave")

    def attached(self, reader: Moving) -> None:
        """A reader is here: its client's readers elsewhere are older, and all of its user's are counted."""
        self._say_attach(reader, new=True)

    def polled(self, reader: Moving) -> None:
        """A client that was here has polled again: its readers elsewhere are older."""
        if reader.client:
            self._say_attach(reader, new=False)

    def _say_attach(self, reader: Moving, new: bool) -> None:
        self._stamp = max(self._stamp + 1, self._clock_ms())
        reader.stamp = self._stamp
        where = (reader.mailbox.user_id, reader.client)
        own = self._own(reader.mailbox.user_id) if new else None
        self._talk.say("attach", *where, reader.is_stream, self._stamp, own)

    def detached(self, reader: Moving) -> None:
        """A reader has gone."""
        user_id = reader.mailbox.user_id
        if self._elsewhere.is_known(user_id):
            own = self._own(user_id)
            self._talk.say("readers", user_id, own)
            if not own:
                self._elsewhere.forget_user(user_id)

    def _own(self, user_id: str) -> list[Named]:
        mailbox = self._hub.mailbox(user_id)
        return [] if mailbox is None else names(self._talk.node_id, cast(Any, mailbox.readers))

    def handed(self, reader: Moving) -> None:
        """The signals that waited for a polling client leave with an answer of this node."""
        if reader.client:
            self._talk.say("handed", reader.mailbox.user_id, reader.client)

    # What is kept for clients that poll here next.

    def keep(self, signal: Signal, to: str | None) -> None:
        """A signal of somebody who is writing passed by."""
        if signal.type == "typing":
            self._kept.append((self._clock_s(), signal, to))

    def catch_up(self, reader: Moving) -> None:
        """Offer a polling client that was not here before what passed while it was between two nodes."""
        now_s, mailbox = self._clock_s(), reader.mailbox
        handed_s = self._handed.get((mailbox.user_id, reader.client)) or float("-inf")
        for at_s, signal, to in self._kept:
            fresh = at_s > now_s - KEPT_S and at_s > handed_s
            if fresh and signal.about in mailbox.friends and to in (None, mailbox.user_id):
                reader.offer(signal)

    # What it hears.

    def _heard_beat(self, node_id: str, fields: Sequence[Any]) -> None:
        stamp, users, hashed = fields
        self._stamp = max(self._stamp, stamp)
        self._heard_s[node_id] = self._clock_s()
        if not self._presence.agrees(node_id, Count(users, hashed)):
            self._talk.say("ask", node_id)

    def _heard_presence(self, node_id: str, fields: Sequence[Any]) -> None:
        user_id, online = fields
        self._heard_s[node_id] = self._clock_s()
        self._announce(self._presence.heard(node_id, user_id, online))

    def _heard_ask(self, node_id: str, fields: Sequence[Any]) -> None:
        now_s = self._clock_s()
        if fields[0] != self._talk.node_id or now_s - self._whole_s < WHOLE_APART_S:
            return
        self._whole_s = now_s
        users = sorted(self._presence.online())
        for at in range(0, max(1, len(users)), WHOLE_PART):
            last = at + WHOLE_PART >= len(users)
            self._talk.say("whole", at, last, users[at : at + WHOLE_PART])

    def _heard_whole(self, node_id: str, fields: Sequence[Any]) -> None:
        at, last, users = fields
        known = self._pieces.pop(node_id, []) if at else []
        if len(known) != at:
            return  # a part was lost: the next beat has it asked for again
        known += users
        if last:
            self._heard_s[node_id] = self._clock_s()
            self._announce(self._presence.heard_whole(node_id, known))
        else:
            self._pieces[node_id] = known

    def _heard_leave(self, node_id: str, fields: Sequence[Any]) -> None:
        self._lose(node_id)

    def _lose(self, node_id: str) -> None:
        self._heard_s.pop(node_id, None)
        self._pieces.pop(node_id, None)
        self._elsewhere.forget_node(node_id)
        self._presence.lost(node_id, self._clock_s())

    def _announce(self, changes: Sequence[tuple[str, bool]]) -> None:
        now_ms = self._clock_ms()
        for user_id, online in changes:
            self._hub.signal(vocabulary.presence(user_id, online, now_ms), None)

    def _heard_attach(self, node_id: str, fields: Sequence[Any]) -> None:
        user_id, client, is_stream, stamp, named = fields
        self._stamp = max(self._stamp, stamp)
        for reader in self._readers(user_id, client) if client else ():
            if (reader.stamp, self._talk.node_id) < (stamp, node_id):
                if is_stream:
                    reader.end(SUPERSEDED)
                else:
                    reader.moved()

        if named is None:
            self._elsewhere.seen(node_id, user_id, client, stamp)
        elif own := self._own(user_id):
            self._talk.say("readers", user_id, own)
            self._count(node_id, user_id, named)

    def _heard_readers(self, node_id: str, fields: Sequence[Any]) -> None:
        user_id, named = fields
        if self._own(user_id):
            self._count(node_id, user_id, named)

    def _count(self, node_id: str, user_id: str, named: Sequence[Named]) -> None:
        self._elsewhere.heard(node_id, user_id, named)
        own = self._own(user_id)
        gone = self._elsewhere.too_many(user_id, own)
        mailbox = self._hub.mailbox(user_id)
        if gone and mailbox is not None:
            readers: list[Any] = list(mailbox.readers)
            for reader, (name, _) in zip(readers, own, strict=True):
                if name in gone:
                    reader.end(TOO_MANY)

    def _heard_handed(self, node_id: str, fields: Sequence[Any]) -> None:
        user_id, client = fields
        self._handed.put((user_id, client), self._clock_s())
        for reader in self._readers(user_id, client):
            reader.offered_elsewhere()

    def _readers(self, user_id: str, client: str) -> list[Any]:
        mailbox = self._hub.mailbox(user_id)
        readers: Sequence[Any] = () if mailbox is None else mailbox.readers
        return [reader for reader in readers if reader.client == client]
