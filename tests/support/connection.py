"""One keep-alive HTTP connection with the fewest headers, so that its bytes are those of the protocol."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class Refused(AssertionError):
    """A request was answered otherwise than it should be; the message is the request and the answer."""


@dataclass(frozen=True)
class Answer:
    """An answer, whole."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """A request, its answer, the next; opened where it is not open. One task at a time may use it."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        host, _, port = url.removeprefix("http://").rstrip("/").partition(":")
        self.host, self.port = host, int(port or 80)
        self.headers = headers
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def begin(
        self, path: str, more: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> asyncio.StreamReader:
        """Send a GET, or a POST where there is a body; the stream on which its answer comes."""
        if self.reader is None or self.reader.at_eof():
            self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        assert self.writer is not None
        fields = {"Host": f"{self.host}:{self.port}", **self.headers, **(more or {})}
        if body is not None:
            fields["Content-Length"] = str(len(body))
        method = "GET" if body is None else "POST"
        lines = [f"{method} {path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in fields.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + (body or b""))
        return self.reader

    async def get(self, path: str, body: bytes | None = None) -> Answer:
        """The answer to a GET, or a POST of `body`. Raises `Refused` on any status but 200."""
        try:
            reader = await self.begin(path, body=body)
            status, headers = await read_head(reader)
            answer = Answer(status, headers, await _read_body(reader, headers))
        except BaseException:
            # What is on its way would be taken for the answer to the next request.
            self.drop()
            raise
        if status != 200:
            raise Refused(f"GET {path} was answered {status}: {answer.body[:300].decode()}")
        return answer

    def drop(self) -> None:
        """Gone without a word."""
        if self.writer is not None:
            self.writer.transport.abort()
        self.reader = self.writer = None


async def read_head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    """The status and the headers, their names in lower case."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines if line)
    return int(first.split()[1]), {name.lower(): value.strip() for name, _, value in pairs}


async def _read_body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    """By length, in chunks, or up to the end (RFC 9112, section 6)."""
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"]))
    if "chunked" not in headers.get("transfer-encoding", ""):
        return await reader.read()
    parts = []
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readexactly(2)
    await reader.readexactly(2)
    return b"".join(parts)


class Lines:
    """The lines of a body that comes bit by bit, in whatever chunks a balancer has cut it (RFC 9112, section 7.1)."""

    def __init__(self, reader: asyncio.StreamReader, headers: Mapping[str, str]) -> None:
        self._reader = reader
        self._chunked = "chunked" in headers.get("transfer-encoding", "")
        self._left = 0  # of the chunk, with the line end behind it
        self._buffer = b""

    async def next_line(self) -> bytes:
        """Without its end. Raises IncompleteReadError where the body has ended; nothing is lost where this is cancelled."""
        while b"\n" not in self._buffer:
            self._buffer += await self._more()
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    async def _more(self) -> bytes:
        if self._left == 2:
            await self._reader.readexactly(2)
            self._left = 0
        if self._chunked and not self._left:
            size = int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16)
            self._left = size + 2 if size else 0
        if self._chunked and not self._left:
            raise asyncio.IncompleteReadError(self._buffer, None)
        data = await self._reader.read(self._left - 2 if self._chunked else 64 * 1024)
        if not data:
            raise asyncio.IncompleteReadError(self._buffer, None)
        if self._chunked:
            self._left -= len(data)
        return data
