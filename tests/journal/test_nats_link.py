"""The connection to NATS: it comes back by itself, and says in a sentence why it cannot be had."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from chatserver.core.errors import Unavailable
from chatserver.journal import nats_link
from chatserver.journal.nats_link import Access, NatsLink
from chatserver.journal.refusal import OrderRefused
from tests.support.nats_server import TOKEN, NatsServer


@asynccontextmanager
async def linked(server: NatsServer) -> AsyncIterator[NatsLink]:
    link = NatsLink([server.uri], "test", Access(token=TOKEN), wait_s=20)
    await link.connect()
    try:
        yield link
    finally:
        await link.close()


async def until(what: Callable[[], object], limit_s: float = 30.0) -> None:
    async with asyncio.timeout(limit_s):
        while not what():
            await asyncio.sleep(0.005)


async def test_what_was_heard_is_heard_after_a_restart_and_a_freeze(
    own_nats: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with linked(own_nats) as link:
        heard: list[bytes] = []
        again: list[None] = []
        link.on_connected.append(lambda: again.append(None))
        await link.subscribe("a.*", lambda message: heard.append(message.data))
        assert link.publish("a.b", b"first")
        await until(lambda: heard == [b"first"])
        own_nats.kill()
        await until(lambda: not link.connected)
        assert not link.publish("a.b", b"nobody is told that this was sent")
        with pytest.raises(Unavailable):
            await link.request("a.b")
        own_nats.start()
        await until(lambda: again)
        assert link.publish("a.b", b"second")
        await until(lambda: heard == [b"first", b"second"])
        own_nats.freeze()
        await until(lambda: not link.connected)
        own_nats.thaw()
        await until(lambda: len(again) == 2)
        assert link.publish("a.b", b"third")
        await until(lambda: heard[-1] == b"third")
    assert "connected to NATS again" in caplog.text


def ears() -> int:
    """Tasks of the library that wait for messages."""
    tasks = [str(task.get_coro()) for task in asyncio.all_tasks()]
    return sum("_wait_for_msgs" in task for task in tasks)


async def test_a_connection_that_ends_with_much_to_send_leaves_nothing_behind(
    own_nats: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with linked(own_nats) as link:
        again: list[None] = []
        link.on_connected.append(lambda: again.append(None))
        await link.subscribe("a.*", lambda message: None)
        before = ears()
        own_nats.kill()
        for n in range(2000):
            link.publish("b.c", bytes(4000))
            if n % 50 == 0:
                await asyncio.sleep(0)
        own_nats.start()
        await until(lambda: again)
        assert ears() == before
    caplog.clear()


async def test_one_who_fails_on_a_message_hears_the_next(
    nats: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with linked(nats) as link:
        heard: list[int] = []
        hearing = await link.subscribe("b", lambda message: heard.append(1 // int(message.data)))
        for number in (b"0", b"1"):
            link.publish("b", number)
        await until(lambda: heard == [1])
        assert "somebody failed on a message to b" in caplog.text
        await link.unsubscribe(hearing)
        link.publish("b", b"1")
        # A request comes back after what was sent before it.
        await link.request("$JS.API.INFO")
        assert heard == [1]
    caplog.clear()


async def test_what_cannot_be_reached_or_lets_nobody_in_is_a_sentence(nats: NatsServer) -> None:
    for access in (Access(), Access(token="wrong")):
        with pytest.raises(OrderRefused, match=r"NATS refuses this server \(.*Authorization"):
            await NatsLink([nats.uri], "test", access).connect()
    nobody = NatsLink(["nats://127.0.0.1:1"], "test", wait_s=0.1)
    with pytest.raises(OrderRefused, match=r"127.0.0.1:1: Connection refused\): start it, or"):
        await nobody.connect()


async def test_an_older_nats_is_refused() -> None:
    """One that says so of itself: an older one cannot be had beside the one that is installed."""
    about = {"server_id": "old", "version": "2.14.3", "proto": 1, "max_payload": 1 << 20}

    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"INFO " + json.dumps(about).encode() + b"\r\n")
        while line := await reader.readline():
            if line.startswith(b"PING"):
                writer.write(b"PONG\r\n")
        writer.close()

    async with await asyncio.start_server(say, "127.0.0.1", 0) as old:
        port = old.sockets[0].getsockname()[1]
        link = NatsLink([f"nats://127.0.0.1:{port}"], "test")
        with pytest.raises(OrderRefused, match=f"{port}: NATS 2.14 is too old: install 2.15"):
            await link.connect()
        await link.close()


@pytest.mark.parametrize(
    "uri", ["", "a", "nats://", "http://a", "nats://u:secret@a:0", "nats://a:99999"]
)
def test_an_address_that_makes_no_sense_is_refused(uri: str) -> None:
    with pytest.raises(OrderRefused, match="no address of NATS") as refused:
        NatsLink([uri], "test")
    assert "secret" not in str(refused.value)


def test_without_an_address_there_is_no_link() -> None:
    with pytest.raises(OrderRefused, match="No NATS server is named"):
        NatsLink([], "test")


async def test_a_server_that_was_replaced_by_an_older_one_is_not_taken(
    own_nats: NatsServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By another version that this process would need: there is one of them to run."""
    async with linked(own_nats) as link:
        own_nats.kill()
        await until(lambda: not link.connected)
        monkeypatch.setattr(nats_link, "OLDEST", (99, 0))
        own_nats.start()
        await until(lambda: "is too old" in link._trouble)
        assert not link.connected
        monkeypatch.undo()
        await until(lambda: link.connected)
    caplog.clear()


async def test_a_link_that_is_closed_while_there_is_no_server_ends(
    own_nats: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    again: list[None] = []
    async with linked(own_nats) as link:
        own_nats.kill()
        await until(lambda: not link.connected)
        link.on_connected.append(lambda: again.append(None))
        await until(lambda: "Connection refused" in link._trouble)
        keeping = link._keeping
        assert keeping is not None
        link._closing = (
            True  # as `close` has it, which cancels besides, and the library may lose that
        )
        await asyncio.wait([keeping], timeout=30)
        assert keeping.done() and not again and "connected to NATS again" not in caplog.text
    assert not link.publish("a", b"")
    caplog.clear()


async def test_a_server_that_says_nothing_is_said_not_to_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(nats_link, "CONNECT_S", 0.05)

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        link = NatsLink([f"nats://127.0.0.1:{port}"], "test", wait_s=0.0)
        with pytest.raises(OrderRefused, match=f"{port}: it does not answer"):
            await link.connect()
        await link.close()
