"""The bytes of a poll's answer, made once for all polls that one message wakes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chatserver.core import vocabulary
from chatserver.core.errors import ChatError
from chatserver.core.events import Event
from chatserver.http.problems import problem_response
from chatserver.http.requests import http_date

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


class PollEncoding:
    """Remembers the answer that it made last: a message wakes many, and they are answered alike."""

    def __init__(self) -> None:
        self._events: Sequence[Event] = ()
        self._said = (False, 0.0, "", "")
        self._answer = b""

    def of(self, events: Sequence[Event], more: bool, wait_s: float, lines: str) -> bytes:
        """The whole answer that brings `events`, at least one, and nothing else."""
        said = (more, wait_s, lines, http_date())
        # Events are compared by identity: each mailbox gives a list of its own.
        if said != self._said or events != self._events:
            payloads = [event.payload for event in events]
            self._answer = whole(items(events[-1].seq, payloads, more, wait_s), lines)
            self._events, self._said = events, said
        return self._answer
