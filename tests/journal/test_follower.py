"""Following a stream is exact whatever comes: a gap, a repeat, an append of which a part is there, another version."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from nats.aio.msg import Msg

from chatserver.core.events import Audience, Draft
from chatserver.journal import follower as module
from chatserver.journal.envelope import Placed, encode
from chatserver.journal.follower import StreamFollower
from chatserver.journal.repeats import Repeats
from chatserver.journal.stream import State


class Server:
    """The stream and the connection that a follower has, as far as it uses them; each consumer as it was asked for."""

    def __init__(self, first_seq: int = 1) -> None:
        self.name = "CHAT"
        self.repeats = Repeats()
        self.link = self
        self.connected = True
        self.on_connected: list[Callable[[], None]] = []
        self.consumers: list[dict[str, Any]] = []
        self.said: list[str] = []
        self.first_seq = first_seq
        self.made = asyncio.Event()
        self._hear: Callable[[Msg], None] = lambda message: None

    async def state(self) -> State:
        return State(self.first_seq, 100, 1)

    def new_inbox(self) -> str:
        return "inbox"

    async def subscribe(self, subject: str, hear: Callable[[Msg], None]) -> object:
        self._hear = hear
        return hear

    async def unsubscribe(self, hearing: object) -> None: ...

    async def request(self, subject: str, data: bytes) -> Any:
        self.consumers.append(orjson.loads(data)["config"])
        self.made.set()
        return SimpleNamespace(data=b"{}")

    def publish(self, subject: str, data: bytes) -> bool:
        self.said.append(subject)
        return True

    def put(
        self, seq: int, counted: int, data: bytes, headers: dict[str, str] | None = None
    ) -> None:
        reply = f"$JS.ACK.CHAT.c.1.{seq}.{counted}.1000000.0"
        message: Any = SimpleNamespace(data=data, reply=reply, headers=headers)
        self._hear(message)

    async def another(self) -> int:
        """The seq from which the next consumer begins that is asked for."""
        async with asyncio.timeout(10):
            await self.made.wait()
        self.made.clear()
        return int(self.consumers[-1]["opt_start_seq"])


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence, by which everything is mended in the end, mends nothing here."""
    monkeypatch.setattr(module, "SILENT_S", 1e9)


@asynccontextmanager
async def following(server: Any, after: int = 0) -> AsyncIterator[tuple[StreamFollower, list[int]]]:
    seqs: list[int] = []

    def hand_on(turn: list[Placed]) -> None:
        seqs.extend(each.event.seq for each in turn)

    follower = StreamFollower(server, "n", hand_on)
    await follower.start(after)
    try:
        yield follower, seqs
    finally:
        await follower.close()


def message() -> bytes:
    return parts_of(1)[0]


def parts_of(count: int) -> list[bytes]:
    drafts = [Draft("message", Audience.FRIENDS, "ann", None, {"n": n}) for n in range(count)]
    return encode(drafts, "node", 1)


async def some_turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_where_a_message_is_missing_the_stream_is_followed_anew_from_there() -> None:
    server = Server()
    async with following(server) as (follower, seqs):
        assert await server.another() == 1
        server.put(5, 1, message())
        server.put(9, 3, message())  # the second is lost
        server.put(10, 4, message())
        assert await server.another() == 6
        assert seqs == [5] == [follower.last_seq]
        server.put(7, 1, message())
        server.put(9, 2, message())
        await some_turns()
        assert seqs == [5, 7, 9] and not follower.broken


async def test_what_was_handed_on_comes_no_second_time() -> None:
    server = Server()
    async with following(server, 4) as (_, seqs):
        assert await server.another() == 5
        server.put(4, 1, message())
        assert await server.another() == 5
        server.put(5, 1, message())
        await some_turns()
        assert seqs == [5]


async def test_a_heartbeat_that_counts_more_than_came_is_a_gap() -> None:
    server = Server()
    async with following(server) as (_, seqs):
        await server.another()
        server.put(3, 1, message())
        server.put(0, 0, b"", {"Status": "100", "Nats-Last-Consumer": "2"})
        assert await server.another() == 4 and seqs == [3]


async def test_of_an_append_all_is_handed_on_in_one_turn_or_nothing() -> None:
    server = Server()
    async with following(server) as (follower, seqs):
        await server.another()
        server.put(2, 1, message())
        parts = parts_of(3)
        server.put(3, 2, parts[0])
        server.put(4, 3, parts[1])
        await some_turns()
        assert seqs == [2] == [follower.last_seq]
        server.put(5, 4, parts[2])
        await some_turns()
        assert seqs == [2, 3, 4, 5]


@pytest.mark.parametrize("data", [message().replace(b"[1,", b"[2,", 1), b"[]\n{}", b"x", b""])
async def test_what_a_newer_version_wrote_is_not_followed_any_further(
    data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server()
    async with following(server) as (follower, seqs):
        await server.another()
        server.put(2, 1, data)
        await some_turns()
        assert "newer chatserver" in follower.broken and seqs == []


async def test_what_has_left_the_stream_is_not_passed_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Server(first_seq=50)
    async with following(server, 20) as (follower, seqs):
        async with asyncio.timeout(10):
            while not follower.broken:
                await asyncio.sleep(0.01)
        assert "seq 21 has left" in follower.broken and server.consumers == []


async def test_a_consumer_that_cannot_be_made_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server()
    answers = [b'{"error": {"description": "no room"}}', b"{}"]
    ask = server.request

    async def request(subject: str, data: bytes) -> Any:
        await ask(subject, data)
        return SimpleNamespace(data=answers.pop(0))

    monkeypatch.setattr(server, "request", request)
    async with following(server) as (follower, seqs):
        assert await server.another() == 1
        follower._again.set()  # as silence does in the end
        assert await server.another() == 1 and answers == []
        server.put(1, 1, message())
        await some_turns()
        assert seqs == [1] and not follower.broken


async def test_nothing_is_taken_of_a_consumer_that_was_given_up() -> None:
    server = Server()
    async with following(server) as (_, seqs):
        await server.another()
        given_up = server._hear
        server.put(1, 1, message())
        server.put(0, 0, b"", {"Status": "409"})  # the server has ended it
        assert await server.another() == 2
        server._hear, current = given_up, server._hear
        server.put(2, 2, message())
        server._hear = current
        server.put(5, 1, message())
        await some_turns()
        assert seqs == [1, 5]


async def test_a_server_waits_while_there_is_no_room_and_goes_on_when_there_is() -> None:
    server: Any = Server()
    full = True
    follower = StreamFollower(server, "n", lambda turn: None, lambda: full)
    await follower.start(0)
    try:
        await server.another()
        stalled = {"Status": "100", "Nats-Consumer-Stalled": "wait here"}
        server._hear(SimpleNamespace(data=b"", reply="", headers=stalled))
        assert server.said == []
        follower.go_on()
        assert server.said == ["wait here"]
        full = False
        server._hear(SimpleNamespace(data=b"", reply="flow", headers={"Status": "100"}))
        assert server.said == ["wait here", "flow"]
    finally:
        await follower.close()
