"""Nothing is lost and nothing doubled: hopping clients, crashes, restarts, in mid-traffic."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.conftest import FAST, Backend
from tests.support.clients import Person, WebSocketReader
from tests.support.process import ServerProcess
from tests.traffic.traffic import Traffic

BACKENDS = ("sqlite", "mongodb")
OPTIONS = ("--socketio",)

CLEAN = {"lost": 0, "doubled": 0, "disordered": 0, "resets": 0}


@pytest.mark.parametrize("seed", [1, 2])
async def test_hopping_clients_see_each_message_once_and_in_order(
    server: ServerProcess, seed: int
) -> None:
    traffic = Traffic(server, seed)
    await traffic.prepare(people=4)
    await traffic.run(messages=60)
    assert traffic.tally.verdict() == CLEAN
    assert len(traffic.tally.acknowledged) == 240
    assert traffic.tally.hops > 20 and traffic.tally.retries > 5, "it was cruel enough"


@pytest.mark.timeout(500)
async def test_crashes_in_mid_traffic_lose_nothing_that_was_acknowledged(
    backend: Backend, data: Path
) -> None:
    server = ServerProcess(data, *FAST, *OPTIONS, *backend()).start()
    # On MongoDB each restart waits ten seconds, until the lease of the one that was killed is over.
    crashes = 2 if "--mongodb" in server.options else 6

    async def crash(traffic: Traffic) -> None:
        for _ in range(crashes):
            before = len(traffic.tally.acknowledged)
            while len(traffic.tally.acknowledged) < before + 15:
                await asyncio.sleep(0.001)
            highest = max(traffic.tally.acknowledged.values())
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            seq = await traffic.people[0].send("after the crash")
            assert seq > highest, "seq has grown"

    traffic = Traffic(server, seed=7)
    await traffic.prepare(people=3)
    await traffic.run(messages=150, chaos=crash(traffic))
    assert traffic.tally.verdict() == CLEAN | {"doubled": traffic_doubles(traffic)}
    history: set[str] = set()
    for person in traffic.people:
        history |= await texts_of(person)
    assert traffic.tally.acknowledged.keys() <= history
    assert server.stop() == 0
    assert server.complaints() == []


def traffic_doubles(traffic: Traffic) -> int:
    """`after the crash` is one text written after each: readers have it as often, less one, too many."""
    return sum(
        [text for _, text in got].count("after the crash") - 1
        for got in traffic.tally.received.values()
    )


async def texts_of(person: Person) -> set[str]:
    """Everything in the person's broadcast history, page by page."""
    texts: set[str] = set()
    query: dict[str, int] = {"limit": 200}
    while True:
        page = (await person.http.get("/api/messages", params=query)).json()
        texts |= {message["text"] for message in page["messages"]}
        if not page["more"]:
            return texts
        query["before"] = page["messages"][0]["seq"]


@pytest.mark.timeout(400)
async def test_restarts_by_sigterm_in_mid_traffic_lose_and_double_nothing(
    backend: Backend, data: Path
) -> None:
    server = ServerProcess(data, *FAST, *OPTIONS, *backend()).start()

    async def restart(traffic: Traffic) -> None:
        for _ in range(3):
            before = len(traffic.tally.acknowledged)
            while len(traffic.tally.acknowledged) < before + 20:
                await asyncio.sleep(0.001)
            assert await asyncio.to_thread(server.stop) == 0
            await asyncio.to_thread(server.start)

    traffic = Traffic(server, seed=11)
    await traffic.prepare(people=3)
    await traffic.run(messages=60, chaos=restart(traffic))
    assert traffic.tally.verdict() == CLEAN
    assert server.stop() == 0
    assert server.complaints() == []


async def test_sigterm_says_bye_with_when_to_come_back(backend: Backend, data: Path) -> None:
    with ServerProcess(data, *backend(), demo=True) as server:
        bob = await Person.sign_in(server.url, "bob@example.com", "demo-password")
        reader = WebSocketReader(server.url, bob.token)
        await reader.connect()
        poll = asyncio.create_task(
            bob.http.get("/poll", params={"after": reader.cursor, "client": "p"})
        )
        while "chatserver_polls_waiting 1.0" not in (await bob.http.get("/metrics")).text:
            await asyncio.sleep(0)
        server.terminate()
        bye = await reader.next_signal("bye")
        assert bye["reason"] == "restarting" and bye["retry"] is True
        assert 0 < bye["reconnectIn"] <= 30_000
        answered = (await asyncio.wait_for(poll, 30)).json()
        assert [event["type"] for event in answered["events"]] == ["bye"]
        assert json.loads(json.dumps(answered))["more"] is False
        assert server.wait() == 0
        assert server.complaints() == []
