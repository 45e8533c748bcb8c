"""Clients as small as the contract lets them be: an account, and a reader for each transport.

Every reader has the same surface: `connect(after)`, `receive()` (the next event or signal, as bytes),
`drop()` (gone without a word). The laboratory in the terminal reads with these too.
"""

from __future__ import annotations

import asyncio
import html
import itertools
import json
import re
import uuid
from typing import Any, ClassVar, Protocol
from urllib.parse import urlencode

import httpx
import websockets
from websockets.asyncio.client import ClientConnection

from tests.support.connection import Connection, Lines, Refused, read_head

WAIT_S = 30.0
"""For anything that a server does at once: far more than it takes, on a machine that does much else."""
PASSWORD = "correct horse"


class Closable(Protocol):
    """What a test need not close by itself."""

    async def close(self) -> None: ...


opened: list[Closable] = []
"""Everything that the running test has opened."""


async def close_opened() -> None:
    """Close every client that was opened since the last call."""
    while opened:
        await opened.pop().close()


def expect(answer: httpx.Response, *statuses: int) -> httpx.Response:
    """The answer. Raises `Refused` where its status is none of these."""
    if answer.status_code not in statuses:
        asked = f"{answer.request.method} {answer.request.url.path}"
        raise Refused(f"{asked} was answered {answer.status_code}: {answer.text[:300]}")
    return answer


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
    async def register(cls, url: str, first_name: str = "Test", password: str = PASSWORD) -> Person:
        http = httpx.AsyncClient(base_url=url, timeout=WAIT_S + 60)
        email = f"{first_name.lower()}{next(_names)}-{uuid.uuid4().hex[:8]}@example.com"
        answer = await http.post(
            "/api/register",
            json={
                "email": email,
                "password": password,
                "firstName": first_name,
                "lastName": "",
            },
        )
        return await cls._with_token(http, expect(answer, 201).json()["user"])

    @classmethod
    async def sign_in(cls, url: str, email: str, password: str) -> Person:
        http = httpx.AsyncClient(base_url=url, timeout=WAIT_S + 60)
        answer = await http.post("/api/login", json={"email": email, "password": password})
        return await cls._with_token(http, expect(answer, 200).json()["user"])

    @classmethod
    async def _with_token(cls, http: httpx.AsyncClient, user: dict[str, Any]) -> Person:
        answer = await http.post("/api/tokens", json={"label": "test"})
        token = expect(answer, 201).json()["token"]
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
        expect(answer, 204)

    async def send(self, text: str, to: Person | None = None, client_id: str | None = None) -> int:
        """Write a message over HTTP; its seq."""
        body: dict[str, Any] = {"text": text}
        if to is not None:
            body["to"] = to.id
        if client_id is not None:
            body["clientId"] = client_id
        answer = await self.http.post("/api/messages", json=body)
        return int(expect(answer, 200, 201).json()["seq"])

    async def end(self, password: str = PASSWORD) -> None:
        """Delete the account."""
        expect(await self.http.request("DELETE", "/api/me", json={"password": password}), 204)

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

    def __init__(self, url: str, token: str, client: str | None = None) -> None:
        super().__init__(url, token, client)
        self._line = Connection(url, {"Authorization": f"Bearer {token}"})

    async def connect(self, after: int | None = None) -> None:
        # The cursor goes the way an EventSource would send it.
        last = {} if after is None else {"Last-Event-ID": str(after)}
        self._line.drop()
        reader = await self._line.begin(f"/events{self._query(None)}", last)
        status, headers = await asyncio.wait_for(read_head(reader), WAIT_S)
        if status != 200:
            raise Refused(f"GET /events was answered {status}")
        self._lines = Lines(reader, headers)
        self.hello = json.loads(await asyncio.wait_for(self.receive(), WAIT_S))
        assert self.hello["type"] == "hello", self.hello
        self.cursor = self.hello["seq"]

    async def receive(self) -> bytes:
        seq = None
        while True:
            line = await self._lines.next_line()
            if line.startswith(b"id: "):
                seq = int(line[4:])
            elif line.startswith(b"data: "):
                payload = line[6:]
                if seq is not None:
                    assert json.loads(payload)["seq"] == seq
                assert await self._lines.next_line() == b""
                return payload

    @property
    def reader(self) -> asyncio.StreamReader:
        """What comes, unparsed."""
        assert self._line.reader is not None
        return self._line.reader

    @property
    def writer(self) -> asyncio.StreamWriter:
        """The way to the server, and the connection's transport."""
        assert self._line.writer is not None
        return self._line.writer

    async def drop(self) -> None:
        self._line.drop()


class PollReader(Reader):
    name = "longpoll"
    wait = "25"
    pause_s = 0.0
    """Between two polls, where the server has said that there is no more for now."""

    def __init__(self, url: str, token: str, client: str | None = None) -> None:
        super().__init__(url, token, client)
        self._line = Connection(url, {"Authorization": f"Bearer {token}"})
        self._waiting: list[bytes] = []
        self._more = True

    async def connect(self, after: int | None = None) -> None:
        self._waiting = []
        self._more = True
        self.cursor = after
        if after is None:
            await self._poll()

    async def receive(self) -> bytes:
        while not self._waiting:
            if self.pause_s and not self._more:
                await asyncio.sleep(self.pause_s)
            await self._poll()
        return self._waiting.pop(0)

    async def _poll(self) -> None:
        query = {"wait": self.wait}
        if self.cursor is not None:
            query["after"] = str(self.cursor)
        if self.client is not None:
            query["client"] = self.client
        answer = await self._line.get(f"/poll?{urlencode(query)}")
        self._waiting += event_slices(answer.body.decode())
        told = answer.json()
        self.cursor, self._more = told["cursor"], told["more"]

    async def drop(self) -> None:
        self._line.drop()


class ShortPollReader(PollReader):
    name = "poll"
    wait = "0"


class ClassicReader(Reader):
    """Loads the page of the conversation with everybody, again and again, and tells what is new on it.

    A page has texts and no seq: there is no cursor, and `next_event` would wait for ever.
    """

    name = "classic"
    pause_s = 0.0
    """Between two pages."""

    def __init__(self, url: str, token: str, client: str | None = None) -> None:
        super().__init__(url, token, client)
        self._line = Connection(url, {"Authorization": f"Bearer {token}"})
        self._shown: list[str] = []
        self._waiting: list[str] = []

    async def connect(self, after: int | None = None) -> None:
        assert after is None, "a page has no cursor"
        self._shown = await self._page()
        self._waiting = []

    async def receive(self) -> bytes:
        while not self._waiting:
            await asyncio.sleep(self.pause_s)
            page = await self._page()
            self._waiting = new_on(page, self._shown)
            self._shown = page
        return json.dumps({"type": "message", "text": self._waiting.pop(0)}).encode()

    async def _page(self) -> list[str]:
        page = (await self._line.get(f"/classic{self._query(None)}")).body.decode()
        texts = re.findall(r'<span class="text" dir="auto">(.*?)</span>', page, re.DOTALL)
        return [html.unescape(text.replace("<br>", "\n")) for text in texts]

    async def drop(self) -> None:
        self._line.drop()


def new_on(page: list[str], before: list[str]) -> list[str]:
    """What `page` shows after what `before` showed: the newest stand last, and old ones leave above."""
    for kept in range(min(len(page), len(before)), 0, -1):
        if page[:kept] == before[-kept:]:
            return page[kept:]
    return page[:]


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
