"""A reader with an open connection (WebSocket, Server-Sent Events): it greets, takes, pulls, mends and ends.

Its cursor is the seq of the last event that it handed to its outlet. What is new is taken at once where nothing is
missing and nothing waits; in every other case it pulls at the flush. Both move the same cursor, so there is no
hand-over between the two.
"""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from typing import ClassVar

from chatserver.core import vocabulary
from chatserver.core.errors import SESSION_EXPIRED, TOO_SLOW, Ending, Unavailable
from chatserver.core.events import Event
from chatserver.core.mailbox import Mailbox
from chatserver.core.people import User
from chatserver.core.tallies import PREFIX as LAB
from chatserver.delivery.catchup import Missed
from chatserver.delivery.delivery import Delivery
from chatserver.http.admission import Arrival
from chatserver.transports.encoding import Encoding
from chatserver.transports.outlet import NOWHERE, Outlet
from chatserver.transports.reader import ALL_COMINGS, Reader, Stage, run_on

log = logging.getLogger(__name__)

MEND_AGAIN_S = 1.0
"""How long a reader waits before it asks again for what the journal could not give it."""

WAITING_S = 5.0
"""How soon a stream is looked at again that could not be sent a heartbeat."""

OPEN = Stage.OPEN


class StreamReader(Reader):
    """A reader with an open connection. The subclass knows how things look on the wire."""

    __slots__ = ("_drained", "outlet")

    is_stream = True

    encoding: ClassVar[Encoding]
    """How events and signals look on this transport."""

    def __init__(self, delivery: Delivery, arrival: Arrival, mailbox: Mailbox) -> None:
        super().__init__(delivery, arrival.login, mailbox, arrival.client)
        self.knows = ALL_COMINGS
        if not arrival.client.startswith(LAB):
            self.frames = self.encoding
        self._drained: asyncio.Future[None] | None = None
        self.outlet: Outlet = NOWHERE
        """Where its bytes go; `NOWHERE` before there is a connection and after it is gone."""

    def connected(self, outlet: Outlet) -> None:
        """Its bytes go there from now on. They are counted where they are a client's of the laboratory, which has no pipe: nobody counts
        what goes by that."""
        self.outlet = outlet
        if self.frames is None:
            outlet.count_bytes()

    @abstractmethod
    def framed(self, payload: bytes, seq: int | None) -> bytes:
        """The bytes of a payload that is for this connection alone."""

    @abstractmethod
    def farewell(self, ending: Ending) -> bytes:
        """What is sent before the end."""

    @abstractmethod
    def beat(self, now_s: float) -> float | None:
        """Send a heartbeat; seconds until the next, None where the peer turned out to be gone."""

    # Joining.

    async def join(self, user: User, after: int | None) -> None:
        """Greet, then read from `after` on (None: from the present). The reader is attached, the outlet there."""
        missed = self.delivery.catchup.at_once(self.mailbox, after)
        if missed is None:
            assert after is not None, "nothing is missed from the present on"
            self.cursor = after
            missed = await self._until_known(after)
            if missed is None:
                return
        self.greet(user, after, missed)

    def greet(self, user: User, after: int | None, missed: Missed) -> None:
        """As `join`, where is known what was `missed`."""
        delivery = self.delivery
        self.cursor = delivery.hub.head_seq if after is None else after
        lost = missed.reason
        resumed = after is not None and lost is None
        hello = vocabulary.hello(user, self.cursor, delivery.limits.heartbeat_s, resumed)
        presence = delivery.attendance.whole(self.mailbox)
        self.knows = delivery.attendance.comings
        data = self.framed(hello, None) + self.framed(presence.payload, None)
        if lost is None:
            if missed.events:
                data += self.encoding.of(missed.events)
            self.cursor = missed.position
        self.outlet.send(data)
        if lost is not None:
            self._reset(lost)
        self.enter(OPEN)
        self.greeted()
        if self.cursor < self.mailbox.floor_seq:
            self.enter(Stage.MENDING)  # what is missing is there, as was asked just now
            run_on(self._mend(known=True))
        elif self.signals or not self.has_everything:
            delivery.hub.mark(self)
        delivery.clockwork.look_after(self, self._next_visit_s(delivery.limits.heartbeat_s))

    async def _until_known(self, after: int) -> Missed | None:
        """What was missed since `after`, asked again while the journal cannot say; None where the reader has gone."""
        joins = self.delivery.joins
        while True:
            try:
                missed = await self.delivery.catchup.missed(self.mailbox, after)
                return missed if self.attached else None
            except Unavailable:
                if not self.attached:
                    return None
            self.outlet.send(
                b""
            )  # the answer to the handshake does not wait for the journal to come back
            joins.leave()  # nor does anybody else who joins
            try:
                await asyncio.sleep(MEND_AGAIN_S)
            finally:
                await joins.enter_again()

    def greeted(self) -> None:
        """The hello is on its way: from now on the client may be answered."""

    # Reading.

    def make_room(self) -> None:
        if not self.outlet.waits:
            self.flush()

    def take(self, run: list[Event], before: int) -> bool:
        """Write `run` at once, where it is exactly what comes next and nothing waits; then the next may take the pipe."""
        if self.stage is OPEN and before <= self.cursor < run[0].seq:
            outlet = self.outlet
            if not outlet.waits:
                outlet.send(self.encoding.of(run))
                self.cursor = run[-1].seq
                if self.frames is not None:
                    self.pipe = outlet.pipe
                return True
        return False

    def keep(self, data: bytes, sent: int) -> None:
        """The pipe took only a part: the rest waits."""
        self.outlet.keep(data, sent)

    def cork(self, data: bytes) -> None:
        """Have `data` leave with what is written next."""
        self.outlet.cork(data)
        if self.pipe is not None:
            self.frames = self  # or the pipe would go past it

    def of(self, events: list[Event]) -> bytes:
        """How `events` look on its pipe behind what is corked (`Framing`)."""
        self.frames = self.encoding
        return self.outlet.uncork() + self.encoding.of(events)

    @property
    def has_everything(self) -> bool:
        """Whether the next run will be taken, as far as this reader goes."""
        return self.stage is OPEN and self.cursor >= self.mailbox.last_seq

    def flush(self) -> None:
        """Write the backlog as one write; go on when it has left."""
        outlet = self.outlet
        if not self.attached:
            return
        if self.stage is not OPEN or outlet.waits:
            outlet.send(b"")  # what is corked does not depend on how far the reader is
            return
        batch = self.mailbox.read_after(self.cursor)
        if batch is None:
            self.enter(Stage.MENDING)
            outlet.send(b"")
            run_on(self._mend())
            return
        data = b""
        if batch:
            self.cursor = batch[-1].seq
            data = self.encoding.of(batch)
        if self.signals:
            data += self.encoding.of_signals(self.take_signals())
        outlet.send(data)
        if self.mailbox.last_seq > self.cursor:
            self.delivery.hub.mark(self)

    async def _mend(self, known: bool = False) -> None:
        """Replay what has left the mailbox, page by page, or reset; `known` not to have left the journal."""
        while self.attached:
            try:
                await self._replay(known)
                break
            except Unavailable:
                known = False
                await asyncio.sleep(MEND_AGAIN_S)
        if self.attached:
            self.enter(OPEN)
            self.delivery.hub.mark(self)

    async def _replay(self, known: bool) -> None:
        catchup, joins = self.delivery.catchup, self.delivery.joins
        if not known:
            async with joins:
                missed = await catchup.missed(self.mailbox, self.cursor)
            if missed.reason is not None:
                if self.attached:
                    self._reset(missed.reason)
                return
            await self._write_page(missed.events, missed.position)
        while self.attached and self.cursor < self.mailbox.floor_seq:
            async with joins:  # not while the peer takes its time
                events, position = await catchup.page(self.mailbox, self.cursor)
            await self._write_page(events, position)

    async def _write_page(self, events: list[Event], position: int) -> None:
        if not self.attached:
            return
        if events:
            self.outlet.send(self.encoding.of(events))
            await self._until_drained()
        self.cursor = position

    async def _until_drained(self) -> None:
        if self.outlet.waits:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained
            self._drained = None

    def _reset(self, reason: str) -> None:
        seq, payload = self.delivery.catchup.reset(reason)
        self.cursor = seq
        self.outlet.send(self.framed(payload, seq))

    # The connection's own events.

    def clogged(self) -> None:
        """Something has to wait: nothing goes past it."""
        self.pipe = None

    def drained(self) -> None:
        """The outlet has sent everything: go on."""
        self._wake()
        if self.attached and not self.dirty:
            self.delivery.hub.mark(self)

    def stuck(self) -> None:
        """The peer takes nothing."""
        log.info("closing a %s reader that takes nothing", self.transport)
        self.end(TOO_SLOW)

    def connection_lost(self) -> None:
        """The connection is gone."""
        self._wake()
        self._leave()
        up, down = self.live_bytes()
        user_id = self.mailbox.user_id
        self.delivery.tallies.count(user_id, self.client, self.transport, up=up, down=down)
        self.outlet = NOWHERE
        self.frames = None  # it may be this very reader

    def _wake(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def cut(self) -> None:
        """Break the connection without a word."""
        self.outlet.abort()

    def live_bytes(self) -> tuple[int, int]:
        """What went over the connection since it was taken over, where that is counted."""
        return (self.outlet.bytes_up, self.outlet.bytes_down)

    def end(self, ending: Ending) -> None:
        """Tell the client and close."""
        if self.stage is Stage.ENDED:
            return
        self._leave()
        self.outlet.send(self.farewell(ending))
        self.outlet.close_soon()

    def _leave(self) -> None:
        if self.stage is not Stage.ENDED:
            self.enter(Stage.ENDED)
            self.delivery.readers.detach(self)

    # The clock.

    def visit(self, now_s: float) -> float | None:
        """Heartbeat; end an expired login."""
        if not self.attached:
            return None
        expires_at = self.delivery.readers.logins.expires_at(self.login.id)
        if expires_at is not None and expires_at <= self.delivery.clockwork.clock_ms():
            self.end(SESSION_EXPIRED)
            return None
        if self.outlet.waits:
            return self._next_visit_s(WAITING_S)  # a heartbeat would only wait, too
        in_s = self.beat(now_s)
        return None if in_s is None else self._next_visit_s(in_s)

    def _next_visit_s(self, in_s: float) -> float:
        expires_at = self.delivery.readers.logins.expires_at(self.login.id)
        if expires_at is None:
            return in_s
        return max(0.0, min(in_s, (expires_at - self.delivery.clockwork.clock_ms()) / 1000))
