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
from typing import Any, Protocol

from tornado.httputil import HTTPHeaders
from tornado.routing import URLSpec

from chatserver.core import vocabulary
from chatserver.core.errors import BadRequest, ChatError
from chatserver.core.events import Event, Signal
from chatserver.core.mailbox import BATCH_BYTES, Mailbox
from chatserver.core.tallies import PREFIX as LAB
from chatserver.core.tallies import request_bytes
from chatserver.delivery.catchup import Missed
from chatserver.delivery.delivery import Delivery
from chatserver.delivery.newcomers import go_on
from chatserver.http.admission import Admission, Arrival, Ask, Bearer
from chatserver.http.handlers import StreamHandler
from chatserver.http.house import House
from chatserver.http.problems import problem_response
from chatserver.http.requests import http_date, parse_query, parse_seconds
from chatserver.transports.pollreader import PollReader
from chatserver.transports.reader import ALL_COMINGS, run_on

MARGIN_S = 10.0
"""What a client should add to the wait before it takes a poll for lost."""

LONG_S = 10.0
"""A wait from here on ends at a visit of the clockwork, a second late at the most; a shorter one by a timer of its own,
which costs as much as admitting a poll."""

JITTER = 0.1
"""By so much of itself, at most, a wait is shortened: or all who came together come back together."""

_HEADERS = (
    "Content-Type: application/json\r\n"
    "Cache-Control: no-store\r\n"
    "X-Content-Type-Options: nosniff\r\n"
)


class PollAnswers(Protocol):
    """Where a poll's answer goes (`pollwire.PollConnection`)."""

    @property
    def close_after(self) -> bool:
        """Whether the connection ends with the answer."""
        ...

    def charge(self) -> Bearer:
        """Have whoever asks pay for one poll, and say who that is. Raises `RateLimited`."""
        ...

    def respond(self, data: bytes) -> None:
        """Send the whole answer."""
        ...

    def sign_in(self, user_id: str) -> None:
        """Somebody has signed in over this connection, and pays for it."""
        ...

    def cut(self) -> None:
        """Break the connection without a word."""
        ...


class Poll:
    """One poll, from its headers to its answer."""

    __slots__ = (
        "_admission",
        "_after",
        "_client",
        "_connection",
        "_delivery",
        "_headers",
        "_method",
        "_reader",
        "_target",
        "_timer",
        "_user_id",
        "_wait_s",
        "ends_s",
        "waiting",
    )

    def __init__(
        self,
        connection: PollAnswers,
        request: tuple[str, str, HTTPHeaders],
        admission: Admission,
        delivery: Delivery,
    ) -> None:
        """`request` is method, target and headers."""
        self._connection: PollAnswers | None = connection
        self._method, self._target, self._headers = request
        self._admission = admission
        self._delivery = delivery
        self._reader: PollReader | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._after: int | None = None
        self._wait_s = 0.0
        self._client = ""
        self._user_id = ""
        self.waiting = False
        self.ends_s = 0.0
        """When it is answered at the latest, while it waits."""

    def begin(self) -> None:
        """Have it paid, admit, find the mailbox, and answer or wait."""
        assert self._connection is not None
        try:
            bearer = self._connection.charge()
            query = parse_query(self._target.partition("?")[2])
            ask = self._admission.ask(self._headers, query, bearer=bearer)
            limits = self._delivery.limits
            wait_s = parse_seconds(query.get("wait"), "wait", limits.poll_wait_s)
            self._wait_s = min(wait_s, limits.poll_wait_max_s)
            arrival = self._admission.known(ask)
        except ChatError as error:
            self._refuse(error)
            return
        mailbox = None if arrival is None else self._delivery.mailboxes.known(arrival.user.id)
        if arrival is not None and mailbox is not None:
            go_on(partial(self._begin, arrival, mailbox))
        elif self._delivery.joins.try_enter():
            self._admission.look_up(ask, partial(self._found, ask))
        else:
            run_on(self._wait_for_room(ask))

    def connection_lost(self) -> None:
        """The client has gone."""
        self._connection = None
        reader, delivery = self._reader, self._delivery
        if reader is not None:
            reader.due_s = delivery.clockwork.clock_s() + delivery.limits.offline_grace_s
        self._let_go()
        if reader is not None:
            delivery.readers.poll_left(reader.mailbox)

    # Joining.

    def _found(self, ask: Ask) -> Callable[[], None] | None:
        """Go on where whoever asks is in memory now, and ask for anybody else alone."""
        follow = None
        try:
            arrival = self._admission.known(ask)
            mailbox = None if arrival is None else self._delivery.mailboxes.known(arrival.user.id)
        except ChatError as error:
            self._refuse(error)
        else:
            if arrival is None or mailbox is None:
                run_on(self._look_up_alone(ask))
                return None
            follow = self._begin(arrival, mailbox)
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
            go_on(partial(self._begin, arrival, mailbox))
        except ChatError as error:
            self._refuse(error)
        finally:
            self._delivery.joins.leave()

    def _begin(self, arrival: Arrival, mailbox: Mailbox) -> Callable[[], None] | None:
        """Take a reader, and answer or wait; a first poll is answered by what is returned."""
        if self._connection is None:
            return None
        delivery = self._delivery
        self._user_id, self._client, self._after = mailbox.user_id, arrival.client, arrival.after
        try:
            reader = self._take_reader(arrival, mailbox)
        except ChatError as error:
            self._refuse(error)
            return None
        self._connection.sign_in(mailbox.user_id)
        delivery.attendance.polled(mailbox.user_id, self._wait_s)
        self._reader = reader
        if self._after is None:
            self._after, reader.knows = delivery.hub.head_seq, ALL_COMINGS
            return partial(self._greet, reader)
        reader.cursor = self._after
        self.waiting = True
        self.try_answer()
        if self.waiting:
            self._park()
        return None

    def _greet(self, reader: PollReader) -> None:
        """Answer a first poll with the whole presence."""
        attendance = self._delivery.attendance
        reader.knows = attendance.comings
        if self._connection is not None:
            reader.take_signals()  # the whole presence stands for them
            self.answer((), (attendance.whole(reader.mailbox),))

    def _take_reader(self, arrival: Arrival, mailbox: Mailbox) -> PollReader:
        """The reader of this client, with this poll as its request. Raises as `Readers.attach`."""
        delivery = self._delivery
        hold_s = self._wait_s + delivery.limits.offline_grace_s
        reader = self._find(mailbox)
        if reader is None:
            reader = PollReader(delivery, arrival.login, mailbox, self._client)
            # A client without a name is only known while its poll waits.
            if self._client or self._wait_s > 0:
                delivery.readers.attach(reader)
                reader.look_after(self._wait_s * (1 - JITTER))
                delivery.neighbours.catch_up(reader)
            else:
                delivery.readers.refuse_ended(arrival.login)
        else:
            delivery.readers.change_login(reader, arrival.login)
            delivery.neighbours.polled(reader)
            if reader.request is not None:
                older, reader.request = reader.request, None
                older.answer((), ())
        reader.due_s = delivery.clockwork.clock_s() + hold_s
        reader.request = self
        return reader

    def _find(self, mailbox: Mailbox) -> PollReader | None:
        if self._client:
            for reader in mailbox.readers:
                if reader.client == self._client and isinstance(reader, PollReader):
                    return reader
        return None

    def _park(self) -> None:
        # Everything up to here was in the turn in which the cursor was compared: nothing falls between.
        wait_s = self._wait_s * (1 - JITTER * random.random())
        if wait_s <= 0:
            self.time_is_up()
            return
        self.ends_s = self._delivery.clockwork.clock_s() + wait_s
        reader = self._reader
        if wait_s < LONG_S or reader is None or reader.visit_s > self.ends_s:
            self._timer = asyncio.get_running_loop().call_later(wait_s, self.time_is_up)

    # Answering.

    def time_is_up(self) -> None:
        """Answer with what there is, if anything."""
        reader = self._reader
        self.answer((), () if reader is None else reader.take_signals())

    def try_answer(self) -> None:
        """Answer if there is anything after the cursor, or a signal."""
        reader = self._reader
        assert reader is not None and self._after is not None
        known = self._after <= self._delivery.hub.head_seq
        batch = reader.mailbox.read_after(self._after) if known else None
        if batch is None:
            missed = self._delivery.catchup.at_once(reader.mailbox, self._after)
            if missed is None:
                self._mind_gap(reader, self._after)
            else:
                self._answer_missed(reader, missed)  # or it waits on
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
            self._park()

    def _answer_missed(self, reader: PollReader, missed: Missed) -> bool:
        """Answer with what was missed; False where nothing of it concerned this user: the poll goes on from its position."""
        if missed.reason is not None:
            seq, payload = self._delivery.catchup.reset(missed.reason)
            self._write(seq, (payload,))
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

    def answer(self, events: Sequence[Event], signals: Iterable[Signal]) -> None:
        """End the poll with these. Does nothing where it has ended."""
        assert self._after is not None
        cursor, more = self._after, False
        if events:
            cursor = events[-1].seq
            if self._reader is not None:
                mailbox = self._reader.mailbox
                more = bool(mailbox.events) and mailbox.events[-1].seq > cursor
                more = more or cursor < mailbox.floor_seq
        payloads = [event.payload for event in events]
        payloads += [signal.payload for signal in signals]
        self._write(cursor, payloads, more)

    def _refuse(self, error: ChatError) -> None:
        status, headers, body = problem_response(error)
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.get_all())
        self._respond(status, error.title, lines, body)

    def _write(self, cursor: int, payloads: Iterable[bytes], more: bool = False) -> None:
        timeout_ms = round((self._wait_s + MARGIN_S) * 1000)
        body = vocabulary.poll_answer(cursor, payloads, more, timeout_ms)
        self._respond(200, "OK", f"{_HEADERS}Content-Length: {len(body)}\r\n", body)

    def _respond(self, status: int, reason: str, lines: str, body: bytes) -> None:
        self._delivery.connections.answered(status)
        connection, self._connection = self._connection, None
        self._let_go()
        if connection is None:
            return
        close = "Connection: close\r\n" if connection.close_after else ""
        cors = self._admission.cors.lines(self._headers)
        head = f"HTTP/1.1 {status} {reason}\r\n{lines}{cors}Date: {http_date()}\r\n{close}\r\n"
        data = head.encode("latin1") + (b"" if self._method == "HEAD" else body)
        if self._client.startswith(LAB):
            up = request_bytes(self._method, self._target, self._headers.get_all())
            self._delivery.tallies.count(
                self._user_id,
                self._client,
                PollReader.transport,
                requests=1,
                up=up,
                down=len(data),
            )
        connection.respond(data)

    def cut(self) -> None:
        """Break the connection without a word."""
        if self._connection is not None:
            self._connection.cut()

    def _let_go(self) -> None:
        self.waiting = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        reader, self._reader = self._reader, None
        if reader is not None and reader.request is self:
            reader.request = None
            if not reader.client:
                reader.leave()


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
