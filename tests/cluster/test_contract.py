"""The contract of all transports over several processes at one port: a connection comes to whichever the kernel takes."""

from __future__ import annotations

import asyncio

from tests.support.process import ServerProcess
from tests.support.socketio_clients import NodeClient
from tests.transports.test_contract import *  # noqa: F403
from tests.transports.test_contract import REPLAY, head, three

BACKENDS = ("sqlite",)  # type: ignore[assignment]
OPTIONS = ("--socketio", "--processes", "3", *REPLAY)  # type: ignore[assignment]


async def test_of_two_polls_the_newer_wins_wherever_the_two_come(server: ServerProcess) -> None:
    """As of one process; but whoever may have been at another process before gets the presence with the answer."""
    ann, bob, _ = await three(server)
    start = await head(bob)
    query = {"after": str(start), "client": "page", "wait": "20"}
    first = asyncio.create_task(bob.http.get("/poll", params=query))
    while "chatserver_polls_waiting 1.0" not in (await bob.http.get("/metrics")).text:
        await asyncio.sleep(0)
    second = asyncio.create_task(bob.http.get("/poll", params=query))
    older = (await asyncio.wait_for(first, 30)).json()
    assert older["events"] == [] and older["cursor"] == start
    await ann.send("for the newer")
    newer = (await asyncio.wait_for(second, 30)).json()
    texts = [event["text"] for event in newer["events"] if event["type"] != "presence"]
    assert texts == ["for the newer"]


async def test_the_official_client_may_poll_and_then_ask_for_a_websocket(
    server: ServerProcess,
) -> None:
    """Its polls come to any process, and the WebSocket that it asks for to any other: then it goes on by polls."""
    ann, bob, _ = await three(server)
    auth = {"token": ann.token, "after": await head(ann)}
    both = ["polling", "websocket"]
    clients = [
        await NodeClient.start("v4", server.url, transports=both, auth=auth) for _ in range(3)
    ]
    for client in clients:
        await client.connected()
    for number in range(10):
        await bob.send(f"{number}")
    for client in clients:
        await client.until_text("9")
        texts = [item["text"] for name, item in client.items if name == "server-talking"]
        assert texts == [f"{number}" for number in range(10)]
