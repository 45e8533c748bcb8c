"""Requests of a Socket.IO session that come to another process than the one that has it: asked there, answered here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.support.clients import Person
from tests.support.connection import Connection
from tests.support.process import ServerProcess

OPTIONS = ("--socketio", "--processes", "2")
PATH = "/socket.io/?EIO=4&transport=polling"
FAR_CHARS = 8
"""A session's id begins with the name of its process."""


class Session:
    """One that polls over two connections: one to the process that has it, one to the other."""

    def __init__(self, near: httpx.AsyncClient, far: httpx.AsyncClient, sid: str) -> None:
        self.near, self.far = near, far
        self.sid = sid
        self.path = f"{PATH}&sid={sid}"

    async def said(self, to: httpx.AsyncClient) -> list[str]:
        """What a poll over this connection brings."""
        answer = await to.get(self.path)
        assert answer.status_code == 200, answer.text
        return answer.text.split("\x1e")

    async def until(self, to: httpx.AsyncClient, name: str) -> dict[str, Any]:
        """The next event of this name, polled for over this connection."""
        async with asyncio.timeout(30):
            while True:
                for packet in await self.said(to):
                    if packet.startswith(f'42["{name}",'):
                        found: dict[str, Any] = json.loads(packet[2:])[1]
                        return found


@asynccontextmanager
async def session(server: ServerProcess) -> AsyncIterator[Session]:
    """A session on which nobody has signed in. Each connection stays with the process to which it came."""
    connections: list[httpx.AsyncClient] = []
    by_process: dict[str, tuple[httpx.AsyncClient, str]] = {}
    try:
        async with asyncio.timeout(60):
            while len(by_process) < 2:
                http = httpx.AsyncClient(base_url=server.url, timeout=30)
                connections.append(http)
                opened = await http.get(PATH)
                assert opened.status_code == 200, opened.text
                sid = json.loads(opened.text[1:])["sid"]
                by_process[sid[:FAR_CHARS]] = http, sid
        (near, sid), (far, _) = by_process.values()
        yield Session(near, far, sid)
    finally:
        for http in connections:
            await http.aclose()


async def signed_in(it: Session, person: Person) -> None:
    """Let in over the far connection, and greeted there."""
    answer = await it.far.post(it.path, content="40" + json.dumps({"token": person.token}))
    assert (answer.status_code, answer.text) == (200, "OK")
    await it.until(it.far, "hello")


async def test_a_session_is_one_whichever_process_its_requests_come_to(
    server: ServerProcess,
) -> None:
    ann = await Person.register(server.url, "Ann")
    async with session(server) as it:
        await signed_in(it, ann)
        for number, (says, polls) in enumerate(((it.far, it.near), (it.near, it.far))):
            said = "42" + json.dumps(["client-talking", {"text": str(number)}])
            assert (await says.post(it.path, content=said)).text == "ok"
            assert (await it.until(polls, "server-talking"))["text"] == str(number)
        history = (await ann.http.get("/api/messages")).json()["messages"]
        assert [message["text"] for message in history] == ["0", "1"]


async def test_what_is_refused_where_the_session_is_is_refused_as_it_would_be_there(
    server: ServerProcess,
) -> None:
    async with session(server) as it:
        gone = f"{it.sid[:FAR_CHARS]}{'x' * (len(it.sid) - FAR_CHARS)}"
        for http in (it.near, it.far):
            answer = await http.get(f"{PATH}&sid={gone}")
            assert answer.status_code == 400 and "no session with this sid" in answer.text
            assert answer.headers["Content-Type"] == "application/problem+json"
        too_much = await it.far.post(it.path, content="4" * 70_000)
        assert too_much.status_code == 413
        websocket = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
        upgrade = await it.far.get(
            it.path.replace("polling", "websocket"),
            headers={**websocket, "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="},
        )
        assert upgrade.status_code == 400 and "Another server has this session" in upgrade.text
        assert (await it.far.head(it.path)).status_code == 200
        # It lives on, and a packet that is none ends it from either side.
        nonsense = await it.far.post(it.path, content="x")
        assert nonsense.status_code in (200, 400)
        assert (await it.near.get(it.path)).status_code == 400


async def test_a_poll_whose_client_has_gone_ends_the_session_where_it_is(
    server: ServerProcess,
) -> None:
    """As it does without a process between: what was on its way to the poll is lost."""
    ann = await Person.register(server.url, "Ann")
    async with session(server) as it:
        await signed_in(it, ann)
        poll, name = Connection(server.url, {}), it.sid[:FAR_CHARS]
        async with asyncio.timeout(60):
            while json.loads((await poll.get(PATH)).body[1:])["sid"][:FAR_CHARS] == name:
                poll.drop()  # it came to the process that has the session
        await poll.begin(it.path)
        for _ in range(2):  # what comes to a process later is asked for later
            assert (await it.far.post(it.path, content='42["typing",{}]')).text == "ok"
        poll.drop()
        async with asyncio.timeout(30):
            while (await it.near.post(it.path, content='42["typing",{}]')).status_code == 200:
                await asyncio.sleep(0.02)
