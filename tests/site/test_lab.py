"""What the laboratory page asks: requests and bytes of each of one's own lanes, and a way to cut one."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.support.clients import (
    ClassicReader,
    EventsReader,
    Person,
    PollReader,
    WebSocketReader,
)
from tests.support.process import ServerProcess
from tests.support.socketio_readers import SocketIoReader

OPTIONS = ("--socketio",)


async def lanes(person: Person) -> dict[str, dict[str, int]]:
    answer = (await person.http.get("/api/lab/lanes")).json()
    return {lane["client"]: lane for lane in answer["lanes"]}


async def test_each_transport_is_counted_with_its_headers(server: ServerProcess) -> None:
    bob = await Person.register(server.url, "Bob")
    socket = WebSocketReader(server.url, bob.token, "lab-ws")
    events = EventsReader(server.url, bob.token, "lab-sse")
    poll = PollReader(server.url, bob.token, "lab-poll")
    socketio = SocketIoReader(server.url, bob.token, "lab-socketio")
    for reader in (socket, events, poll, socketio):
        await reader.connect()
    await bob.http.get("/classic", params={"client": "lab-classic"})
    before = await lanes(bob)
    assert {name: lane["requests"] for name, lane in before.items()} == {
        "lab-ws": 1,
        "lab-sse": 1,
        "lab-poll": 1,
        "lab-socketio": 1,
        "lab-classic": 1,
    }
    assert all(lane["bytesUp"] > 100 and lane["bytesDown"] > 200 for lane in before.values())
    await bob.send("x" * 1000)
    for reader in (socket, events, poll, socketio):
        await reader.next_event()
    after = await lanes(bob)
    for name in ("lab-ws", "lab-sse", "lab-poll", "lab-socketio"):
        assert after[name]["bytesDown"] - before[name]["bytesDown"] > 1000
    assert after["lab-ws"]["requests"] == 1 and after["lab-poll"]["requests"] == 2
    stranger = await Person.register(server.url, "Cho")
    assert await lanes(stranger) == {}


async def test_a_lane_can_be_cut_without_a_word(server: ServerProcess) -> None:
    bob = await Person.register(server.url, "Bob")
    reader = EventsReader(server.url, bob.token, "lab-cut")
    await reader.connect()
    assert (await bob.http.post("/api/lab/close", json={"client": "lab-cut"})).status_code == 204
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        while True:
            await asyncio.wait_for(reader.receive(), 10)
    refused = await bob.http.post("/api/lab/close", json={"client": "phone"})
    assert refused.status_code == 422 and refused.json()["field"] == "client"


async def test_the_classic_pages_show_each_message_once_to_who_reads_them_again_and_again(
    server: ServerProcess,
) -> None:
    bob = await Person.register(server.url, "Bob")
    reader = ClassicReader(server.url, bob.token, "lab-pages")
    await reader.connect()
    texts = [f"{number // 2} <b>\nof {number % 3}" for number in range(25)] + ["twice", "twice"]
    seen: list[str] = []
    for start in range(0, len(texts), 9):
        for text in texts[start : start + 9]:
            await bob.send(text)
        while len(seen) < min(start + 9, len(texts)):
            seen.append(json.loads(await asyncio.wait_for(reader.receive(), 10))["text"])
    assert seen == texts
