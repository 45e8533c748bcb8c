"""Connections that ask without a pause: each request is paid for, and what others feel is little."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.support.clients import Person
from tests.support.probe import Probe
from tests.support.process import ServerProcess
from tests.traffic.test_attacks import bearable_ms, metric

CONNECTIONS = 20
AT_ONCE = 50
"""Requests that are written in one piece."""


@contextmanager
def flood(port: int, request: bytes) -> Iterator[list[bytes]]:
    """Ask the same over all connections, without a pause, from a thread; what was answered, in pieces."""
    over, heard = threading.Event(), list[bytes]()

    def come() -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setblocking(False)
        return sock

    sockets = [come() for _ in range(CONNECTIONS)]

    def ask() -> None:
        while not over.wait(0.002):
            for at, sock in enumerate(sockets):
                try:
                    with suppress(BlockingIOError):
                        sock.send(request * AT_ONCE)
                    with suppress(BlockingIOError):
                        heard.append(sock.recv(1 << 16))
                except OSError:  # it was turned away
                    sock.close()
                    sockets[at] = come()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield heard
    finally:
        over.set()
        thread.join()
        for sock in sockets:
            sock.close()


@pytest.fixture
def plain(data: Path) -> Iterator[ServerProcess]:
    """A server whose rates are soon used up, also where the machine is slow."""
    user = ("--http-rate", "250", "--http-burst", "60", "--connections-per-user", "25")
    address = ("--http-rate-per-address", "20", "--http-burst-per-address", "100")
    with ServerProcess(data, *user, *address) as running:
        yield running
        assert running.stop() == 0
    assert running.complaints() == []


@pytest.mark.parametrize("path", ["/api/me", "/poll?wait=0", "/classic"])
@pytest.mark.parametrize("signed_in", [True, False])
async def test_twenty_connections_that_ask_without_a_pause_cost_another_user_little(
    plain: ServerProcess, path: str, signed_in: bool
) -> None:
    eve, ann = await Person.register(plain.url, "Eve"), await Person.register(plain.url, "Ann")
    token = f"Authorization: Bearer {eve.token}\r\n" if signed_in else ""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{plain.port}\r\n{token}\r\n".encode()
    bearable = await bearable_ms(plain.port)
    assert (await ann.http.get("/api/me")).status_code == 200  # her token is known from now on
    before = metric((await ann.http.get("/metrics")).text, "requests_refused_total")
    with flood(plain.port, request) as heard:
        while b" 429 " not in b"".join(heard):
            await asyncio.sleep(0.02)
        with Probe(plain.port, "/api/me", ann.token) as probe:
            await asyncio.sleep(1.0)
    assert probe.kept.failed == probe.new.failed == 0
    assert probe.kept.p99_ms < bearable
    refusals = re.findall(rb" 429 .*?\r\n\r\n", b"".join(heard), re.DOTALL)
    assert refusals and all(b"Retry-After: " in each for each in refusals)
    refused = metric((await ann.http.get("/metrics")).text, "requests_refused_total") - before
    assert refused >= CONNECTIONS
    if signed_in:  # a connection that was refused rests for a second
        assert refused < 15 * CONNECTIONS


async def test_whoever_cannot_pay_is_turned_away_at_the_door_and_others_come_in(
    data: Path,
) -> None:
    options = ("--http-rate-per-address", "0.01", "--http-burst-per-address", "4")
    with ServerProcess(data, *options) as server:
        ann = await Person.register(server.url, "Ann")
        assert (await ann.http.get("/api/me")).status_code == 200  # her token is known from now on
        head = f"Host: 127.0.0.1:{server.port}\r\n"
        for _ in range(4):
            await asyncio.to_thread(
                _said, server.port, f"GET /api/me HTTP/1.1\r\n{head}Connection: close\r\n\r\n"
            )
        form = "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        for line, more in (
            ("GET /api/me", "\r\n"),
            ("HEAD /classic", "\r\n"),
            ("POST /api/register", form),
            ("GET /ws", "Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
            ("GET /events", "Cookie: a=b\r\n\r\n"),
            ("GET /api/me?q=1", "Authorization: Bearer cst_nobodys\r\n\r\n"),
        ):
            answer = await asyncio.to_thread(_said, server.port, f"{line} HTTP/1.1\r\n{head}{more}")
            top, _, body = answer.partition(b"\r\n\r\n")
            assert top.startswith(b"HTTP/1.1 429 ") and b"Retry-After: " in top, line
            assert b"Connection: close" in top, "answered before a parser is asked"
            assert body.startswith(b'{"') != line.startswith("HEAD"), line
        token = f"Authorization: Bearer {ann.token}\r\nConnection: close\r\n\r\n"
        for line in ("GET /api/me", "GET /healthz"):
            answer = await asyncio.to_thread(
                _said, server.port, f"{line} HTTP/1.1\r\n{head}{token}"
            )
            assert answer.startswith(b"HTTP/1.1 200 "), line
        assert server.stop() == 0
    assert server.complaints() == []


def _said(port: int, request: str) -> bytes:
    """What is answered until the connection is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.sendall(request.encode())
        answer = b""
        while data := sock.recv(65536):
            answer += data
    return answer


async def test_a_page_that_asks_for_more_files_than_can_be_paid_gets_every_one(data: Path) -> None:
    options = ("--http-burst", "4", "--http-rate", "10", "--connections-per-user", "2")
    with ServerProcess(data, *options) as server:
        ann = await Person.register(server.url, "Ann")
        assert (await ann.http.get("/api/me")).status_code == 200
        head = f"Host: 127.0.0.1:{server.port}\r\nAuthorization: Bearer {ann.token}\r\n"
        one = f"HEAD /static/js/client.js HTTP/1.1\r\n{head}"
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(f"{one}\r\n".encode() * 29 + f"{one}Connection: close\r\n\r\n".encode())
        async with asyncio.timeout(20):
            answers = await reader.read(-1)
        writer.close()
        assert answers.count(b"HTTP/1.1 200 OK\r\n") == 30
        assert metric(httpx.get(f"{server.url}/metrics").text, "requests_held_total") > 0


async def test_a_client_that_polls_as_fast_as_it_can_write_is_not_held_up(
    plain: ServerProcess,
) -> None:
    ann, bob = await Person.register(plain.url, "Ann"), await Person.register(plain.url, "Bob")
    await ann.befriend(bob)
    cursor = (await bob.http.get("/poll?wait=0")).json()["cursor"]
    for number in range(20):
        await ann.send(f"{number}")
        answer = (await bob.http.get(f"/poll?after={cursor}&wait=20&client=b")).json()
        cursor = answer["cursor"]
        assert [event["text"] for event in answer["events"]] == [f"{number}"]


async def test_a_page_of_a_named_origin_reads_that_it_asks_too_fast(data: Path) -> None:
    origin = {"Origin": "https://other.example"}
    options = ("--http-rate-per-address", "0.01", "--http-burst-per-address", "1")
    with ServerProcess(data, *options, "--origin", origin["Origin"]) as server:
        async with httpx.AsyncClient(base_url=server.url, headers=origin) as http:
            answers = [await http.get(path) for path in ("/api/me", "/api/me", "/poll")]
    assert [answer.status_code for answer in answers] == [401, 429, 429]
    for answer in answers:
        assert answer.headers["Access-Control-Allow-Origin"] == origin["Origin"]
