"""The contract of all transports over several processes at one port: a connection comes to whichever the kernel takes."""

from __future__ import annotations

import asyncio

from tests.support.process import ServerProcess
from tests.transports.test_contract import *  # noqa: F403
from tests.transports.test_contract import head, three

BACKENDS = ("sqlite",)  # type: ignore[assignment]
OPTIONS = ("--socketio", "--processes", "3")  # type: ignore[assignment]


async def test_of_two_polls_the_newer_wins_wherever_the_two_come(server: ServerProcess) -> None:
    """As of one process; but whoever may have been at another process before gets the presence with the answer."""
    ann, bob, _ = await three(server)
    start = await head(bob)
    query = {"after": str(start), "client": "page", "wait": "20"}
    first = asyncio.create_task(bob.http.get("/poll", params=query))
    while "chatserver_polls_waiting 1.0" not in (await bob.http.get("/metrics")).text:
        await asyncio.sleep(0)
    second = asyncio.create_task(bob.http.get("/poll", params=query))
    older = (await asyncio.wait_for(first, 5)).json()
    assert older["events"] == [] and older["cursor"] == start
    await ann.send("for the newer")
    newer = (await asyncio.wait_for(second, 5)).json()
    texts = [event["text"] for event in newer["events"] if event["type"] != "presence"]
    assert texts == ["for the newer"]
