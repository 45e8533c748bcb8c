"""The bytes of a poll's answer, made once for all polls that one message wakes; and where an answer goes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from time import time
from typing import Protocol

from chatserver.core import vocabulary
from chatserver.core.errors import ChatError
from chatserver.core.events import Event
from chatserver.http.problems import problem_response
from chatserver.http.requests import http_date
from chatserver.transports.pollrequest import PollRequest

MARGIN_S = 10.0
"""What a client should add to the wait before it takes a poll for lost."""

_HEADERS = (
    "Content-Type: application/json\r\n"
    "Cache-Control: no-store\r\n"
    "X-Content-Type-Options: nosniff\r\n"
)


def whole(body: bytes, lines: str) -> bytes:
    """An answer with this body; `lines` are further lines of its head."""
    return _whole("200 OK", f"{_HEADERS}Content-Length: {len(body)}\r\n{lines}", body)


def refusal(error: ChatError, lines: str) -> tuple[int, bytes]:
    """The answer that says so, and its status."""
    status, headers, body = problem_response(error)
    of_error = "".join(f"{name}: {value}\r\n" for name, value in headers.get_all())
    return status, _whole(f"{status} {error.title}", of_error + lines, body)


def _whole(status: str, lines: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status}\r\n{lines}Date: {http_date()}\r\n\r\n".encode("latin1") + body


def items(cursor: int, payloads: Iterable[bytes], more: bool, wait_s: float) -> bytes:
    """The body of an answer to a poll that waits for `wait_s` seconds at the most."""
    return vocabulary.poll_answer(cursor, payloads, more, round((wait_s + MARGIN_S) * 1000))


class PollAnswers(Protocol):
    """Where a poll's answer goes (`pollconnection.PollConnection`)."""

    def charge(self, request: PollRequest) -> None:
        """Have the address of somebody who is not known pay for one poll. Raises `RateLimited`."""
        ...

    def rest(self, request: PollRequest) -> None:
        """This poll is refused, since nobody could pay for it: the next one has to wait."""
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


class PollEncoding:
    """Remembers the answer that it made last: a message wakes many, and they are answered alike."""

    def __init__(self) -> None:
        self._events: Sequence[Event] = ()
        self._said = (0, 0.0, "", 0)
        self._answer = b""

    def of(self, events: Sequence[Event], newest_seq: int, wait_s: float, lines: str) -> bytes:
        """The whole answer that brings `events`, at least one, and nothing else; `newest_seq` is that of the mailbox."""
        said = (newest_seq, wait_s, lines, int(time()))  # a `Date` is good for its second
        # Events are compared by identity: each mailbox gives a list of its own.
        if said != self._said or events != self._events:
            payloads, cursor = [event.payload for event in events], events[-1].seq
            self._answer = whole(items(cursor, payloads, newest_seq > cursor, wait_s), lines)
            self._events, self._said = events, said
        return self._answer
