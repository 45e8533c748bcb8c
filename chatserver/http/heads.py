"""What the head of a request may look like, for those who read one: Tornado, the first look, a connection that polls.

Tornado parses; `check_head` refuses what it takes too easily. The other two recognise a small strict grammar (RFC 9112,
sections 3 and 5; RFC 3986) and give everything else to Tornado: `poll_line`, `stream_line` and `plain_fields` are
stricter than `check_head` in every point, or they would disagree on where a request ends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from tornado.httputil import HTTPHeaders, HTTPInputError, RequestStartLine

HEAD_BYTES = 16 * 1024
"""Request line and headers together; a cookie and a query of ours have a hundredth of it."""

HEAD_LINES = 100
"""Headers of one request; a browser sends 25, and proxies add some. Each takes 3 us, so 16 KB of short ones were 7 ms for the price of
one request, or of one poll: sixteen connections of one user made everybody else wait for 180 ms."""

LENGTH_DIGITS = 16

_TARGET = re.compile(r"[\x21-\x7e]+")
_HOST = re.compile(r"(?!.*:[0-9]{6})[A-Za-z0-9\-._~!$&'()*+;=%:\[\]]{1,300}")
"""A name has 253 characters at most (RFC 1035, section 2.3.4), a port five digits: Tornado makes an integer of whatever
stands there, which Python refuses from 4,301 digits on."""
_ABSOLUTE = re.compile(r"https?://([^/?#@]*)([/?].*)?", re.IGNORECASE)
_LENGTH = re.compile(rf"[0-9]{{1,{LENGTH_DIGITS}}}(?:,[ \t]*[0-9]{{1,{LENGTH_DIGITS}}})*")

_POLL_LINE = re.compile(rb"(GET|HEAD) (/poll(?:\?[A-Za-z0-9\-._~!$&'()*+,;=:@/?%]*)?) HTTP/1\.1")
_STREAM_LINE = re.compile(
    rb"GET (/(?:ws|events))(?:\?([A-Za-z0-9\-._~!$&'()*+,;=:@/?%]*))? HTTP/1\.1"
)
_ASKED_LINE = re.compile(
    rb"([A-Z]{3,7}) (/[A-Za-z0-9\-._~!$&'()*+,;=:@/%]*)(?:\?[\x21-\x7e]*)? HTTP/1\.1"
)
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+")
_NAMES = frozenset(
    [
        "host",
        "connection",
        "upgrade",
        "origin",
        "user-agent",
        "accept",
        "accept-encoding",
        "accept-language",
        "authorization",
        "cookie",
        "cache-control",
        "pragma",
        "referer",
        "sec-websocket-key",
        "sec-websocket-version",
        "sec-websocket-protocol",
        "sec-websocket-extensions",
        "sec-fetch-dest",
        "sec-fetch-mode",
        "sec-fetch-site",
        "last-event-id",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-chat-user",
    ]
)
"""What nearly every client sends, or a proxy adds: names that need not be looked at sign by sign."""
_SPELLED = {
    spelled: name
    for name in _NAMES
    for spelled in (name, name.title(), name.title().replace("Websocket", "WebSocket"))
}
"""The same by how they are nearly always spelled."""
_BARE_LF = re.compile(rb"(?<!\r)\n")

_ENDINGS = ("keep-alive", "close")
_NOT_PLAIN = frozenset(("content-length", "transfer-encoding", "expect", "upgrade"))
_NOT_PLAIN_UPGRADE = _NOT_PLAIN - {"upgrade"}


class PlainHeaders(HTTPHeaders):
    """The headers of a plain request, each of which came once: to be read, never changed.

    One look in a dictionary answers, where Tornado's headers take several, and a dozen for each line to be made.
    """

    def __init__(self, fields: dict[str, str]) -> None:
        """`fields` are values by names in small letters."""
        self._fields = fields

    def get(self, name: str, default: Any = None) -> Any:
        """As of any mapping."""
        return self._fields.get(name.lower(), default)

    def get_list(self, name: str) -> list[str]:
        """See Tornado's."""
        value = self._fields.get(name.lower())
        return [] if value is None else [value]

    def get_all(self) -> Iterable[tuple[str, str]]:
        """See Tornado's."""
        return self._fields.items()

    def add(self, name: str, value: str, **_: Any) -> None:
        """It cannot be."""
        raise TypeError("the headers of a request that was read do not change")

    def copy(self) -> HTTPHeaders:
        """See Tornado's."""
        return HTTPHeaders(self._fields)

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __setitem__(self, name: str, value: str) -> None:
        self.add(name, value)

    def __delitem__(self, name: str) -> None:
        self.add(name, "")

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)


NO_HEADERS = PlainHeaders({})
"""Before a request has come."""


def poll_line(line: bytes | bytearray) -> tuple[str, str] | None:
    """Method and target, where a request line without its end is that of a plain poll."""
    match = _POLL_LINE.fullmatch(line)
    return None if match is None else (match[1].decode("ascii"), match[2].decode("ascii"))


def stream_line(line: bytes) -> tuple[str, str] | None:
    """Path and query, where a request line without its end plainly asks for a WebSocket or an event stream."""
    match = _STREAM_LINE.fullmatch(line)
    return None if match is None else (match[1].decode("ascii"), (match[2] or b"").decode("ascii"))


def asked_line(line: bytes) -> tuple[str, str] | None:
    """Method and path, where a request line without its end is plain."""
    match = _ASKED_LINE.fullmatch(line)
    return None if match is None else (match[1].decode("ascii"), match[2].decode("ascii"))


def asking_fields(fields: bytes) -> PlainHeaders | None:
    """The headers of a request that is to be refused, whatever follows its head; None where they are Tornado's to judge."""
    found = _parse_fields(fields, frozenset())
    return None if found is None else PlainHeaders(found)


def plain_fields(fields: bytes) -> PlainHeaders | None:
    """The headers of a plain request, each with its line end; None where they are Tornado's to judge."""
    found = _parse_fields(fields, _NOT_PLAIN)
    if found is None or found.get("connection", "keep-alive").lower() not in _ENDINGS:
        return None
    return PlainHeaders(found)


def plain_upgrade(fields: bytes) -> PlainHeaders | None:
    """As `plain_fields`, of a request that may become a WebSocket (RFC 6455, section 4.2.1)."""
    found = _parse_fields(fields, _NOT_PLAIN_UPGRADE)
    if found is None or found.get("upgrade", "").lower() != "websocket":
        return None
    options = found.get("connection", "").lower()
    if options not in ("upgrade", "keep-alive, upgrade"):
        return None
    if found.get("sec-websocket-version") != "13":
        return None
    return (
        None if _KEY.fullmatch(found.get("sec-websocket-key", "")) is None else PlainHeaders(found)
    )


def _parse_fields(fields: bytes, not_plain: frozenset[str]) -> dict[str, str] | None:
    """Values by names in small letters. Quicker than one expression for all of it: most names are seen again and again."""
    if not fields.isascii():
        return None
    text = fields.decode("ascii")
    lines = text.split("\r\n")
    if len(lines) > HEAD_LINES + 1:
        return None
    # Nothing behind the last line's end, and no sign but those that are seen: neither CR nor LF alone, nor a tab.
    if lines.pop() or not "".join(lines).isprintable():
        return None
    found: dict[str, str] = {}
    for line in lines:
        spelled, colon, value = line.partition(":")
        name = _SPELLED.get(spelled)
        if name is None:
            name = spelled.lower()
            if name not in _NAMES and _NAME.fullmatch(name) is None:
                return None
        if not colon:
            return None
        found[name] = value.strip(" ")
    if len(found) != len(lines) or not not_plain.isdisjoint(found):
        return None
    return None if _HOST.fullmatch(found.get("host", "")) is None else found


def has_bare_line_end(data: bytes | bytearray, start: int) -> bool:
    """Whether a line ends with LF alone, from `start` on: a head may end there for Tornado, and not for us."""
    return _BARE_LF.search(data, max(0, start - 1)) is not None


def is_poll(method: str, target: str) -> bool:
    """Whether a request is one that a connection which polls answers."""
    return method in ("GET", "HEAD") and target.startswith("/poll") and target[5:6] in ("", "?")


def is_plain(headers: HTTPHeaders) -> bool:
    """Whether nothing follows the head, and nothing but an answer is asked for."""
    return (
        headers.get("Content-Length", "0") == "0"
        and "Transfer-Encoding" not in headers
        and "Expect" not in headers
    )


def says_close(version: str, headers: HTTPHeaders) -> bool:
    """Whether this is the last request of its connection (RFC 9112, sections 9.3 and 9.6)."""
    said = headers.get("Connection", "").lower()
    if version == "HTTP/1.1" and "close" not in said:
        return False  # nearly always
    options = [option.strip() for option in said.split(",")]
    return "close" in options or (version != "HTTP/1.1" and options != ["keep-alive"])


def check_head(line: RequestStartLine, headers: HTTPHeaders) -> RequestStartLine:
    """The request line of a head that Tornado has parsed, its target in origin form.

    Raises HTTPInputError, which Tornado answers with 400.
    """
    hosts = headers.get_list("Host")
    if len(hosts) > 1 or (not hosts and line.version != "HTTP/1.0"):
        raise HTTPInputError("a request names one host")  # RFC 9112, section 3.2
    absolute = _ABSOLUTE.fullmatch(line.path)
    if absolute is not None:
        # RFC 9112, section 3.2.2: the target's own host counts, and not the header's.
        headers["Host"], target = absolute[1], absolute[2] or "/"
        line = line._replace(path=target if target[0] == "/" else f"/{target}")
        hosts = [absolute[1]]
    if hosts and _HOST.fullmatch(hosts[0]) is None:
        raise HTTPInputError("no such host")
    if is_poll(line.method, line.path) and _TARGET.fullmatch(line.path) is None:
        raise HTTPInputError("a target is visible ASCII")
    if _LENGTH.fullmatch(headers.get("Content-Length", "0")) is None:
        raise HTTPInputError("a length is a few digits")
    if "Transfer-Encoding" in headers and line.version == "HTTP/1.0":
        raise HTTPInputError("HTTP/1.0 knows no chunks")  # RFC 9112, section 6.1
    return line
