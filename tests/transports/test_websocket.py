"""The seam under Tornado: the same bytes as `write_message`, RFC 6455 on a real socket, slow readers."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from chatserver.core import framing
from tests.conftest import FAST
from tests.core.test_framing import client_frame
from tests.support.clients import EventsReader, Person, Reader, WebSocketReader, opened
from tests.support.process import ServerProcess

SLOW = ("--stuck-s", "3", "--heartbeat-s", "2", "--silence-s", "2", *FAST)


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that soon gives up on silent and stuck clients."""
    with ServerProcess(tmp_path_factory.mktemp("data"), *SLOW) as running:
        yield running
        assert running.stop() == 0
    assert running.complaints() == []


class RawSocket:
    """A WebSocket client that does just what it is told, with the bytes as they are."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def __init__(self) -> None:
        opened.append(self)

    async def close(self) -> None:
        self.writer.transport.abort()

    async def open(self, url: str, token: str, path: str = "/ws", early: bytes = b"") -> bytes:
        """Handshake, with `early` sent in the same packet; the answer's head."""
        host, port = url.removeprefix("http://").split(":")
        self.reader, self.writer = await asyncio.open_connection(host, int(port), limit=2**24)
        key = base64.b64encode(os.urandom(16)).decode()
        head = (
            f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: Bearer {token}\r\n\r\n"
        )
        self.writer.write(head.encode() + early)
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 30)

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def frame(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload."""
        async with asyncio.timeout(30):
            first, size = await self.reader.readexactly(2)
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return first & 0x0F, await self.reader.readexactly(size)

    async def frame_of(self, opcode: int) -> bytes:
        """The payload of the next frame with this opcode."""
        while True:
            got, payload = await self.frame()
            if got == opcode:
                return payload

    async def text_of(self, kind: str) -> dict[str, object]:
        """The next text frame of this type."""
        while True:
            fields: dict[str, object] = json.loads(await self.frame_of(framing.OP_TEXT))
            if fields["type"] == kind:
                return fields


@pytest.mark.parametrize("size", [2, 126, 70_000])
async def test_a_ready_frame_is_byte_for_byte_what_write_message_sends(size: int) -> None:
    payload = b'"' + b"x" * (size - 2) + b'"'

    class Sender(WebSocketHandler):
        def open(self) -> None:
            self.write_message(payload.decode())

    sockets = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(Application([("/ws", Sender)]))
    server.add_sockets(sockets)
    client = RawSocket()
    await client.open(f"http://127.0.0.1:{sockets[0].getsockname()[1]}", "")
    frame = framing.ws_text(payload)
    assert await asyncio.wait_for(client.reader.readexactly(len(frame)), 10) == frame
    server.stop()
    await server.close_all_connections()


async def test_the_handshake_is_tornados_and_the_first_frame_is_the_hello(
    server: ServerProcess,
) -> None:
    bob = await Person.register(server.url, "Bob")
    client = RawSocket()
    hasty = client_frame(1, b'{"type":"ping"}')
    head = await client.open(server.url, bob.token, early=hasty)
    assert head.startswith(b"HTTP/1.1 101 ")
    opcode, payload = await client.frame()
    assert opcode == framing.OP_TEXT and json.loads(payload)["type"] == "hello"
    await client.text_of("presence")
    await client.text_of("pong")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (client_frame(1, b"\xff"), 1007),
        (client_frame(1, b"x" * 65_537), 1009),
        (b"\x81\x02hi", 1002),
        (client_frame(8, struct.pack("!H", 1005)), 1002),
        (client_frame(8, struct.pack("!H", 1000)), 1000),
        (client_frame(8, struct.pack("!H", 4999) + b"bye"), 4999),
        (client_frame(1, b"{}") * 10, 4500),
        (client_frame(2, b"\x00") * 10, 4500),
    ],
)
async def test_a_client_is_closed_with_the_code_it_earned(
    server: ServerProcess, data: bytes, code: int
) -> None:
    bob = await Person.register(server.url, "Bob")
    client = RawSocket()
    await client.open(server.url, bob.token)
    client.send(data)
    payload = await client.frame_of(framing.OP_CLOSE)
    assert struct.unpack("!H", payload[:2]) == (code,)
    assert await asyncio.wait_for(client.reader.read(), 30) == b"", "then the connection ends"


async def test_a_ping_is_answered_with_its_own_payload(server: ServerProcess) -> None:
    bob = await Person.register(server.url, "Bob")
    client = RawSocket()
    await client.open(server.url, bob.token)
    client.send(client_frame(9, b"are you there"))
    assert await client.frame_of(framing.OP_PONG) == b"are you there"


async def test_one_bad_frame_is_answered_with_an_error_and_the_connection_goes_on(
    server: ServerProcess,
) -> None:
    bob = await Person.register(server.url, "Bob")
    reader = WebSocketReader(server.url, bob.token)
    await reader.connect()
    await reader.say(type="nonsense")
    error = await reader.next_signal("error")
    assert error["code"] == "bad_request" and error["detail"]
    await reader.say(type="send", text="", clientId="c1")
    error = await reader.next_signal("error")
    assert error["code"] == "invalid_field" and error["clientId"] == "c1"
    await reader.say(type="send", text="good", clientId="c2")
    ack = await reader.next_signal("ack")
    assert ack["clientId"] == "c2" and ack["seq"] > 0 and ack["at"] > 0


async def test_a_client_id_that_cannot_be_written_back_is_refused_without_it(
    server: ServerProcess,
) -> None:
    """It used to break off the reading of the whole packet, with a traceback in the log."""

    bob = await Person.register(server.url, "Bob")
    client = RawSocket()
    await client.open(server.url, bob.token)
    for client_id in (r"\ud800", "ok"):
        text = f'{{"type":"send","text":"hi","clientId":"{client_id}"}}'
        client.send(client_frame(framing.OP_TEXT, text.encode()))
    error = await client.text_of("error")
    assert error["code"] == "invalid_field" and "clientId" not in error
    assert (await client.text_of("ack"))["clientId"] == "ok"


async def test_a_pipelined_burst_is_acknowledged_and_echoed_in_order(server: ServerProcess) -> None:
    bob = await Person.register(server.url, "Bob")
    reader = WebSocketReader(server.url, bob.token)
    await reader.connect()
    for number in range(300):
        await reader.say(type="send", text=f"{number}", clientId=f"{number}")
    texts: list[str] = []
    acks: list[str] = []
    async with asyncio.timeout(20):
        while len(texts) < 300 or len(acks) < 300:
            fields = json.loads(await reader.receive())
            if fields["type"] == "message":
                texts.append(fields["text"])
            elif fields["type"] == "ack":
                acks.append(fields["clientId"])
    assert texts == acks == [str(number) for number in range(300)]


async def test_a_silent_peer_is_gone_after_its_ping(impatient: ServerProcess) -> None:
    bob = await Person.register(impatient.url, "Bob")
    client = RawSocket()
    await client.open(impatient.url, bob.token)
    ping = await client.text_of("ping")
    assert isinstance(ping["at"], int)
    assert await client.frame_of(framing.OP_PING) == b""
    assert await asyncio.wait_for(client.reader.read(), 30) == b"", "cut without a word"


async def test_a_peer_that_answers_pings_stays(impatient: ServerProcess) -> None:
    bob = await Person.register(impatient.url, "Bob")
    reader = WebSocketReader(impatient.url, bob.token)
    await reader.connect()
    for _ in range(3):
        await reader.next_signal("ping")


@pytest.mark.parametrize("path", ["/ws", "/events"])
async def test_a_client_that_stops_reading_costs_the_others_nothing_and_is_closed(
    impatient: ServerProcess, path: str, tmp_path: Path
) -> None:
    ann, bob, cho = [await Person.register(impatient.url, name) for name in ("A", "B", "C")]
    await ann.befriend(bob)
    await ann.befriend(cho)
    stuck = RawSocket()
    if path == "/ws":
        await stuck.open(impatient.url, bob.token)
    else:
        events = EventsReader(impatient.url, bob.token)
        await events.connect()
        stuck.reader, stuck.writer = events.reader, events.writer
    stuck.writer.transport.pause_reading()  # type: ignore[attr-defined]
    healthy: Reader = WebSocketReader(impatient.url, cho.token)
    await healthy.connect()
    big = "x" * 4000
    seen = 0
    while (
        f'connections{{transport="{"websocket" if path == "/ws" else "sse"}"}} '
        + ("2.0" if path == "/ws" else "1.0")
        in (await ann.http.get("/metrics")).text
    ):
        sends = [ann.send(big) for _ in range(20)]
        await asyncio.gather(*sends)
        for _ in sends:
            assert json.loads(await healthy.next_event())["text"] == big
        seen += len(sends)
        assert seen < 20_000, "the stuck reader is closed at some time"
    await healthy.drop()
