"""Anything in a request's query, headers and body: an answer below 500, and not a word in the log.

Over a whole house in this process. What is found becomes a case of the rule that let it through.
"""

from __future__ import annotations

import asyncio
import json
import logging
import string
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import quote_from_bytes, urlencode

import hypothesis.strategies as st
import pytest
from hypothesis import example, given

from chatserver.core.limits import Limits
from chatserver.site.classic import FORM_COOKIE
from tests.support.inprocess import Inside, inside

HASTY = Limits(meter=False, poll_wait_s=0.01, poll_wait_max_s=0.02, register_burst=10**6)


class Caller:
    """Sends one request on a fresh connection, and looks at the answer and the log."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.said: list[str] = []
        self.loop.set_exception_handler(lambda _, context: self.said.append(str(context)))
        self._stack = AsyncExitStack()
        opening = self._stack.enter_async_context(inside(folder, limits=HASTY))
        self.it: Inside = self.loop.run_until_complete(opening)
        self._handler = logging.Handler(logging.WARNING)
        self._handler.emit = lambda record: self.said.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger().addHandler(self._handler)

    def status(self, line: str, headers: list[bytes], body: bytes = b"", whose: bool = True) -> int:
        """The status of the answer. Fails where it is above 499, and where anything is logged."""
        lines = [line.encode("latin1"), b"Host: localhost", *headers]
        if whose:
            lines.append(f"Authorization: Bearer {self.it.token}".encode())
        if body:
            lines.append(b"Content-Length: %d" % len(body))
        data = b"\r\n".join([*lines, b"Connection: close", b"", b""]) + body
        answer = self.loop.run_until_complete(self._ask(data))
        assert self.said == [], (self.said, data)
        assert answer[:9] == b"HTTP/1.1 ", data
        status = int(answer[9:12])
        assert status < 500, (answer, data)
        return status

    async def _ask(self, data: bytes) -> bytes:
        end = self.it.pair()
        try:
            await self.loop.sock_sendall(end, data)
            async with asyncio.timeout(20):
                answer = b""
                while b"\r\n\r\n" not in answer:
                    piece = await self.loop.sock_recv(end, 65536)
                    assert piece, data
                    answer += piece
                return answer
        finally:
            end.close()

    def close(self) -> None:
        logging.getLogger().removeHandler(self._handler)
        self.loop.run_until_complete(self._stack.aclose())
        self.loop.close()


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    made = Caller(tmp_path_factory.mktemp("data"))
    yield made
    made.close()


NAMES = (
    "email", "password", "currentPassword", "firstName", "lastName", "color", "label", "expiresIn", "text", "to",
    "clientId", "upTo", "with", "type", "after", "before", "limit", "q", "wait", "client", "user", "refresh", "_xsrf",
    "id", "message", "back",
)  # fmt: skip
WORTHWHILE = (
    "ann@example.com", "correct horse", "#123456", "²", "٣", "-1", "1e999", "9007199254740992", "1" * 5000, "\x00", "\ud800",
    "a\u0301" * 200, "\u202e", "'; --", "${7*7}", "../../x", "%00", "null", "true", "", " ", "\U0001f600" * 70,
)  # fmt: skip

anything = st.one_of(st.text(max_size=80), st.sampled_from(WORTHWHILE))
names = st.one_of(st.sampled_from(NAMES), st.text(max_size=10))
values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.integers(-(2**70), 2**70),
        st.floats(),
        anything,
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=4)),
    max_leaves=8,
)
objects = st.dictionaries(names, values, max_size=8)
words = st.text(string.printable.replace("\r", "").replace("\n", ""), max_size=60)
header_values = st.one_of(
    words.map(str.encode), st.binary(max_size=60).map(lambda raw: raw.translate(None, b"\r\n\x00"))
)

JSON_ADDRESSES = (
    "POST /api/register", "POST /api/login", "POST /api/messages", "POST /api/typing", "POST /api/read",
    "POST /api/tokens", "PATCH /api/me", "DELETE /api/me", "PUT /api/friends/x", "PUT /api/blocks/x", "DELETE /api/tokens/x",
)  # fmt: skip
QUERIES = (
    "/poll", "/events", "/ws", "/api/messages", "/api/users", "/api/friends", "/classic", "/classic/friends", "/", "/metrics",
    "/classic/register", "/api/lab/lanes",
)  # fmt: skip
FORMS = (
    "/classic/login", "/classic/register", "/classic/messages", "/classic/friends", "/classic", "/api/login",
)  # fmt: skip


@given(st.sampled_from(JSON_ADDRESSES), objects, st.booleans(), st.booleans())
def test_any_json_object(
    caller: Caller, address: str, fields: dict[str, object], ascii_only: bool, whose: bool
) -> None:
    body = json.dumps(fields, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    caller.status(f"{address} HTTP/1.1", [b"Content-Type: application/json"], body, whose)


@given(
    st.sampled_from(JSON_ADDRESSES),
    st.one_of(
        st.binary(max_size=200),
        values.map(repr).map(lambda text: text.encode("utf-8", "surrogatepass")),
    ),
    header_values,
)
@example("POST /api/messages", b"[" * 60_000, b"")
@example("POST /api/messages", b'{"a":' * 10_000, b"")
@example("POST /api/read", b'{"upTo":' + b"1" * 60_000 + b"}", b"")
def test_what_is_no_json(caller: Caller, address: str, body: bytes, more: bytes) -> None:
    media = b"Content-Type: application/json" + (b"; " + more if more else b"")
    caller.status(f"{address} HTTP/1.1", [media], body)


@given(
    st.sampled_from(QUERIES),
    st.one_of(
        st.lists(st.tuples(names, anything), max_size=5).map(
            lambda pairs: urlencode(pairs, errors="surrogatepass")
        ),
        st.binary(max_size=60).map(lambda raw: quote_from_bytes(raw, safe="%&=;+?/:@,")),
        st.text(string.ascii_letters + string.digits + '%&=;+?/:@,[]|^`{}"<>', max_size=60),
    ),
    st.booleans(),
)
def test_any_query(caller: Caller, path: str, query: str, whose: bool) -> None:
    upgrade = [b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"] if path == "/ws" else []
    caller.status(f"GET {path}?{query} HTTP/1.1", upgrade, whose=whose)


@given(
    st.sampled_from(QUERIES),
    st.sampled_from(
        [b"Cookie", b"Authorization", b"Origin", b"Host2", b"X-Chat-User", b"Last-Event-ID", b"Accept-Language",
         b"X-Forwarded-For", b"X-Forwarded-Proto", b"If-None-Match", b"If-Modified-Since", b"Range", b"Accept-Encoding",
         b"Sec-Fetch-Site", b"Sec-WebSocket-Key", b"Sec-WebSocket-Protocol", b"Sec-WebSocket-Extensions", b"Referer"]
    ),
    st.sampled_from([b"", b"chatserver=", b"__Host-chatserver=", b"Bearer ", b"bearer cst_", b"Basic ", b"http://", b"bytes="]),
    header_values,
)  # fmt: skip
def test_any_header(caller: Caller, path: str, name: bytes, begins: bytes, value: bytes) -> None:
    caller.status(
        f"GET {path} HTTP/1.1", [name + b": " + begins + value], whose=name != b"Authorization"
    )


@given(
    st.sampled_from([b"chatserver", b"__Host-chatserver", b"chatserver-form", b"x"]),
    header_values,
    st.sampled_from(QUERIES),
)
def test_any_cookie(caller: Caller, name: bytes, value: bytes, path: str) -> None:
    cookie = b"Cookie: " + name + b"=" + value + b"; _xsrf=" + value
    caller.status(f"GET {path} HTTP/1.1", [cookie], whose=False)


@given(
    st.sampled_from(FORMS),
    st.one_of(
        st.lists(st.tuples(names, anything), max_size=6).map(
            lambda pairs: urlencode(pairs, errors="surrogatepass").encode()
        ),
        st.binary(max_size=200),
    ),
    st.sampled_from(
        [b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=a", b"multipart/form-data", b"text/plain", b""]
    ),
    st.booleans(),
)  # fmt: skip
def test_any_form(caller: Caller, path: str, body: bytes, media: bytes, whose: bool) -> None:
    # With the secret that a form of ours would have, or nothing behind it would be tried.
    secret = caller.it.house.sessions.form_field(caller.it.login_id if whose else "s")
    headers = [b"Content-Type: " + media, b"Cookie: " + FORM_COOKIE.encode() + b"=s"]
    caller.status(f"POST {path} HTTP/1.1", headers, body + b"&_xsrf=" + secret.encode(), whose)


@given(
    st.lists(
        st.one_of(header_values, st.sampled_from([b"Host: x", b"A: b", b" c", b""])), max_size=5
    ),
    words,
)
def test_any_head(caller: Caller, lines: list[bytes], target: str) -> None:
    # Behind it stands a plain poll, which ends the connection whatever the head was.
    headers = [*lines, b"", b"", b"GET /poll HTTP/1.1", b"Host: localhost"]
    caller.status(f"GET /{target} HTTP/1.1", headers, whose=False)
