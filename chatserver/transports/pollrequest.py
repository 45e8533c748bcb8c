"""What a poll asks, and how the next one on its connection is known by its bytes: nothing but the cursor is another.

What a head says is read once. It is still asked for each poll who may ask, and who pays.
"""

from __future__ import annotations

from tornado.httputil import HTTPHeaders

from chatserver.core.limits import Limits
from chatserver.core.tallies import PREFIX as LAB
from chatserver.http.admission import Admission, Ask, Bearer
from chatserver.http.heads import LENGTH_DIGITS
from chatserver.http.requests import QUERY_CHARS, parse_query, parse_seconds
from chatserver.transports.pollreader import PollReader


class PollRequest:
    """One poll, or several that ask the same one after another, each from its own cursor."""

    __slots__ = (
        "after",
        "ask",
        "bearer",
        "client",
        "counted",
        "headers",
        "lines",
        "method",
        "reader",
        "target",
        "wait_s",
    )

    def __init__(
        self, method: str, target: str, headers: HTTPHeaders, bearer: Bearer, lines: str = ""
    ) -> None:
        """`lines` are the lines that its answer has beside those of all answers."""
        self.method = method
        self.target = target
        self.headers = headers
        self.bearer = bearer
        self.lines = lines
        self.ask: Ask | None = None
        """What it says of who is asking, once it was read. Its cursor is that of the first one."""
        self.after: int | None = None
        self.wait_s = 0.0
        self.client = ""
        """The client's name for itself; empty where it has none, or was not read."""
        self.counted = False
        """Whether the laboratory counts its bytes."""
        self.reader: PollReader | None = None
        """Its client's reader, by the login that asked first; it may have ended since."""

    def read(self, admission: Admission, limits: Limits) -> Ask:
        """Read what it asks. Raises as `Admission.ask`, and `BadRequest`."""
        query = parse_query(self.target.partition("?")[2])
        ask = admission.ask(self.headers, query, bearer=self.bearer)
        wait_s = parse_seconds(query.get("wait"), "wait", limits.poll_wait_s)
        self.wait_s = min(wait_s, limits.poll_wait_max_s)
        self.after, self.client = ask.after, ask.client
        self.counted = ask.client.startswith(LAB)
        self.ask = ask
        return ask


class Repeated:
    """The head of a poll, from which the next one may differ in its cursor only."""

    __slots__ = ("_before", "_begin", "_behind", "_end", "request")

    def __init__(self, request: PollRequest, before: bytes, behind: bytes) -> None:
        """`before` and `behind` stand around the cursor's digits."""
        self.request = request
        self._before = before
        self._behind = behind
        self._begin, self._end = len(before), -len(behind)

    def has(self, fields: bytes) -> bool:
        """Whether these are the headers, each with its line end."""
        return self._behind.endswith(b" HTTP/1.1\r\n%b\r\n" % fields)

    def cursor(self, data: bytes) -> int | None:
        """The cursor, where `data` is this very head with no other difference, and nothing behind it; else None."""
        if not data.startswith(self._before) or not data.endswith(self._behind):
            return None
        digits = data[self._begin : self._end]
        # `bytes.isdigit` takes ASCII digits alone, and at least one. What is longer is no cursor, or Python's `int` is slow.
        return int(digits) if len(digits) <= LENGTH_DIGITS and digits.isdigit() else None


def remember(request: PollRequest, line: bytes, rest: bytes) -> Repeated | None:
    """How the next poll is known, where this request was read and can be remembered: its line, and what ends it.

    Not where the query needs more than to be cut at its `&` and `=`, or names the cursor twice; not where nobody is known to ask: who
    brings nothing that is known now may do so later. The laboratory counts the bytes of each target.
    """
    ask = request.ask
    if ask is None or ask.after is None or ask.brought is None or request.counted:
        return None
    if len(line) > QUERY_CHARS:  # with more digits the query may be longer than one is read
        return None
    if line.count(b"after") != 1 or b"%" in line or b"+" in line or b";" in line:
        return None
    before, said, behind = line.partition(b"after=%d" % ask.after)
    return Repeated(request, before + b"after=", behind + rest) if said else None
