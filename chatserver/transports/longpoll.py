"""Long-polling and polling: `GET /poll`.

A poll comes over a `pollconnection.PollConnection`, past Tornado's handlers (`docs/design/polls.md`). A client that
names itself has a `PollReader` between its polls too, which keeps its signals; events need no keeping, they
are in the mailbox.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from tornado.routing import URLSpec

from chatserver.core.errors import BadRequest, ChatError, RateLimited
from chatserver.core.events import Event, Signal
from chatserver.core.mailbox import BATCH_BYTES, Mailbox
from chatserver.core.people import Login
from chatserver.core.tallies import request_bytes
from chatserver.delivery.catchup import Missed
from chatserver.delivery.delivery import Delivery
from chatserver.delivery.newcomers import go_on
from chatserver.delivery.tolls import POLL
from chatserver.http.admission import Admission, Ask, check_whose
from chatserver.http.handlers import StreamHandler
from chatserver.http.house import House
from chatserver.transports.pollanswer import PollAnswers, PollEncoding, items, refusal, whole
from chatserver.transports.pollreader import PollReader, find
from chatserver.transports.pollrequest import PollRequest
from chatserver.transports.reader import ALL_COMINGS, run_on

LONG_S = 10.0
"""A wait from here on ends at a visit of the clockwork, a second late at the most; a shorter one by a timer of its own,
which costs as much as admitting a poll."""

JITTER = 0.1
"""By so much of itself, at most, a wait is shortened: or all who came together come back together."""


_encoding = PollEncoding()


class Poll:
    """One poll, from its headers to its answer."""

    __slots__ = (
        "_admission",
        "_after",
        "_connection",
        "_delivery",
        "_reader",
        "_request",
        "_timer",
        "ends_s",
        "waiting",
    )

    def __init__(
        self,
        connection: PollAnswers,
        request: PollRequest,
        admission: Admission,
        delivery: Delivery,
    ) -> None:
        self._connection: PollAnswers | None = connection
        self._request = request
        self._admission = admission
        self._delivery = delivery
        self._reader: PollReader | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._after = request.after
        self.waiting = False
        self.ends_s = 0.0
        """When it is answered at the latest, while it waits."""

    def begin(self) -> None:
        """Have it paid, admit, find the mailbox, and answer or wait."""
        connection, request, delivery = self._connection, self._request, self._delivery
        assert connection is not None
        try:
            login = self._admission.charge_known(request.bearer.brought, POLL)
            if login is None:
                connection.charge(request)
        except RateLimited as error:
            connection.rest(request)
            self._refuse(error)
            return
        reader, draining = request.reader, delivery.readers.draining
        if reader is not None and reader.login is login and reader.attached and not draining:
            # Let in by the same login before; and what is attached is its client's only reader, on its user's open mailbox.
            if delivery.neighbours.several:
                delivery.neighbours.polled(reader)
            self._go_on(reader)
        else:
            self._come_in(login)

    def _come_in(self, login: Login | None) -> None:
        """Admit whoever asks, find their mailbox, and answer or wait."""
        request, delivery = self._request, self._delivery
        try:
            ask = request.ask
            if ask is None:
                ask = request.read(self._admission, delivery.limits)
            else:
                delivery.readers.refuse_while_draining()
            self._after = request.after
            if ask.whose is not None and login is not None:
                check_whose(ask, login)
        except ChatError as error:
            self._refuse(error)
            return
        mailbox = None if login is None else delivery.hub.mailbox(login.user_id)
        if login is not None and mailbox is not None:
            follow = self._begin(login, mailbox)
            if follow is not None:
                follow()
        elif delivery.joins.try_enter():
            self._admission.look_up(ask, partial(self._found, ask), is_new=True)
        else:
            run_on(self._wait_for_room(ask))

    def connection_lost(self) -> None:
        """The client has gone."""
        self._connection = None
        reader, delivery = self._reader, self._delivery
        if reader is not None:
            reader.due_s = delivery.clockwork.clock_s() + delivery.limits.offline_grace_s
        self._end(b"")
        if reader is not None:
            delivery.readers.poll_left(reader.mailbox)

    # Joining.

    def _found(self, ask: Ask, login: Login | None) -> Callable[[], None] | None:
        """Go on where whoever asks is in memory now, and ask for anybody else alone."""
        follow = None
        try:
            arrival = self._admission.arrival(ask, login)
            mailbox = None if arrival is None else self._delivery.hub.mailbox(arrival.user.id)
        except ChatError as error:
            self._refuse(error)
        else:
            if arrival is None or mailbox is None:
                run_on(self._look_up_alone(ask))
                return None
            follow = self._begin(arrival.login, mailbox)
        self._delivery.joins.leave()
        return follow

    async def _wait_for_room(self, ask: Ask) -> None:
        await self._delivery.joins.enter()
        await self._look_up_alone(ask)

    async def _look_up_alone(self, ask: Ask) -> None:
        """The rest of a join that has begun."""
        try:
            arrival = await self._admission.admit(ask)
            mailbox = await self._delivery.mailboxes.open(arrival.user.id)
            go_on(partial(self._begin, arrival.login, mailbox))
        except ChatError as error:
            self._refuse(error)
        finally:
            self._delivery.joins.leave()

    def _begin(self, login: Login, mailbox: Mailbox) -> Callable[[], None] | None:
        """Take a reader, and answer or wait; a first poll is answered by what is returned."""
        if self._connection is None:
            return None
        delivery, request = self._delivery, self._request
        try:
            reader = self._take_reader(login, mailbox)
        except ChatError as error:
            self._refuse(error)
            return None
        self._connection.sign_in(mailbox.user_id)
        if reader.client:
            request.reader = reader
        self._go_on(reader)
        if self._after is None:
            self._after, reader.knows = delivery.hub.head_seq, ALL_COMINGS
            return partial(self._greet, reader)
        return None

    def _go_on(self, reader: PollReader) -> None:
        """Be the poll of this reader, and answer or wait; a first poll does neither yet."""
        delivery, request, after = self._delivery, self._request, self._after
        if reader.request is not None:
            older, reader.request = reader.request, None
            older.answer((), ())
        now_s, wait_s = delivery.clockwork.clock_s(), request.wait_s
        reader.due_s = now_s + wait_s + delivery.limits.offline_grace_s
        reader.request, self._reader = self, reader
        delivery.attendance.polled(reader.mailbox.user_id, wait_s)
        if after is None:
            return
        reader.cursor = after
        self.waiting = True
        # As `try_answer` finds it; nearly always there is nothing yet.
        if not reader.mailbox.last_seq <= after <= delivery.hub.head_seq or reader.signals:
            self.try_answer()
            if not self.waiting:
                return
        self._park(reader, now_s)

    def _greet(self, reader: PollReader) -> None:
        """Answer a first poll with the whole presence."""
        attendance = self._delivery.attendance
        reader.knows = attendance.comings
        if self._connection is not None:
            reader.take_signals()  # the whole presence stands for them
            self.answer((), (attendance.whole(reader.mailbox),))

    def _take_reader(self, login: Login, mailbox: Mailbox) -> PollReader:
        """The reader of this client, with this poll as its request. Raises as `Readers.attach`."""
        delivery, client, wait_s = self._delivery, self._request.client, self._request.wait_s
        reader = find(mailbox, client) if client else None
        if reader is None:
            reader = PollReader(delivery, login, mailbox, client)
            # A client without a name is only known while its poll waits.
            if client or wait_s > 0:
                delivery.readers.attach(reader)
                reader.look_after(wait_s * (1 - JITTER))
                delivery.neighbours.catch_up(reader)
                if client and self._after and self._after <= delivery.hub.began_seq:
                    reader.owed_presence = True  # what it knows is what the process before has said
            else:
                delivery.readers.refuse_ended(login)
        else:
            # What ends a login ends its readers: the very same one counts.
            if reader.login is not login:
                delivery.readers.change_login(reader, login)
            if delivery.neighbours.several:
                delivery.neighbours.polled(reader)
        return reader

    def _park(self, reader: PollReader, now_s: float) -> None:
        # Everything up to here was in the turn in which the cursor was compared: nothing falls between.
        wait_s = self._request.wait_s * (1 - JITTER * random.random())
        self.ends_s = ends_s = now_s + wait_s
        if wait_s <= 0:
            self.time_is_up()
        elif wait_s < LONG_S or reader.visit_s > ends_s:
            self._timer = asyncio.get_running_loop().call_later(wait_s, self.time_is_up)

    # Answering.

    def time_is_up(self) -> None:
        """Answer with what there is, if anything."""
        reader = self._reader
        self.answer((), () if reader is None else reader.take_signals())

    def try_answer(self) -> None:
        """Answer if there is anything after the cursor, or a signal."""
        reader, after = self._reader, self._after
        assert reader is not None and after is not None
        known = after <= self._delivery.hub.head_seq
        batch = reader.mailbox.read_after(after) if known else None
        if batch is None:
            missed = self._delivery.catchup.at_once(reader.mailbox, after)
            if missed is None:
                self._mind_gap(reader, after)
            else:
                self._answer_missed(reader, missed)  # or it waits on
        elif batch and not reader.signals and not reader.owed_presence:
            # Nearly always events alone; the same for all whom one message wakes.
            request = self._request
            newest_seq = reader.mailbox.last_seq
            self._end(_encoding.of(batch, newest_seq, request.wait_s, request.lines))
        elif batch or reader.signals:
            self.answer(batch, reader.take_signals())

    def _mind_gap(self, reader: PollReader, after: int) -> None:
        self.waiting = False
        run_on(self._answer_gap(reader, after))

    async def _answer_gap(self, reader: PollReader, after: int) -> None:
        """What the mailbox does not reach: replayed from the journal, a page at a time, or reset."""
        try:
            async with self._delivery.joins:
                catchup = self._delivery.catchup
                missed = await catchup.missed(reader.mailbox, after)
                if missed.reason is None and missed.position == after:
                    missed = Missed(None, *await catchup.page(reader.mailbox, after))
        except ChatError as error:
            self._refuse(error)
            return
        if not self._answer_missed(reader, missed) and self._connection is not None:
            self.waiting = True
            self._park(reader, self._delivery.clockwork.clock_s())

    def _answer_missed(self, reader: PollReader, missed: Missed) -> bool:
        """Answer with what was missed; False where nothing of it concerned this user: the poll goes on from its position."""
        if missed.reason is not None:
            seq, payload = self._delivery.catchup.reset(missed.reason)
            self._write(seq, (payload,), False)
            return True
        if self._connection is None:
            return True
        events, position = missed.events, missed.position
        # What the replay has led up to, the mailbox goes on with: one answer, if it is not too much.
        rest = reader.mailbox.read_after(position)
        fits = sum(len(event.payload) for event in (*events, *(rest or ()))) <= BATCH_BYTES
        if rest and (fits or not events):
            events = [*events, *rest]
        if events or reader.signals:
            self.answer(events, reader.take_signals())
        elif rest is None:
            self._mind_gap(reader, position)
        else:
            self._after = reader.cursor = position
            return False
        return True

    def answer(self, events: Sequence[Event], signals: Sequence[Signal]) -> None:
        """End the poll with these. Does nothing where it has ended."""
        reader, cursor, more = self._reader, self._after, False
        if reader is None:
            return
        assert cursor is not None
        if events:
            cursor = events[-1].seq
            more = reader.mailbox.last_seq > cursor
        payloads = [event.payload for event in events]
        payloads += [signal.payload for signal in signals]
        self._write(cursor, payloads, more)

    def _refuse(self, error: ChatError) -> None:
        status, data = refusal(error, self._request.lines)
        self._delivery.connections.answered(status)
        self._end(data)

    def _write(self, cursor: int, payloads: Iterable[bytes], more: bool) -> None:
        request = self._request
        self._end(whole(items(cursor, payloads, more, request.wait_s), request.lines))

    def _end(self, data: bytes) -> None:
        """Let go of the reader, and send `data` where the client is still there."""
        connection, reader, request = self._connection, self._reader, self._request
        self._connection = self._reader = None
        self.waiting = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if reader is not None and reader.request is self:
            reader.request = None
            if not reader.client:
                reader.leave()
        if connection is None:
            return
        if request.method == "HEAD":
            data = data[: data.index(b"\r\n\r\n") + 4]
        if request.counted:
            up = request_bytes(request.method, request.target, request.headers.get_all())
            user_id = "" if reader is None else reader.mailbox.user_id
            self._delivery.tallies.count(
                user_id, request.client, PollReader.transport, requests=1, up=up, down=len(data)
            )
        connection.respond(data)

    def cut(self) -> None:
        """Break the connection without a word."""
        if self._connection is not None:
            self._connection.cut()


class PollHandler(StreamHandler):
    """What asks for `/poll` and is no poll: another method, or a GET with a body."""

    methods = "GET, HEAD"

    def get(self) -> None:
        """Only what `site.dispatch` did not take comes here."""
        raise BadRequest("A poll has no body.")

    head = get


def routes(house: House) -> list[Any]:
    """The address of this transport, for what is no poll."""
    return [URLSpec(r"/poll", PollHandler, {"admission": house.admission})]
