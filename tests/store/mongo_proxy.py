"""A proxy before a database that speaks MongoDB's protocol: it answers late, or refuses commands.

It reads whole messages (MongoDB: "Wire Protocol", a header of four integers and a body), so it can answer
an `OP_MSG` itself as a server would that may not or cannot write. The rest goes through as it came.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass

import bson

from tests.support.loopback_proxy import Ends, LoopbackProxy, Way

OP_MSG = 2013
_HEADER = struct.Struct("<iiii")
"""Length, id of the request, the request that is answered, operation."""
_FLAGS_AND_KIND = struct.Struct("<IB")
WRITES = frozenset({"insert", "update", "delete"})


@dataclass(frozen=True)
class Refusal:
    """What is answered to `commands` instead of passing them on."""

    code: int
    name: str
    commands: frozenset[str] = WRITES


class MongoProxy(LoopbackProxy):
    """`delay_s` and `refusal` may be set at any time."""

    def __init__(self, target_port: int) -> None:
        super().__init__(target_port)
        self.delay_s = 0.0
        self.refusal: Refusal | None = None
        self.refused = 0
        self.late_s: dict[str, float] = {}
        """By command, how long it is kept back before it goes on."""
        self.late = 0
        """Commands that are, or were, kept back."""
        self.gone_on = 0
        """Those that were, and have then reached the database, or nobody any more."""
        self.asked: set[str] = set()
        """The names of all commands so far."""

    def ways(self, ends: Ends) -> tuple[Way, Way]:
        return self._ask(ends.reader, ends.writer, ends.back), self._answer(ends.there, ends.writer)

    async def _ask(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        there: asyncio.StreamWriter,
    ) -> None:
        while True:
            head, body = await _message(reader)
            _, request_id, _, operation = _HEADER.unpack(head)
            refusal = self.refusal
            if refusal and operation == OP_MSG and _command(body) in refusal.commands:
                self.refused += 1
                writer.write(_error(request_id, refusal))
                continue
            name = _command(body) if operation == OP_MSG else ""
            self.asked.add(name)
            if late_s := self.late_s.get(name, 0.0):
                self.late += 1
                try:
                    await asyncio.sleep(late_s)
                    there.write(head + body)
                    await there.drain()
                finally:
                    self.gone_on += 1
            else:
                there.write(head + body)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head, body = await _message(reader)
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            writer.write(head + body)


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(_HEADER.size)
    return head, await reader.readexactly(_HEADER.unpack(head)[0] - _HEADER.size)


def _command(body: bytes) -> str:
    """The name of a command: the first key of the document in its first section."""
    start = _FLAGS_AND_KIND.size
    length = int.from_bytes(body[start : start + 4], "little")
    return next(iter(bson.decode(body[start : start + length])))


def _error(request_id: int, refusal: Refusal) -> bytes:
    told = {"ok": 0.0, "errmsg": "as the test says", "code": refusal.code, "codeName": refusal.name}
    body = _FLAGS_AND_KIND.pack(0, 0) + bson.encode(told)
    return _HEADER.pack(_HEADER.size + len(body), 0, request_id, OP_MSG) + body
