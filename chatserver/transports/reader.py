"""What all readers share: who they are, their cursor, the signals that wait for them, and the stages of a life."""

from __future__ import annotations

import asyncio
import enum
import logging
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping
from typing import Any, ClassVar

from chatserver.core.errors import SUPERSEDED, Ending
from chatserver.core.events import Event, Signal
from chatserver.core.mailbox import Framing, Mailbox, Pipe
from chatserver.core.people import Login
from chatserver.delivery.delivery import Delivery

log = logging.getLogger(__name__)

SIGNALS_KEPT = 64
"""Signals that may wait for one reader; the oldest go first."""


ALL_COMINGS = 2**62
"""What a reader knows that is still to be shown the whole presence: whoever comes until then will be in it."""

_tasks: set[asyncio.Task[None]] = set()


def run_on(coroutine: Coroutine[Any, Any, None]) -> None:
    """Let `coroutine` run beside; keep hold of its task, of which the loop itself keeps only a weak one."""
    task = asyncio.get_running_loop().create_task(coroutine)
    _tasks.add(task)
    task.add_done_callback(_finished)


def _finished(task: asyncio.Task[None]) -> None:
    _tasks.discard(task)
    if not task.cancelled() and task.exception() is not None:
        log.error("a connection's task failed", exc_info=task.exception())


class Stage(enum.Enum):
    """Where a reader stands in its life."""

    __hash__ = object.__hash__  # each is one object; that of `enum` is slow

    JOINING = "joining"
    """Its greeting is not out; nothing else may be written."""
    OPEN = "open"
    """It takes and pulls."""
    MENDING = "mending"
    """What its mailbox does not reach is being replayed."""
    ENDED = "ended"


STAGES: Mapping[Stage, frozenset[Stage]] = {
    Stage.JOINING: frozenset({Stage.OPEN, Stage.ENDED}),
    Stage.OPEN: frozenset({Stage.MENDING, Stage.ENDED}),
    Stage.MENDING: frozenset({Stage.OPEN, Stage.ENDED}),
    Stage.ENDED: frozenset(),
}
"""What may follow what."""


class Reader(ABC):
    """One live connection or one polling client: who it is, and its cursor."""

    __slots__ = (
        "attached",
        "client",
        "cursor",
        "delivery",
        "dirty",
        "frames",
        "knows",
        "login",
        "mailbox",
        "signals",
        "stage",
        "stamp",
        "pipe",
    )

    transport: ClassVar[str]
    is_stream: ClassVar[bool]

    def __init__(self, delivery: Delivery, login: Login, mailbox: Mailbox, client: str) -> None:
        self.delivery = delivery
        self.mailbox = mailbox
        self.login = login
        self.client = client
        self.cursor = 0
        self.knows = 0
        self.attached = False
        self.dirty = False
        self.stage = Stage.JOINING
        self.signals: dict[tuple[str, str], Signal] | None = None
        """By whom they are about and of which kind, oldest first: of a herd there are many, and each is one look."""
        self.frames: Framing | None = None
        self.pipe: Pipe | None = None
        self.stamp = 0
        """When it came, among all readers of its client (`delivery.neighbours`)."""

    def enter(self, stage: Stage) -> None:
        """Go on to `stage`: the only way there. Raises RuntimeError where that cannot follow."""
        if stage not in STAGES[self.stage]:
            raise RuntimeError(f"a reader that is {self.stage.value} cannot become {stage.value}")
        self.stage = stage
        self.pipe = None

    def offer(self, signal: Signal) -> None:
        """Keep a signal for the next flush: of one kind about one user only the newest, and few in all."""
        if self.signals is not None and len(self.signals) >= SIGNALS_KEPT:
            self.make_room()
        signals = self.signals
        if signals is None:
            signals = self.signals = {}
        key = signal.about, signal.type
        signals.pop(key, None)  # the newest stands last
        signals[key] = signal
        if len(signals) > SIGNALS_KEPT:
            del signals[next(iter(signals))]

    def make_room(self) -> None:
        """Write the signals that wait, where that can be: as many do as may."""

    def take_signals(self) -> list[Signal]:
        """The waiting signals, but of those who are no friends any more; none wait afterwards."""
        signals, self.signals = self.signals, None
        friends = self.mailbox.friends
        if signals is None:
            return []
        return [one for one in signals.values() if not one.about or one.about in friends]

    due_s = 0.0

    @property
    def parked(self) -> bool:
        """Whether a poll of this reader waits at the moment."""
        return False

    def cut(self) -> None:
        """Break the connection without a word."""

    def moved(self) -> None:
        """The client polls at another node now."""
        self.end(SUPERSEDED)

    def offered_elsewhere(self) -> None:
        """Another node has handed the client what waits here."""

    def live_bytes(self) -> tuple[int, int]:
        """Bytes up and down of the open connection, where its client is counted."""
        return (0, 0)

    def keep(self, data: bytes, sent: int) -> None:
        """Whoever never has a pipe has nothing to keep."""
        raise RuntimeError("something was written to the pipe of a reader that has none")

    @abstractmethod
    def take(self, run: list[Event], before: int) -> bool: ...

    @abstractmethod
    def flush(self) -> None: ...

    @abstractmethod
    def end(self, ending: Ending) -> None: ...

    @abstractmethod
    def visit(self, now_s: float) -> float | None: ...
