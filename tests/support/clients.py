"""Clients as small as the contract lets them be: an account, and a reader for each transport.

Every reader has the same surface: `connect(after)`, `receive()` (the next event or signal, as bytes),
`drop()` (gone without a word).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import uuid
from collections.abc import Coroutine
from typing import Any, ClassVar

import httpx
import websockets
from websockets.asyncio.client import ClientConnection

WAIT_S = 15.0
opened: list[Person | Reader] = []


def in_loop(test: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine, and close every client that it opened."""

    async def run() -> None:
        try:
            await test
        finally:
            while opened:
                await opened.pop().close()

    asyncio.run(run())


_names = itertools.count(1)


class Person:
    """An account with a token: what a script would use."""

    def __init__(self, http: httpx.AsyncClient, user: dict[str, Any], token: str) -> None:
        self.http = http
        self.id: str = user["id"]
        self.user = user
        self.token = token
        self.email: str = user["email"]
        opened.append(self)

    @classmethod
    async def register(cls, url: str, first_name: str = "Test") -> Person:
        http = httpx.AsyncClient(base_url=url, timeout=WAIT_S + 60)
        email = f"{first_name.lower()}{next(_names)}-{uuid.uuid4().hex[:8]}@example.com"
        answer = await http.post(
            "/api/register",
            json={
                "email": email,
                "password": "correct horse",
                "firstName": first_name,
                "lastName": "",
            },
        )
        assert answer.status_code == 201, answer.text
        return await cls._with_token(http, answer.json()["user"])

    @classmethod
    async def sign_in(cls, url: str, email: str, password: str) -> Person:
        http = httpx.AsyncClient(base_url=url, timeout=WAIT_S + 60)
        answer = await http.post("/api/login", json={"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        return await cls._with_token(http, answer.json()["user"])

    @classmethod
    async def _with_token(cls, http: httpx.AsyncClient, user: dict[str, Any]) -> Person:
        answer = await http.post("/api/tokens", json={"label": "test"})
        assert answer.status_code == 201, answer.text
        token = answer.json()["token"]
        http.cookies.clear()
        http.headers["Authorization"] = f"Bearer {token}"
        return cls(http, user, token)

    async def befriend(self, other: Person) -> None:
        """Ask, and have the other accept."""
        asked = await self.http.put(f"/api/friends/{other.id}", json={})
        assert asked.json() == {"relation": "outgoing"}, asked.text
        accepted = await other.http.put(f"/api/friends/{self.id}", json={})
        assert accepted.json() == {"relation": "friend"}, accepted.text

    async def unfriend(self, other: Person) -> None:
        answer = await self.http.delete(f"/api/friends/{other.id}")
        assert answer.status_code == 204, answer.text

    async def send(self, text: str, to: Person | None = None, client_id: str | None = None) -> int:
        """Write a message over HTTP; its seq."""
        body: dict[str, Any] = {"text": text}
        if to is not None:
            body["to"] = to.id
        if client_id is not None:
            body["clientId"] = client_id
        answer = await self.http.post("/api/messages", json=body)
        assert answer.status_code in (200, 201), answer.text
        return int(answer.json()["seq"])

    async def close(self) -> None:
        await self.http.aclose()


class Reader:
    """The common surface. `cursor` is the only state that outlives a connection."""

    name: ClassVar[str]

    def __init__(self, url: str, token: str, client: str | None = None) -> None:
        self.url = url
        self.token = token
        self.client = client
        self.cursor: int | None = None
        self.hello: dict[str, Any] = {}
        opened.append(self)

    async def close(self) -> None:
        """Let go of what is still open."""
        await self.drop()

    def _query(self, after: int | None) -> str:
        parts = [] if after is None else [f"after={after}"]
        if self.client is not None:
            parts.append(f"client={self.client}")
        return "?" + "&".join(parts) if parts else ""

    async def connect(self, after: int | None = None) -> None:
        raise NotImplementedError

    async def receive(self) -> bytes:
        raise NotImplementedError

    async def drop(self) -> None:
        raise NotImplementedError

    async def next_event(self) -> bytes:
        """The next thing with a seq; signals are passed over. Moves the cursor."""
        async with asyncio.timeout(WAIT_S):
            while True:
                payload = await self.receive()
                seq = json.loads(payload).get("seq")
                if seq is not None and json.loads(payload)["type"] != "hello":
                    self.cursor = seq
                    return payload

    async def next_signal(self, kind: str) -> dict[str, Any]:
        """The next signal of this kind."""
        async with asyncio.timeout(WAIT_S):
            while True:
                fields: dict[str, Any] = json.loads(await self.receive())
                if fields["type"] == kind:
                    return fields


class WebSocketReader(Reader):
    name = "websocket"
    _socket: ClientConnection | None = None

    async def connect(self, after: int | None = None) -> None:
        self._socket = await websockets.connect(
            self.url.replace("http", "ws") + "/ws" + self._query(after),
            subprotocols=[websockets.Subprotocol("chat.v1")],
            additional_headers={"Authorization": f"Bearer {self.token}"},
            ping_interval=None,
            proxy=None,
        )
        self.hello = json.loads(await asyncio.wait_for(self._socket.recv(), WAIT_S))
        assert self.hello["type"] == "hello", self.hello
        self.cursor = self.hello["seq"]

    async def receive(self) -> bytes:
        assert self._socket is not None
        return await self._socket.recv(decode=False)

    async def say(self, **fields: Any) -> None:
        assert self._socket is not None
        await self._socket.send(json.dumps(fields))

    async def drop(self) -> None:
        if self._socket is not None:
            self._socket.transport.abort()
            await self._socket.wait_closed()


class EventsReader(Reader):
    name = "sse"
    _reader: asyncio.StreamReader
    _writer: asyncio.StreamWriter | None = None

    async def connect(self, after: int | None = None) -> None:
        host, port = self.url.removeprefix("http://").split(":")
        self._reader, self._writer = await asyncio.open_connection(host, int(port))
        # The cursor goes the way an EventSource would send it.
        last = "" if after is None else f"Last-Event-ID: {after}\r\n"
        head = f"GET /events{self._query(None)} HTTP/1.1\r\nHost: {host}:{port}\r\n{last}"
        head += f"Authorization: Bearer {self.token}\r\n\r\n"
        self._writer.write(head.encode())
        answer = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), WAIT_S)
        assert answer.startswith(b"HTTP/1.1 200 "), answer
        self.hello = json.loads(await asyncio.wait_for(self.receive(), WAIT_S))
        assert self.hello["type"] == "hello", self.hello
        self.cursor = self.hello["seq"]

    async def receive(self) -> bytes:
        seq = None
        while True:
            line = (await self._reader.readuntil(b"\n")).rstrip(b"\n")
            if line.startswith(b"id: "):
                seq = int(line[4:])
            elif line.startswith(b"data: "):
                payload = line[6:]
                if seq is not None:
                    assert json.loads(payload)["seq"] == seq
                assert await self._reader.readuntil(b"\n") == b"\n"
                return payload

    async def drop(self) -> None:
        if self._writer is not None:
            self._writer.transport.abort()


class PollReader(Reader):
    name = "longpoll"
    wait = "25"

    def __init__(self, url: str, token: str, client: str | None = None) -> None:
        super().__init__(url, token, client)
        self._http = httpx.AsyncClient(base_url=url, timeout=70)
        self._http.headers["Authorization"] = f"Bearer {token}"
        self._waiting: list[bytes] = []

    async def connect(self, after: int | None = None) -> None:
        self._waiting = []
        self.cursor = after
        if after is None:
            await self._poll()

    async def receive(self) -> bytes:
        while not self._waiting:
            await self._poll()
        return self._waiting.pop(0)

    async def _poll(self) -> None:
        params = {"wait": self.wait}
        if self.cursor is not None:
            params["after"] = str(self.cursor)
        if self.client is not None:
            params["client"] = self.client
        answer = await self._http.get("/poll", params=params)
        assert answer.status_code == 200, answer.text
        self._waiting += event_slices(answer.text)
        self.cursor = answer.json()["cursor"]

    async def drop(self) -> None:
        await self._http.aclose()
        self._http = httpx.AsyncClient(base_url=self.url, timeout=70)
        self._http.headers["Authorization"] = f"Bearer {self.token}"

    async def close(self) -> None:
        await self._http.aclose()


class ShortPollReader(PollReader):
    name = "poll"
    wait = "0"


READERS: list[type[Reader]] = [WebSocketReader, EventsReader, PollReader, ShortPollReader]


def event_slices(body: str) -> list[bytes]:
    """The events of a poll's answer, each exactly as it stands there."""
    at = body.index('"events":[') + len('"events":[')
    decoder, slices = json.JSONDecoder(), []
    while body[at] != "]":
        _, end = decoder.raw_decode(body, at)
        slices.append(body[at:end].encode())
        at = end + (body[end] == ",")
    return slices
