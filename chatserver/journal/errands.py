"""What one node has another one do and answer, over core NATS: may take long, may come to nothing, is never repeated."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable
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
ALL_S = 1.0
"""So long all are waited for: one that is silent for longer is not fresh, and serves nothing."""
_BACK = "back"
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

    kind: str
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
        others: Callable[[], Iterable[str]],
    ) -> None:
        self.node_id = node_id
        self._others = others
        self._line = line
        self._subject = subject
        self._numbers = itertools.count(1)
        self._answers: dict[str, Answer] = {}
        self._open: dict[tuple[str, int], Errand] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen."""
        await self._line.subscribe(self._subject(self.node_id), self._receive)

    def is_there(self, node_id: str) -> bool:
        """Whether this other node lives, as far as is known."""
        return node_id in self._others()

    def serve(self, kind: str, answer: Answer) -> None:
        """Have `answer` carry out what others ask for of this kind."""
        self._answers[kind] = answer

    def serve_all(self, kind: str, hear: Callable[[Any], Awaitable[Any]]) -> None:
        """Have `hear` answer what `ask_all` asks."""

        async def answer(errand: Errand) -> bytes:
            return orjson.dumps(await hear(orjson.loads(errand.question)))

        self.serve(kind, answer)

    async def ask_all(self, kind: str, fields: Any) -> list[Any]:
        """What each living node answers to this; nothing of one that does not in time."""
        question = orjson.dumps(fields)
        asked = [self.ask(node, kind, question, ALL_S) for node in self._others()]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        return [orjson.loads(each) for each in answers if isinstance(each, bytes)]

    async def ask(self, node_id: str, kind: str, question: bytes, timeout_s: float) -> bytes:
        """The other node's answer. Raises `Unavailable` where there is none; cancelled, it is taken back."""
        number = next(self._numbers)
        asked = asyncio.ensure_future(
            self._line.request(
                self._subject(node_id), self._pack(kind, number) + question, timeout_s
            )
        )
        try:
            while not (await asyncio.wait({asked}, timeout=LOOK_S))[0]:
                if not self.is_there(node_id):
                    raise Unavailable("The server that was asked is gone.", 1.0)
            answer: bytes = asked.result().data
            return answer
        except asyncio.CancelledError:
            self._line.publish(self._subject(node_id), self._pack(_BACK, number))
            raise
        finally:
            asked.cancel()

    def close(self) -> None:
        """Carry out nothing more."""
        self._answers.clear()
        for task in list(self._tasks):
            task.cancel()

    def _pack(self, kind: str, number: int) -> bytes:
        return orjson.dumps([FORMAT, self.node_id, kind, number]) + b"\n"

    def _receive(self, message: Any) -> None:
        head, _, question = message.data.partition(b"\n")
        try:
            version, node_id, kind, number = orjson.loads(head)
        except (ValueError, TypeError):
            log.warning("passed over what no node of ours can have asked for")
            return
        if version != FORMAT:
            return
        if kind == _BACK:
            errand = self._open.get((node_id, number))
            if errand is not None:
                errand.taken_back()
        elif kind in self._answers and len(self._open) < PENDING_MAX:
            errand = self._open[node_id, number] = Errand(kind, question)
            carrying = self._carry_out((node_id, number), errand, message.reply)
            task = asyncio.get_running_loop().create_task(carrying)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry_out(self, key: tuple[str, int], errand: Errand, reply: str) -> None:
        try:
            said = await self._answers[errand.kind](errand)
            if len(said) > ANSWER_BYTES:
                log.warning("an answer of %d bytes is too long for NATS", len(said))
            else:
                self._line.publish(reply, said)
        except Exception:
            log.exception("an errand of another node failed")
        finally:
            del self._open[key]
