"""The first look at a connection that asks for a way in: what is plain goes past Tornado.

After a restart everybody comes back at once. Tornado's request, handler and handshake cost many times what it takes to
recognise the few lines that nearly every client sends. What is not plainly such a head, and whoever cannot simply be
let in, is given to Tornado with nothing read of it yet: it answers as ever, and refuses in its own words. So the first
look can only be stricter (`http/heads.py`).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from tornado.httputil import HTTPHeaders

from chatserver.core.errors import ChatError
from chatserver.core.mailbox import Mailbox
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
            connections = self._delivery.connections
            PollConnection(
                lambda owner: Connection(sock, owner, connections),
                self._admission,
                self._delivery,
                self._hand_back,
            )
            return True
        if head is not None and self._begin(sock, address, head):
            return True
        self._give(sock, address)
        return False

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
            self._admission.charge(headers, REQUEST, lambda: str(address[0]), sock.seat)
            ask = self._admission.ask(
                headers, parse_query(asked[1]), last_event_id=_last_event_id(way, headers)
            )
        except ChatError:
            return False
        held_by(sock, sock.close)
        run_on(self._let_in(sock, address, way, ask, head, headers))
        return True

    async def _let_in(
        self,
        sock: SeatedSocket,
        address: Any,
        way: Way,
        ask: Ask,
        head: bytes,
        headers: HTTPHeaders,
    ) -> None:
        try:
            async with self._delivery.joins:
                arrival = await self._admission.admit(ask)
                mailbox = await self._delivery.mailboxes.open(arrival.user.id)
                if sock.fileno() < 0:
                    return
                reader = way.reader(arrival, mailbox)
                self._delivery.readers.attach(reader)
                connection = self._connect(sock, reader, arrival, head)
                if connection is not None:
                    answer = way.answer(headers)
                    # In one write with the greeting, where that need not wait for the journal.
                    waits = arrival.after is not None and arrival.after < mailbox.floor_seq
                    (connection.send if waits else connection.cork)(answer)
                    await reader.join(arrival.user, arrival.after)
        except ChatError:
            if sock.fileno() >= 0:
                self._give(sock, address)
        except Exception as error:
            self._delivery.connections.failed(str(address[0]), error)
            sock.close()

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
        connection.sign_in(arrival.user.id)
        reader.outlet = connection
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
