"""What one node has another one do and answer, over core NATS: may take long, may come to nothing, is never repeated."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from chatserver.core.errors import Unavailable

log = logging.getLogger(__name__)

FORMAT = 1
ANSWER_BYTES = 1_000_000
"""NATS takes 1 MiB at once, if nobody has changed that."""
PENDING_MAX = 20_000
"""Errands of others that this node has in hand; one more is not answered. Each is a request that some client waits for."""
LOOK_S = 2.0
"""How often it is asked whether the other node is still there."""


class Line(Protocol):
    """What of a connection to NATS is needed here."""

    def publish(self, subject: str, payload: bytes) -> object: ...

    async def subscribe(self, subject: str, receive: Callable[[Any], None]) -> object: ...

    async def request(self, subject: str, payload: bytes, timeout_s: float) -> Any: ...


def _nothing() -> None:
    """What is to be done when an errand is taken back, unless somebody says."""


@dataclass(slots=True)
class Errand:
    """What another node asks for."""

    question: bytes
    taken_back: Callable[[], None] = _nothing
    """Called where the other node does not want the answer any more."""


Answer = Callable[[Errand], Awaitable[bytes]]


class Errands:
    """The errands of the node `node_id`. `subject` is where a node hears of its own."""

    def __init__(
        self,
        line: Line,
        subject: Callable[[str], str],
        node_id: str,
        is_there: Callable[[str], bool] = lambda node_id: True,
    ) -> None:
        self.node_id = node_id
        self.is_there = is_there
        self._line = line
        self._subject = subject
        self._numbers = itertools.count(1)
        self._answer: Answer | None = None
        self._open: dict[tuple[str, int], Errand] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen."""
        await self._line.subscribe(self._subject(self.node_id), self._receive)

    def serve(self, answer: Answer) -> None:
        """Have `answer` carry out what others ask for."""
        self._answer = answer

    async def ask(self, node_id: str, question: bytes, timeout_s: float) -> bytes:
        """The other node's answer. Raises `Unavailable` where there is none; cancelled, it is taken back."""
        number = next(self._numbers)
        asked = asyncio.ensure_future(
            self._line.request(
                self._subject(node_id), self._pack("ask", number) + question, timeout_s
            )
        )
        try:
            while not (await asyncio.wait({asked}, timeout=LOOK_S))[0]:
                if not self.is_there(node_id):
                    raise Unavailable("The server that was asked is gone.", 1.0)
            answer: bytes = asked.result().data
            return answer
        except asyncio.CancelledError:
            self._line.publish(self._subject(node_id), self._pack("back", number))
            raise
        finally:
            asked.cancel()

    def close(self) -> None:
        """Carry out nothing more."""
        self._answer = None
        for task in list(self._tasks):
            task.cancel()

    def _pack(self, kind: str, number: int) -> bytes:
        return orjson.dumps([FORMAT, self.node_id, kind, number]) + b"\n"

    def _receive(self, message: Any) -> None:
        head, _, question = message.data.partition(b"\n")
        try:
            version, node_id, kind, number = orjson.loads(head)
        except ValueError:
            log.warning("passed over what no node of ours can have asked for")
            return
        if version != FORMAT:
            return
        if kind == "back":
            errand = self._open.get((node_id, number))
            if errand is not None:
                errand.taken_back()
        elif self._answer is not None and len(self._open) < PENDING_MAX:
            errand = self._open[node_id, number] = Errand(question)
            carrying = self._carry_out(self._answer, (node_id, number), errand, message.reply)
            task = asyncio.get_running_loop().create_task(carrying)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry_out(
        self, answer: Answer, key: tuple[str, int], errand: Errand, reply: str
    ) -> None:
        try:
            said = await answer(errand)
            if len(said) > ANSWER_BYTES:
                log.warning("an answer of %d bytes is too long for NATS", len(said))
            else:
                self._line.publish(reply, said)
        except Exception:
            log.exception("an errand of another node failed")
        finally:
            del self._open[key]
