"""The rooms of this floor together, for whoever attaches readers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from chatserver.core.hub import Hub
from chatserver.core.limits import Limits
from chatserver.core.presence import Presence
from chatserver.core.tallies import Tallies
from chatserver.delivery.attendance import Attendance, SeenKeeper
from chatserver.delivery.catchup import Catchup, Turns
from chatserver.delivery.clockwork import Clocks, Clockwork
from chatserver.delivery.connections import Connections
from chatserver.delivery.joins import Joins
from chatserver.delivery.mailboxes import FriendsSource, Mailboxes
from chatserver.delivery.neighbours import Alone, Neighbours
from chatserver.delivery.readers import LoginRules, Readers
from chatserver.journal.contract import Journal, Signals


class Source(FriendsSource, SeenKeeper, Protocol):
    """What of the store is needed on this floor."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a reader needs between its mailbox and its connection."""

    hub: Hub
    mailboxes: Mailboxes
    readers: Readers
    catchup: Catchup
    clockwork: Clockwork
    attendance: Attendance
    neighbours: Alone | Neighbours
    connections: Connections
    joins: Joins
    tallies: Tallies
    limits: Limits

    def start(self) -> None:
        """Set the clockwork going."""
        self.clockwork.start(
            self.attendance.expire,
            self.mailboxes.hibernate,
            self.neighbours.turn,
            self.readers.turn,
        )

    async def close(self) -> None:
        """Stop the clockwork and keep when the present users were last seen."""
        await self.clockwork.close()
        self.neighbours.leave()
        await self.attendance.close()


def furnish(
    hub: Hub,
    order: tuple[Journal, Signals],
    source: tuple[Source, Turns],
    people: tuple[LoginRules, Presence, Alone | Neighbours],
    limits: Limits,
    clocks: Clocks,
) -> Delivery:
    """The rooms around `hub`."""
    (journal, signals), (logins, presence, neighbours), (store, turns) = order, people, source
    clock_s, clock_ms = clocks.monotonic_s, clocks.now_ms
    clockwork = Clockwork(limits, clock_s, clock_ms)
    mailboxes = Mailboxes(hub, journal, store, limits.mailbox_linger_s, clock_s)
    joins = Joins(limits.joins)
    if neighbours.several:
        hub.may_signal = lambda: journal.fresh
    attendance = Attendance(presence, signals, store, clock_s, clock_ms, joins.crowded)
    attendance.is_news = hub.is_news
    return Delivery(
        hub=hub,
        mailboxes=mailboxes,
        readers=Readers(
            hub, mailboxes, attendance, clockwork, (logins, neighbours, journal), limits
        ),
        catchup=Catchup(hub, journal, limits.replay_events, turns, joins),
        clockwork=clockwork,
        attendance=attendance,
        neighbours=neighbours,
        connections=Connections(clockwork, limits),
        joins=joins,
        tallies=Tallies(),
        limits=limits,
    )
