"""The first look at a connection that asks for a way in: what is plain goes past Tornado.

After a restart everybody comes back at once. Tornado's request, handler and handshake cost many times what it takes to
recognise the few lines that nearly every client sends. What is not plainly such a head, and whoever cannot simply be
let in, is given to Tornado with nothing read of it yet: it answers as ever, and refuses in its own words. So the first
look can only be stricter (`http/heads.py`).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from tornado.httputil import HTTPHeaders

from chatserver.core.errors import ChatError
from chatserver.core.mailbox import Mailbox
from chatserver.core.people import Login
from chatserver.delivery.catchup import Missed
from chatserver.delivery.delivery import Delivery
from chatserver.delivery.seats import SeatedSocket, held_by
from chatserver.delivery.tolls import REQUEST
from chatserver.http.admission import Admission, Arrival, Ask
from chatserver.http.heads import HEAD_BYTES, plain_fields, plain_upgrade, stream_line
from chatserver.http.house import House
from chatserver.http.requests import parse_query
from chatserver.transports.connection import Connection
from chatserver.transports.outlet import Owner
from chatserver.transports.pollconnection import HandBack, PollConnection
from chatserver.transports.reader import run_on
from chatserver.transports.stream import StreamReader

Give = Callable[[SeatedSocket, Any], None]
"""Takes a connection and the address of its peer."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a stream begins that was plainly asked for."""

    reader: Callable[[Arrival, Mailbox], StreamReader]
    answer: Callable[[HTTPHeaders], bytes]
    """The head of the answer; what the reader says comes behind it."""
    upgrades: bool


@dataclass(slots=True)
class _Comer:
    """A connection on its way in, and what it has asked for."""

    sock: SeatedSocket
    address: Any
    way: Way
    ask: Ask
    head: bytes
    headers: HTTPHeaders


class FirstLook:
    """Lets in by `ways`, by path; `give` takes what is Tornado's, `hand_back` what stops polling."""

    def __init__(
        self, house: House, ways: Mapping[str, Way], give: Give, hand_back: HandBack
    ) -> None:
        self._admission: Admission = house.admission
        self._delivery: Delivery = house.delivery
        self._ways = ways
        self._give = give
        self._hand_back = hand_back

    def take(self, sock: SeatedSocket, address: Any) -> bool:
        """Begin what this connection asks for; False where that is Tornado's. Nothing is read of it before it is let in."""
        head = peek(sock)
        if head is not None and head.startswith(b"GET /poll"):
            self._begin_polls(sock, head)
            return True
        if head is not None and self._begin(sock, address, head):
            return True
        self._give(sock, address)
        return False

    def _begin_polls(self, sock: SeatedSocket, head: bytes) -> None:
        """Give the connection to the polls that begin with this one, also if its head turns out to be Tornado's to judge."""
        try:
            sock.recv(len(head))
        except OSError:
            sock.close()
            return
        connect = partial(Connection, sock, connections=self._delivery.connections)
        PollConnection(connect, self._admission, self._delivery, self._hand_back).begin(head)

    def _begin(self, sock: SeatedSocket, address: Any, head: bytes) -> bool:
        """Let in who plainly asks for it; False, and nothing has happened, where that cannot be."""
        line, _, fields = head[:-2].partition(b"\r\n")
        asked = stream_line(line)
        way = None if asked is None else self._ways.get(asked[0])
        if asked is None or way is None:
            return False
        headers = plain_upgrade(fields) if way.upgrades else plain_fields(fields)
        if headers is None:
            return False
        try:
            bearer = self._admission.bearer(headers)
            self._admission.charge(
                headers, REQUEST, lambda: str(address[0]), sock.seat, bearer=bearer
            )
            ask = self._admission.ask(
                headers,
                parse_query(asked[1]),
                bearer=bearer,
                last_event_id=_last_event_id(way, headers),
            )
        except ChatError:
            return False
        held_by(sock, sock.close)
        comer = _Comer(sock, address, way, ask, head, headers)
        if self._delivery.joins.try_enter():
            self._admission.look_up(ask, partial(self._found, comer))
        else:
            run_on(self._wait_for_room(comer))
        return True

    async def _wait_for_room(self, comer: _Comer) -> None:
        await self._delivery.joins.enter()
        await self._go_on(comer, self._look_up_alone(comer))

    def _found(self, comer: _Comer, login: Login | None) -> Callable[[], None] | None:
        """Let in who is in memory now; what greets them is for later. Anybody else is asked for alone."""
        try:
            arrival = self._admission.arrival(comer.ask, login)
            mailbox = None if arrival is None else self._delivery.mailboxes.known(arrival.user.id)
            if arrival is None or mailbox is None:
                run_on(self._go_on(comer, self._look_up_alone(comer)))
                return None
            reader = self._let_in(comer, arrival, mailbox)
            if reader is not None:
                missed = self._delivery.catchup.at_once(mailbox, arrival.after)
                if missed is not None:
                    return partial(self._greet, comer, reader, arrival, missed)
                run_on(self._go_on(comer, reader.join(arrival.user, arrival.after)))
                return None
        except Exception as error:
            self._give_up(comer, error)
        self._delivery.joins.leave()
        return None

    def _greet(self, comer: _Comer, reader: StreamReader, arrival: Arrival, missed: Missed) -> None:
        try:
            if reader.attached:
                reader.greet(arrival.user, arrival.after, missed)
        except Exception as error:
            self._give_up(comer, error)
        self._delivery.joins.leave()

    async def _look_up_alone(self, comer: _Comer) -> None:
        arrival = await self._admission.admit(comer.ask)
        mailbox = await self._delivery.mailboxes.open(arrival.user.id)
        reader = self._let_in(comer, arrival, mailbox)
        if reader is not None:
            await reader.join(arrival.user, arrival.after)

    async def _go_on(self, comer: _Comer, late: Coroutine[Any, Any, None]) -> None:
        """The rest of a join that has begun."""
        try:
            await late
        except Exception as error:
            self._give_up(comer, error)
        finally:
            self._delivery.joins.leave()

    def _give_up(self, comer: _Comer, error: Exception) -> None:
        """Whoever is refused is Tornado's; what fails ends the connection."""
        if not isinstance(error, ChatError):
            self._delivery.connections.failed(str(comer.address[0]), error)
            comer.sock.close()
        elif comer.sock.fileno() >= 0:
            self._give(comer.sock, comer.address)

    def _let_in(self, comer: _Comer, arrival: Arrival, mailbox: Mailbox) -> StreamReader | None:
        """Attach a reader, which is to be greeted; None where the peer has gone."""
        if comer.sock.fileno() < 0:
            return None
        reader = comer.way.reader(arrival, mailbox)
        self._delivery.readers.attach(reader)
        connection = self._connect(comer.sock, reader, arrival, comer.head)
        if connection is None:
            return None
        connection.cork(comer.way.answer(comer.headers))  # in one write with the greeting
        return reader

    def _connect(
        self, sock: SeatedSocket, reader: StreamReader, arrival: Arrival, head: bytes
    ) -> Connection | None:
        """Give the connection to its reader; None where the peer has gone."""
        try:
            sock.recv(len(head))
        except OSError:
            sock.close()
            reader.connection_lost()
            return None
        connection = Connection(sock, cast(Owner, reader), self._delivery.connections)
        sock.sign_in(arrival.user.id)
        reader.connected(connection)
        self._delivery.tallies.count(
            arrival.user.id, arrival.client, reader.transport, requests=1, up=len(head)
        )
        return connection


def peek(sock: SeatedSocket) -> bytes | None:
    """The whole head that has come, its last line end included; None where there is none."""
    try:
        data = sock.recv(HEAD_BYTES, socket.MSG_PEEK)
    except OSError:
        return None
    end = data.find(b"\r\n\r\n")
    return None if end < 0 else data[: end + 4]


def _last_event_id(way: Way, headers: HTTPHeaders) -> str | None:
    return None if way.upgrades else headers.get("Last-Event-ID")
