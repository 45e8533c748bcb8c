"""What the fast paths must not change: order, answers, one write a turn; and that nothing stays behind."""

from __future__ import annotations

import asyncio
import gc
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from chatserver.command.build import build
from chatserver.command.settings import Settings
from chatserver.core.errors import RateLimited
from chatserver.core.limits import Limits
from chatserver.core.people import User
from chatserver.http.house import House
from chatserver.journal.contract import Appended, settle
from chatserver.site.server import Server
from tests.support.clients import WebSocketReader
from tests.support.turns import without_collector

LIMITS = Limits(readers_per_user=1000)
CONNECTIONS = 150
"""Opened and closed on each transport."""


class Here:
    """A server in the loop of the test, where its objects can be looked at; Ann and Bob are friends."""

    def __init__(self, house: House, url: str, ann: User, bob: User, token: str) -> None:
        self.house = house
        self.url = url
        self.ann = ann
        self.bob = bob
        self.token = token

    async def open(self, target: str, more: str = "") -> asyncio.StreamWriter:
        """Ask for `target`, and return when the first bytes of an answer are there."""
        host, port = self.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {self.token}\r\n"
        writer.write(f"{head}{more}\r\n".encode())
        if not target.startswith("/poll"):
            await reader.readuntil(b"presence")
        return writer


@asynccontextmanager
async def here(data: Path, limits: Limits = LIMITS) -> AsyncIterator[Here]:
    settings = Settings(data=data, limits=limits)
    house = await build(settings)
    server = Server(house)
    port = server.listen("127.0.0.1", 0)
    people = []
    for name in ("Ann", "Bob"):
        fields = {"email": f"{name}@example.com", "password": "correct horse", "firstName": name}
        people.append(await house.accounts.register(fields, None))
    ann, bob = people
    await house.friendships.befriend(ann.id, bob.id)
    await house.friendships.befriend(bob.id, ann.id)
    login = await house.sessions.begin(ann.id, 0, "test")
    _, token = await house.sessions.issue_token(login, "test", None)
    try:
        async with asyncio.timeout(40):
            yield Here(house, f"http://127.0.0.1:{port}", ann, bob, token)
    finally:
        await server.drain()


def of_transports() -> Counter[str]:
    """Living objects of our transports, by class."""
    classes = (type(each) for each in gc.get_objects())
    # Some classes of libraries have a descriptor there instead of a name.
    ours = (c for c in classes if str(c.__module__).startswith("chatserver.transports"))
    return Counter(c.__qualname__ for c in ours)


async def wait_for(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not true():
            await asyncio.sleep(0)


UPGRADE = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


@pytest.mark.parametrize(
    ("target", "more"),
    [("/ws", UPGRADE), ("/events", ""), ("/poll?after=1&wait=50", "")],
    ids=["websocket", "sse", "longpoll"],
)
async def test_a_closed_connection_leaves_nothing_behind(
    data: Path, target: str, more: str
) -> None:
    # What needs the collector would stay until it runs, and stop the loop when it does.
    with without_collector():
        async with here(data) as place:
            delivery = place.house.delivery
            asked = target.replace("after=1", f"after={delivery.hub.head_seq}")
            before = of_transports()
            writers = [await place.open(asked, more) for _ in range(CONNECTIONS)]
            await wait_for(lambda: len(delivery.readers.all) == CONNECTIONS)
            assert of_transports().total() >= before.total() + 2 * CONNECTIONS, "they are looked at"
            for writer in writers:
                writer.transport.abort()
            await wait_for(lambda: not delivery.readers.all)
            await wait_for(lambda: of_transports().total() <= before.total())


async def test_an_acknowledgement_and_the_own_event_leave_in_one_write(data: Path) -> None:
    async with here(data) as place:
        host, port = place.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: here\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: c29tZSBzaXh0ZWVuIGJ5dA==\r\nSec-WebSocket-Version: 13\r\n"
            b"Authorization: Bearer " + place.token.encode() + b"\r\n\r\n"
        )
        await reader.readuntil(b'"presence","online":[]}')
        text = b'{"type":"send","text":"hi","clientId":"c1"}'
        writer.write(b"\x81" + bytes([0x80 | len(text)]) + bytes(4) + text)  # masked with zeros
        # What one write of the server brought, comes as one read here: the loop is the same.
        both = await reader.read(64 * 1024)
        assert b'"type":"ack"' in both and b'"text":"hi"' in both
        writer.close()


async def test_what_comes_behind_a_slower_frame_waits_for_it(data: Path) -> None:
    async with here(data) as place:
        await place.house.messages.send(place.ann.id, {"text": "to be read"})
        start = place.house.delivery.hub.head_seq
        socket = WebSocketReader(place.url, place.token)
        await socket.connect()
        # A read position is looked up first; a message alone would not wait.
        await socket.say(type="read", upTo=start)
        for number in range(3):
            await socket.say(type="send", text=str(number), clientId=f"c{number}")
        events: list[dict[str, object]] = []
        while len(events) < 4:
            event = json.loads(await socket.next_event())
            if event["type"] != "ack":
                events.append(event)
        await socket.drop()
        assert [event["type"] for event in events] == ["read"] + ["message"] * 3
        assert [event["text"] for event in events[1:]] == ["0", "1", "2"]


async def test_only_what_needs_no_look_up_is_placed_at_once(data: Path) -> None:
    async with here(data, Limits(send_burst=2, send_rate=0.001)) as place:
        messages, ann, bob = place.house.messages, place.ann, place.bob
        to_bob = {"text": "you", "to": bob.id}
        loop = asyncio.get_running_loop()
        one, two, again, nobody = (loop.create_future() for _ in range(4))

        def submit(user_id: str, fields: dict[str, str], future: asyncio.Future[Appended]) -> bool:
            return messages.submit_now(user_id, fields, partial(settle, future))

        assert not submit("nobody", {"text": "x"}, nobody)
        await place.house.users.user(ann.id)
        assert not submit(ann.id, to_bob, nobody), "her friends are not in memory"
        await place.house.delivery.mailboxes.open(ann.id)
        assert not submit(ann.id, {**to_bob, "to": "stranger"}, nobody)
        assert submit(ann.id, {"text": "all", "clientId": "c"}, one)
        assert submit(ann.id, to_bob, two)
        assert submit(ann.id, {"text": "all", "clientId": "c"}, again)
        assert (await one).seq < (await two).seq
        assert (await again).seq == (await one).seq and (await again).duplicate
        assert not submit(ann.id, {"text": "one too many"}, nobody)
        with pytest.raises(RateLimited):
            await messages.send(ann.id, {"text": "one too many"})
        assert not nobody.done()
