"""Heads that are none, too long, or the last of their connection: the same answer on a fresh and on a polling one."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders
from tornado.websocket import WebSocketProtocol13

from chatserver.core.addresses import network
from chatserver.core.limits import Limits
from chatserver.http.heads import HEAD_BYTES, HEAD_LINES
from chatserver.transports.watched import CHUNKS_MAX
from tests.support.inprocess import Inside, heard, inside
from tests.support.turns import settle

ANSWER = re.compile(rb"HTTP/1\.1 (\d+) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n")


def answers(data: bytes, method: str = "GET") -> list[tuple[int, Any]]:
    """Status and JSON (or length) of each answer."""
    found: list[tuple[int, Any]] = []
    while data:
        match = ANSWER.match(data)
        assert match is not None, data[:200]
        length = re.search(rb"(?i)^content-length: (\d+)", match[2], re.MULTILINE)
        size = 0 if length is None else int(length[1])
        body = data[match.end() : match.end() + size]
        data = data[match.end() + size :]
        found.append((int(match[1]), json.loads(body) if body.startswith(b"{") else size))
    return found


@asynccontextmanager
async def connection(it: Inside, polling: bool) -> AsyncIterator[socket.socket]:
    """A connection, fresh or one that has polled."""
    loop, end = asyncio.get_running_loop(), it.pair()
    try:
        if polling:
            await loop.sock_sendall(end, poll(it))
            async with asyncio.timeout(30):
                assert (await loop.sock_recv(end, 4096)).startswith(b"HTTP/1.1 200 ")
        yield end
    finally:
        end.close()


def poll(it: Inside, more: str = "", target: str = "/poll?wait=0", version: str = "1.1") -> bytes:
    """A poll that is answered at once."""
    head = f"GET {target} HTTP/{version}\r\nHost: localhost\r\nAuthorization: Bearer {it.token}\r\n"
    return f"{head}{more}\r\n".encode("latin1")


def message(it: Inside, text: str = "behind") -> bytes:
    """A request that writes a message."""
    body = json.dumps({"text": text})
    head = f"POST /api/messages HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {it.token}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return f"{head}{body}".encode()


async def said(it: Inside, end: socket.socket, data: bytes) -> list[tuple[int, Any]]:
    """What is answered to these bytes until the server ends."""
    await asyncio.get_running_loop().sock_sendall(end, data)
    return answers(await heard(end))


both = pytest.mark.parametrize("polling", [False, True], ids=["fresh", "polling"])

NO_HEADS = {
    "a NUL in the target": b"GET /poll?a=\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a tab in the target": b"GET /poll?a=\t HTTP/1.1\r\nHost: x\r\n\r\n",
    "an escape in the target": b"GET /poll?\x1b HTTP/1.1\r\nHost: x\r\n\r\n",
    "no ASCII in the target": b"GET /poll?a=\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
    "no headers": b"GET /poll HTTP/1.1\r\n\r\n",
    "no Host": b"GET /poll HTTP/1.1\r\nAccept: */*\r\n\r\n",
    "an empty Host": b"GET /poll HTTP/1.1\r\nHost:\r\n\r\n",
    "two Hosts": b"GET /poll HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "the same Host twice": b"GET /poll HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "two Hosts in one": b"GET /poll HTTP/1.1\r\nHost: a, b\r\n\r\n",
    "a Host of 301 characters": b"GET /x HTTP/1.1\r\nHost: %b\r\n\r\n" % (b"a" * 301),
    "a port of six digits": b"GET /x HTTP/1.1\r\nHost: a:000080\r\n\r\n",
    "a port of 5,000 digits": b"GET /x HTTP/1.1\r\nHost: a:%b\r\n\r\n" % (b"1" * 5000),
    "a target's port of 5,000 digits": b"GET http://a:%b/x HTTP/1.1\r\nHost: a\r\n\r\n" % (b"1" * 5000),
    "a Host with a path": b"GET /poll HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "a folded line": b"GET /poll HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "a space before the colon": b"GET /poll HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
    "a space in a name": b"GET /poll HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n",
    "no name": b"GET /poll HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n",
    "no colon": b"GET /poll HTTP/1.1\r\nHost: x\r\nAb\r\n\r\n",
    "a NUL in a value": b"GET /poll HTTP/1.1\r\nHost: x\r\nA: \x00\r\n\r\n",
    "a lone CR in a value": b"GET /poll HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
    "no version": b"GET /poll\r\nHost: x\r\n\r\n",
    "another protocol": b"GET /poll HTCPCP/1.0\r\nHost: x\r\n\r\n",
    "two spaces": b"GET  /poll HTTP/1.1\r\nHost: x\r\n\r\n",
    "a length that is no digit": b"POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: \xb2\r\n\r\n",
    "a length of 5,000 digits": b"POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: %b\r\n\r\n"
    % (b"1" * 5000),
    "a length with a sign": b"POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc",
    "two lengths": b"POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "an empty length": b"GET /poll HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n",
    "chunks over HTTP/1.0": b"POST /api/login HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "garbage": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
}  # fmt: skip


@both
@pytest.mark.parametrize("name", NO_HEADS)
async def test_what_is_no_head_is_a_bad_request_as_a_problem_and_the_end(
    tmp_path: Path, polling: bool, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with inside(tmp_path) as it, connection(it, polling) as end:
        got = await said(it, end, NO_HEADS[name] + poll(it))
        assert [(status, problem["code"]) for status, problem in got] == [(400, "bad_request")]
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


@both
async def test_a_line_end_without_cr_ends_a_head_where_tornado_says(
    tmp_path: Path, polling: bool
) -> None:
    async with inside(tmp_path) as it, connection(it, polling) as end:
        token = f"Authorization: Bearer {it.token}".encode()
        first = b"GET /poll?wait=0 HTTP/1.1\nHost: localhost\n" + token + b"\n\n"
        second = poll(it, "Connection: close\r\n", "/poll?after=x")
        assert [status for status, _ in await said(it, end, first + second)] == [200, 400]


@both
@pytest.mark.parametrize("whole", [False, True], ids=["endless", "whole"])
async def test_a_head_that_is_too_long_is_answered(
    tmp_path: Path, polling: bool, whole: bool
) -> None:
    async with inside(tmp_path) as it, connection(it, polling) as end:
        data = b"GET /poll HTTP/1.1\r\nHost: localhost\r\nCookie: " + b"x" * 20 * HEAD_BYTES
        got = await said(it, end, data + (b"\r\n\r\n" if whole else b""))
        assert [(status, problem["code"]) for status, problem in got] == [(431, "header_too_large")]


@both
async def test_a_head_is_as_long_as_it_may_be(tmp_path: Path, polling: bool) -> None:
    async with inside(tmp_path) as it:
        for size, status in ((HEAD_BYTES, 200), (HEAD_BYTES + 1, 431)):
            async with connection(it, polling) as end:
                rest = size - len(poll(it, "Connection: close\r\nX: \r\n"))
                data = poll(it, f"Connection: close\r\nX: {'x' * rest}\r\n")
                assert len(data) == size
                assert [got for got, _ in await said(it, end, data)] == [status]


@both
@pytest.mark.parametrize("name", ["x", "x%d"], ids=["one name", "many"])
async def test_a_head_has_as_many_lines_as_it_may(tmp_path: Path, polling: bool, name: str) -> None:
    """2,800 short ones were 7 ms of the loop, for the price of one poll."""
    async with inside(tmp_path) as it:
        lines = [(name % n if "%" in name else name) + ": y\r\n" for n in range(HEAD_LINES)]
        own = poll(it, "Connection: close\r\n").count(b"\r\n") - 2
        for count, status in ((HEAD_LINES - own, 200), (HEAD_LINES - own + 1, 431)):
            async with connection(it, polling) as end:
                data = poll(it, "Connection: close\r\n" + "".join(lines[:count]))
                got = await said(it, end, data)
                assert [got for got, _ in got] == [status]


async def test_the_lines_of_a_body_are_not_those_of_a_head(tmp_path: Path) -> None:
    async with inside(tmp_path) as it, connection(it, False) as end:
        body = "\n" * 5000 + "{}"
        more = f"Connection: close\r\nContent-Length: {len(body)}\r\nContent-Type: application/json\r\n"
        data = poll(it, more, "/api/login").replace(b"GET", b"POST") + body.encode()
        assert [status for status, _ in await said(it, end, data)] == [422]


async def test_a_line_that_is_no_size_of_a_chunk_is_answered(tmp_path: Path) -> None:
    async with inside(tmp_path) as it, connection(it, False) as end:
        head = poll(it, "Transfer-Encoding: chunked\r\n", "/api/login").replace(b"GET", b"POST")
        got = await said(it, end, head + b"1" * 5000 + b"\r\n")
        assert [(status, problem["code"]) for status, problem in got] == [(400, "bad_request")]


async def test_a_body_comes_in_so_many_chunks(tmp_path: Path) -> None:
    """64 KB in chunks of a byte were 100 ms of the loop, for the price of one request; 1,000 were 10 ms, and that was too much."""
    assert CHUNKS_MAX <= 128
    async with inside(tmp_path) as it:
        for count, code in ((CHUNKS_MAX - 1, "unsupported_media_type"), (11_000, "bad_request")):
            async with connection(it, False) as end:
                head = poll(
                    it, "Connection: close\r\nTransfer-Encoding: chunked\r\n", "/api/login"
                ).replace(b"GET", b"POST")
                got = await said(it, end, head + b"1\r\nx\r\n" * count + b"0\r\n\r\n")
                assert [problem["code"] for _, problem in got] == [code]


async def test_the_chunks_of_each_request_are_its_own(tmp_path: Path) -> None:
    async with inside(tmp_path) as it, connection(it, False) as end:
        first, last = "", "Connection: close\r\n"
        data = b"".join(
            poll(it, f"{more}Transfer-Encoding: chunked\r\n", "/api/login").replace(b"GET", b"POST")
            + b"1\r\nx\r\n" * (CHUNKS_MAX - 1)
            + b"0\r\n\r\n"
            for more in (first, last)
        )
        got = await said(it, end, data)
        assert [problem["code"] for _, problem in got] == ["unsupported_media_type"] * 2


async def test_extensions_that_are_offered_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[object] = []
    parse = WebSocketProtocol13._parse_extensions_header

    def spy(protocol: WebSocketProtocol13, headers: HTTPHeaders) -> Any:
        read.append(parse(protocol, headers))
        return read[-1]

    monkeypatch.setattr(WebSocketProtocol13, "_parse_extensions_header", spy)
    upgrade = (
        "Connection: Upgrade, x\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        f"Sec-WebSocket-Extensions: {'a;b=c,' * 2000}d\r\n"
    )
    async with inside(tmp_path) as it, connection(it, False) as end:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(end, poll(it, upgrade, "/ws"))
        async with asyncio.timeout(5):
            assert (await loop.sock_recv(end, 4096)).startswith(b"HTTP/1.1 101 ")
    assert read == [[]]


LAST = {
    "close": ("1.1", "Connection: close\r\n"),
    "close among others": ("1.1", "Connection: Keep-Alive, Close\r\n"),
    "HTTP/1.0": ("1.0", ""),
    "HTTP/1.0 and an option": ("1.0", "Connection: TE\r\n"),
}


@both
@pytest.mark.parametrize("name", LAST)
@pytest.mark.parametrize("target", ["/poll?wait=0", "/api/me", "/nowhere"])
async def test_what_is_asked_behind_the_last_request_is_not_done(
    tmp_path: Path, polling: bool, name: str, target: str
) -> None:
    version, more = LAST[name]
    async with inside(tmp_path) as it, connection(it, polling) as end:
        last = poll(it, more, target, version)
        assert len(await said(it, end, last + message(it) + poll(it))) == 1
        async with connection(it, False) as other:
            asked = message(it, "later") + poll(it, "Connection: close\r\n", "/api/messages")
            (status, _), (_, history) = await said(it, other, asked)
        assert status == 201
        assert [one["text"] for one in history["messages"]] == ["later"]


@both
async def test_a_target_in_absolute_form_is_the_same(tmp_path: Path, polling: bool) -> None:
    async with inside(tmp_path) as it, connection(it, polling) as end:
        targets = ("http://localhost/poll?wait=0", "HTTPS://localhost:1/poll?wait=0&after=0")
        data = b"".join(poll(it, target=target) for target in (*targets, "http://x/api/me"))
        got = await said(it, end, data + poll(it, "Connection: close\r\n", "http://localhost"))
        assert [status for status, _ in got] == [200, 200, 200, 200]
        assert "events" in got[0][1] and got[2][1]["user"]["id"] == it.user_id


async def test_the_host_of_an_absolute_target_counts(tmp_path: Path) -> None:
    async with inside(tmp_path) as it, connection(it, False) as end:
        asked = poll(it, "Origin: http://other\r\n", "http://other/poll?wait=0")
        asked = asked.replace(
            b"Authorization: Bearer", b"X:"
        )  # with a token, no origin is asked for
        foreign = poll(it, "Connection: close\r\nOrigin: http://other\r\n", "/poll?wait=0")
        foreign = foreign.replace(b"Authorization: Bearer", b"X:")
        assert [status for status, _ in await said(it, end, asked + foreign)] == [401, 403]


@pytest.mark.parametrize("target", ["/api/me", "/poll?wait=0", "/classic"])
@pytest.mark.parametrize("shared", [True, False])
async def test_what_a_proxy_sends_for_somebody_else_does_not_wait_behind_a_refusal(
    tmp_path: Path, target: str, shared: bool
) -> None:
    """It gives the connection to whoever asks next. So that ends; one that nobody shares is not read for a while."""
    loop = asyncio.get_running_loop()
    limits = Limits(http_burst_per_address=1, http_rate_per_address=0.001)
    # What Tornado and the connection say of the peer of a pair of sockets.
    proxies = (network("0.0.0.0"), network("127.0.0.1")) if shared else ()
    asked = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.5\r\n\r\n"
    async with inside(tmp_path, limits=limits, trusted_proxy=proxies) as it:
        with it.pair() as end:
            said = b""
            async with asyncio.timeout(30):
                while b" 429 " not in said:
                    await loop.sock_sendall(end, asked.encode())
                    said = await loop.sock_recv(end, 65536)
            assert (b"\r\nConnection: close\r\n" in said) is shared
            if shared:
                assert await heard(end) == b""
                return
            await loop.sock_sendall(end, asked.encode())
            await settle()
            with pytest.raises(BlockingIOError):
                end.recv(1)
