"""What the tests of delivery share: its rooms on a real store and journal, clocks that stand, readers that write down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import ClassVar

from chatserver.core.errors import Ending
from chatserver.core.events import Event, Signal
from chatserver.core.everywhere import Everywhere
from chatserver.core.limits import Limits
from chatserver.core.mailbox import Framing, Mailbox, Pipe
from chatserver.core.people import Login
from chatserver.core.presence import Presence
from chatserver.delivery.clockwork import Clocks
from chatserver.delivery.delivery import Delivery, furnish
from chatserver.delivery.fanout import Fanout
from chatserver.delivery.neighbours import Alone, Neighbours
from chatserver.delivery.readers import Readers
from chatserver.journal.local import LocalJournal
from chatserver.journal.nats_signals import Talk
from chatserver.journal.signals import LocalSignals
from chatserver.store.sqlite.store import SqliteStore
from chatserver.verbs.turns import Line, Turns
from tests.store.kit import SqliteHome, World, login

LIMITS = Limits(mailbox_events=16, replay_events=20, readers_per_user=3, offline_grace_s=10)


class Logins:
    """Which logins have ended, as the test says."""

    def __init__(self) -> None:
        self.ended: set[str] = set()

    def is_current(self, login: Login) -> bool:
        return login.id not in self.ended

    def expires_at(self, login_id: str) -> int | None:
        return 0 if login_id in self.ended else None


class Probe:
    """A reader that writes down what happens to it."""

    transport: ClassVar[str] = "probe"
    is_stream: ClassVar[bool] = True
    parked = False
    knows = 0

    def __init__(
        self, readers: Readers, mailbox: Mailbox, login_id: str = "l", client: str = ""
    ) -> None:
        self.readers = readers
        self.mailbox = mailbox
        self.login = login(login_id, mailbox.user_id)
        self.client = client
        self.due_s = 0.0
        self.attached = False
        self.dirty = False
        self.cursor = mailbox.last_seq
        self.pipe: Pipe | None = None
        self.frames: Framing | None = None
        self.got: list[int] = []
        self.signals: list[Signal] = []
        self.endings: list[Ending] = []
        self.cuts = 0
        self.visits: list[float] = []
        self.stamp = 0
        self.moves = 0
        self.offers_elsewhere = 0

    def take(self, run: list[Event], before: int) -> bool:
        if not before <= self.cursor < run[0].seq:
            return False
        self.got += [event.seq for event in run]
        self.cursor = run[-1].seq
        return True

    def keep(self, data: bytes, sent: int) -> None: ...

    def flush(self) -> None: ...

    def offer(self, signal: Signal) -> None:
        self.signals.append(signal)

    def end(self, ending: Ending) -> None:
        self.endings.append(ending)
        self.readers.detach(self)

    def cut(self) -> None:
        self.cuts += 1

    def moved(self) -> None:
        self.moves += 1

    def offered_elsewhere(self) -> None:
        self.offers_elsewhere += 1

    def visit(self, now_s: float) -> float | None:
        self.visits.append(now_s)
        return 1.0

    def live_bytes(self) -> tuple[int, int]:
        return (1, 2)


class PollProbe(Probe):
    """As `Probe`, of a client that polls."""

    is_stream = False


class Place(World):
    """The store, the journal and everything around the hub; `now_s` stands until the test moves it."""

    def __init__(
        self, home: SqliteHome, store: SqliteStore, limits: Limits, talk: Talk | None = None
    ) -> None:
        super().__init__(store, store.log, LocalJournal(store.log, home.clock), home.clock)
        self.now_s = 100.0
        self.logins = Logins()
        self.fanout = Fanout(limits, home.clock)
        self.hub = self.fanout.hub
        self.presence = Presence(limits.offline_grace_s)
        self.neighbours: Alone | Neighbours = Alone()
        clocks = Clocks(lambda: self.now_s, home.clock)
        if talk is not None:
            everywhere = self.presence = Everywhere(limits.offline_grace_s)
            self.neighbours = Neighbours(
                talk, self.hub, everywhere, clocks, limits.readers_per_user
            )
        signals = LocalSignals(self.hub.signal)
        self.delivery: Delivery = furnish(
            self.hub,
            (self.journal, signals),
            (store, Turns(100, Line(100, 100, 1000, "Too many."))),
            (self.logins, self.presence, self.neighbours),
            limits,
            clocks,
        )

    async def start(self) -> None:
        """Follow the journal, in the order in which the server does."""
        delivery = self.delivery
        followers = (delivery.readers.follow, self.fanout.follow, delivery.attendance.follow)
        await self.journal.start([self.batches.append, *followers])
        self.hub.head_seq = self.journal.head_seq

    async def reader(
        self, user: str, login_id: str = "l", client: str = "", stream: bool = True
    ) -> Probe:
        """A reader of this user, attached."""
        kind = Probe if stream else PollProbe
        mailbox = await self.delivery.mailboxes.open(user)
        probe = kind(self.delivery.readers, mailbox, login_id, client)
        self.delivery.readers.attach(probe)
        return probe


@asynccontextmanager
async def opened(
    folder: Path, limits: Limits = LIMITS, talk: Talk | None = None
) -> AsyncIterator[Place]:
    """A place with the accounts ann, bob and cho, closed at the end."""
    home = SqliteHome(folder)
    store = SqliteStore(folder, home.clock, busy_ms=300)
    await store.start()
    place = Place(home, store, limits, talk)
    try:
        await place.start()
        await place.join("ann", "bob", "cho")
        yield place
        await place.journal.close()
    finally:
        await store.close()
