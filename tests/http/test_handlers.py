"""What every handler shares, over pairs of sockets: bodies that are too large, CORS, policies, refusals for people."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from chatserver.core.origin import written_origin
from tests.support.inprocess import Inside, heard, inside

ORIGIN = "https://other.example"


async def ask(it: Inside, head: str, body: bytes = b"", more: str = "") -> tuple[str, bytes]:
    """The head, in small letters, and the body of the answer to one request that is the last."""
    end = it.pair()
    request = f"{head} HTTP/1.1\r\nHost: here:1\r\nConnection: close\r\n{more}\r\n"
    with contextlib.closing(end):
        with contextlib.suppress(ConnectionError):  # it was refused before all of it was sent
            await asyncio.get_running_loop().sock_sendall(end, request.encode() + body)
        answer = await heard(end)
    lines, _, rest = answer.partition(b"\r\n\r\n")
    return lines.decode("latin1").lower(), rest


async def test_a_body_that_is_too_large_is_refused_when_it_is_there(tmp_path: Path) -> None:
    async with inside(tmp_path) as it:
        size = it.house.settings.limits.body_bytes + 1
        more = f"Content-Type: application/json\r\nContent-Length: {size}\r\n"
        head, body = await ask(it, "POST /api/login", b"x" * size, more)
        assert " 413 " in head and b"too_large" in body
        chunks = b"".join(b"4000\r\n" + b"x" * 0x4000 + b"\r\n" for _ in range(80))
        head, body = await ask(it, "POST /api/login", chunks, "Transfer-Encoding: chunked\r\n")
        assert " 413 " in head and b"too_large" in body
        head, body = await ask(it, "POST /api/login", more=f"Content-Length: {2**40}\r\n")
        assert " 413 " in head or " 400 " in head
        assert it.house.active_requests == 0


async def test_whoever_goes_before_the_answer_is_not_counted_any_more(tmp_path: Path) -> None:
    async with inside(tmp_path) as it:
        end = it.pair()
        head = b"POST /api/login HTTP/1.1\r\nHost: here\r\nContent-Length: 50\r\n\r\n{"
        await asyncio.get_running_loop().sock_sendall(end, head)
        async with asyncio.timeout(30):
            while not it.house.active_requests:
                await asyncio.sleep(0)
            end.close()
            while it.house.active_requests:
                await asyncio.sleep(0)


async def test_a_named_origin_is_told_what_it_may_and_nobody_else_is(tmp_path: Path) -> None:
    async with inside(tmp_path, origin=(written_origin(ORIGIN),)) as it:
        preflight = "Access-Control-Request-Method: PATCH\r\n"
        for path in ("/api/me", "/events", "/poll"):
            named, _ = await ask(it, f"OPTIONS {path}", more=f"Origin: {ORIGIN}\r\n{preflight}")
            assert named.startswith("http/1.1 204") and "access-control-allow-methods" in named
            assert f"access-control-allow-origin: {ORIGIN}" in named
            other, _ = await ask(
                it, f"OPTIONS {path}", more=f"Origin: https://x.example\r\n{preflight}"
            )
            assert " 405 " in other and "access-control-allow-origin" not in other
            assert "vary: origin" in other
            no_preflight, _ = await ask(it, f"OPTIONS {path}", more=f"Origin: {ORIGIN}\r\n")
            assert " 405 " in no_preflight
        refused, _ = await ask(it, "GET /api/me", more=f"Origin: {ORIGIN}\r\n")
        assert " 401 " in refused and f"access-control-allow-origin: {ORIGIN}" in refused
        for path in ("/events", "/poll"):
            signed_out, _ = await ask(it, f"GET {path}", more=f"Origin: {ORIGIN}\r\n")
            assert f"access-control-allow-origin: {ORIGIN}" in signed_out


async def test_without_named_origins_nothing_is_said_of_them(tmp_path: Path) -> None:
    async with inside(tmp_path) as it:
        for path in ("/api/me", "/poll", "/events"):
            head, _ = await ask(it, f"GET {path}", more="Origin: http://here:1\r\n")
            assert "access-control" not in head and "vary: origin" not in head


async def test_a_page_names_its_own_host_alone_and_says_https_where_it_is(tmp_path: Path) -> None:
    async with inside(tmp_path, origin=(written_origin("https://here:1"),), hsts_s=60) as it:
        head, _ = await ask(it, "GET /")
        assert "connect-src 'self' wss://here:1;" in head
        assert "strict-transport-security: max-age=60" in head
        head, _ = await ask(it, "GET http://a'b/")
        assert "connect-src 'self';" in head, "a host that is none is not named"
    async with inside(tmp_path / "other") as it:
        head, _ = await ask(it, "GET /")
        assert "ws://here:1 wss://here:1;" in head and "strict-transport" not in head


@pytest.mark.parametrize(("language", "said"), [("en", b'lang="en"'), ("zh-CN", b'lang="zh')])
async def test_people_are_told_in_their_language_that_there_is_nothing(
    tmp_path: Path, language: str, said: bytes
) -> None:
    async with inside(tmp_path) as it:
        head, body = await ask(it, "GET /nowhere", more=f"Accept-Language: {language}\r\n")
        assert " 404 " in head and "text/html" in head and said in body
        head, body = await ask(it, "GET /api/nowhere")
        assert " 404 " in head and b'"not_found"' in body
        head, body = await ask(it, "DELETE /api/login")
        assert " 405 " in head and "allow: " in head


async def test_a_failure_is_a_sentence_and_one_line_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with inside(tmp_path) as it:
        monkeypatch.setattr(it.house.admission, "ask", lambda *_, **__: 1 / 0)
        for path in ("/api/me", "/events"):
            head, body = await ask(it, f"GET {path}")
            assert " 500 " in head and b"ZeroDivisionError" not in body
    assert [r for r in caplog.records if r.exc_info and "failed" in r.getMessage()]
