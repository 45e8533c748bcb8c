"""What all readers share: who they are, how they join, read, mend gaps and end.

A `Reader` is a cursor into a mailbox. `StreamReader` is one with an open connection (WebSocket, SSE).
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from typing import Any, ClassVar, Protocol

from tornado.httputil import HTTPHeaders, HTTPServerRequest, format_timestamp

from chatserver.core.errors import (
    SESSION_EXPIRED,
    TOO_SLOW,
    BadRequest,
    ChatError,
    Ending,
    Unavailable,
)
from chatserver.core.events import Signal, encode_json
from chatserver.core.mailbox import Mailbox
from chatserver.core.people import Login, User
from chatserver.core.tallies import PREFIX as LAB
from chatserver.delivery.delivery import Delivery
from chatserver.transports.connection import Connection
from chatserver.transports.encoding import Encoding

log = logging.getLogger(__name__)

SIGNALS_KEPT = 64
"""Signals that may wait for one reader; the oldest go first."""

CLIENT_CHARS = 64

MEND_AGAIN_S = 1.0
"""How long a reader waits before it asks again for what the journal could not give it."""


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


_date = (0, "")


def http_date() -> str:
    """The `Date` of an answer (RFC 9110, section 6.6.1), made once a second."""
    global _date
    now_s = int(time.time())
    if _date[0] != now_s:
        _date = (now_s, format_timestamp(now_s))
    return _date[1]


class Gate(Protocol):
    """Who may come in: the rules for headers, which transports apply but do not make."""

    def check_origin(self, headers: HTTPHeaders) -> None:
        """Raises `Forbidden` for a foreign page."""
        ...

    def known(self, headers: HTTPHeaders) -> Login | None:
        """The login, if it can be told without waiting."""
        ...

    async def resolve(self, headers: HTTPHeaders) -> Login:
        """The login; raises `Unauthenticated`."""
        ...

    def expires_at(self, login_id: str) -> int | None:
        """When the login ends by time (ms since 1970), as of now; 0 where it has ended, None for never."""
        ...

    async def user(self, user_id: str) -> User:
        """The user of a login; raises `Unauthenticated` where there is none any more."""
        ...

    def problem(self, error: ChatError) -> tuple[int, HTTPHeaders, bytes]:
        """Status, headers and body that tell `error`."""
        ...


def parse_cursor(text: str | None, name: str = "after") -> int | None:
    """A cursor from a query or header; None where there is none. Raises `BadRequest`."""
    if text is None or text == "":
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise BadRequest(f"{name} is a cursor: an integer from 0 on.")
    return int(text)


def parse_client(text: str | None) -> str:
    """A client's name for itself; empty where it has none. Raises `BadRequest`."""
    text = text or ""
    if len(text) > CLIENT_CHARS or not text.isprintable():
        raise BadRequest(f"client is at most {CLIENT_CHARS} printable characters.")
    return text


def query_of(request: HTTPServerRequest, name: str) -> str | None:
    """The last value of a query argument, decoded; None where it is absent."""
    values = request.query_arguments.get(name)
    if not values:
        return None
    try:
        return values[-1].decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest(f"{name} is not UTF-8.") from None


class Reader(ABC):
    """One live connection or one polling client: who it is, and its cursor."""

    __slots__ = (
        "attached",
        "client",
        "cursor",
        "delivery",
        "dirty",
        "login_id",
        "mailbox",
        "signals",
        "user_id",
    )

    transport: ClassVar[str]
    is_stream: ClassVar[bool]

    def __init__(self, delivery: Delivery, login: Login, mailbox: Mailbox, client: str) -> None:
        self.delivery = delivery
        self.mailbox = mailbox
        self.user_id = login.user_id
        self.login_id = login.id
        self.client = client
        self.cursor = 0
        self.attached = False
        self.dirty = False
        self.signals: list[Signal] | None = None

    def offer(self, signal: Signal) -> None:
        """Keep a signal for the next flush: of one kind about one user only the newest, and few in all."""
        if self.signals is None:
            self.signals = [signal]
            return
        for at, waiting in enumerate(self.signals):
            if waiting.type == signal.type and waiting.about == signal.about:
                del self.signals[at]
                break
        self.signals.append(signal)
        if len(self.signals) > SIGNALS_KEPT:
            del self.signals[0]

    def take_signals(self) -> list[Signal]:
        """The waiting signals; none wait afterwards."""
        signals, self.signals = self.signals, None
        return signals or []

    due_s = 0.0

    @property
    def parked(self) -> bool:
        """Whether a poll of this reader waits at the moment."""
        return False

    def fall_behind(self) -> None:
        """Where it follows its mailbox: pull again."""

    def cut(self) -> None:
        """Break the connection without a word."""

    def live_bytes(self) -> tuple[int, int]:
        """Bytes up and down of the open connection."""
        return (0, 0)

    @abstractmethod
    def flush(self) -> None: ...

    @abstractmethod
    def end(self, ending: Ending) -> None: ...

    @abstractmethod
    def visit(self, now_s: float) -> float | None: ...


class StreamReader(Reader):
    """A reader with an open connection. The subclass knows how things look on the wire.

    `held` is True while something other than the mailbox is being written (greeting, replay).
    """

    __slots__ = ("_drained", "_gate", "following", "held", "wire")

    is_stream = True

    def __init__(
        self, delivery: Delivery, gate: Gate, login: Login, mailbox: Mailbox, client: str
    ) -> None:
        super().__init__(delivery, login, mailbox, client)
        self._gate = gate
        self._drained: asyncio.Future[None] | None = None
        self.following = False
        self.held = True
        self.wire: Connection | None = None

    joined: ClassVar[Encoding]
    """The bytes of events and signals on this transport, one after another."""

    @abstractmethod
    def framed(self, payload: bytes, seq: int | None) -> bytes:
        """The bytes of a payload that is for this connection alone."""

    @abstractmethod
    def last_words(self, ending: Ending) -> bytes:
        """What is sent before the end."""

    @abstractmethod
    def beat(self, now_s: float) -> float | None:
        """Send a heartbeat; seconds until the next, None where the peer turned out to be gone."""

    # Joining.

    async def join(self, user: User, after: int | None) -> None:
        """Greet, then read from `after` on (None: from the present). The reader is attached, the wire there."""
        delivery, mailbox = self.delivery, self.mailbox
        reason = None
        if after is None:
            self.cursor = delivery.head_seq
        else:
            self.cursor = after
            reason = await delivery.lost(mailbox, after)
            if not self.attached:
                return
        hello = {
            "type": "hello",
            "seq": self.cursor,
            "user": user.public(),
            "heartbeat": round(delivery.limits.heartbeat_s),
            "resumed": after is not None and reason is None,
        }
        presence = delivery.attendance.whole(mailbox)
        assert self.wire is not None
        self.wire.send(self.framed(encode_json(hello), None) + self.joined((presence,)))
        if reason is not None:
            self._reset(reason)
        self.held = False
        self.greeted()
        delivery.mark(self)
        delivery.look_after(self, self._next_visit_s(delivery.limits.heartbeat_s))

    def greeted(self) -> None:
        """The hello is on its way: from now on the client may be answered."""

    # Reading.

    def flush(self) -> None:
        """Write the backlog as one write; go on when it has left."""
        wire = self.wire
        if wire is None or not self.attached:
            return
        if self.held or wire.pending:
            wire.send(b"")  # what is corked does not depend on how far the reader is
            return
        data = b""
        if not self.following:
            batch = self.mailbox.read_after(self.cursor, self.joined.events)
            if batch is None:
                self.held = True
                wire.send(b"")
                run_on(self._mend())
                return
            if batch:
                self.cursor = batch[-1].seq
                data = self.joined.of(batch)
        if self.signals:
            data += self.joined(self.take_signals())
        wire.send(data)
        if not self.following:
            self._go_on()

    def _go_on(self) -> None:
        """After a read: pull what it did not give, or follow where it gave everything."""
        mailbox, wire = self.mailbox, self.wire
        assert wire is not None
        if mailbox.events and mailbox.events[-1].seq > self.cursor:
            self.delivery.mark(self)
        elif wire.pending is None and not self.client.startswith(LAB):
            mailbox.follow(self, wire, self.cursor)
            self.following = True

    def fall_behind(self) -> None:
        """Pull again, at a cursor of its own, from what the wire was handed last on."""
        if self.following:
            assert self.wire is not None
            self.following = False
            self.cursor = self.mailbox.pull(self, self.wire)

    async def _mend(self) -> None:
        """Replay what has left the mailbox, page by page, or reset."""
        while self.attached:
            try:
                await self._replay()
                break
            except Unavailable:
                await asyncio.sleep(MEND_AGAIN_S)
        self.held = False
        if self.attached:
            self.delivery.mark(self)

    async def _replay(self) -> None:
        reason = await self.delivery.lost(self.mailbox, self.cursor)
        if reason is not None:
            if self.attached:
                self._reset(reason)
            return
        while self.attached and self.cursor < self.mailbox.floor_seq:
            events, position = await self.delivery.page(self.mailbox, self.cursor)
            if not self.attached or self.wire is None:
                return
            if events:
                self.wire.send(self.joined(events))
                await self._until_drained()
            self.cursor = position

    async def _until_drained(self) -> None:
        if self.wire is not None and self.wire.pending:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained
            self._drained = None

    def _reset(self, reason: str) -> None:
        seq, payload = self.delivery.reset_event(reason)
        self.cursor = seq
        assert self.wire is not None
        self.wire.send(self.framed(payload, seq))

    # The connection's own events.

    def drained(self) -> None:
        """The wire took everything: go on."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        if self.attached and not self.dirty:
            self.delivery.mark(self)

    def connection_lost(self) -> None:
        """The wire is gone."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self.delivery.detach(self)
        up, down = self.live_bytes()
        self.delivery.lanes.count(self.user_id, self.client, self.transport, up=up, down=down)
        self.wire = None

    def cut(self) -> None:
        """Break the connection without a word."""
        if self.wire is not None:
            self.wire.abort()

    def live_bytes(self) -> tuple[int, int]:
        """What went over the wire since it was taken over."""
        return (0, 0) if self.wire is None else (self.wire.bytes_up, self.wire.bytes_down)

    def end(self, ending: Ending) -> None:
        """Tell the client and close."""
        if not self.attached:
            return
        self.delivery.detach(self)
        if self.wire is not None:
            self.wire.send(self.last_words(ending))
            self.wire.close_soon()

    # The clock.

    def visit(self, now_s: float) -> float | None:
        """Heartbeat; end a stuck connection and an expired login."""
        wire = self.wire
        if not self.attached or wire is None:
            return None
        expires_at = self._gate.expires_at(self.login_id)
        if expires_at is not None and expires_at <= self.delivery.clock_ms():
            self.end(SESSION_EXPIRED)
            return None
        if wire.pending:
            stuck_s = asyncio.get_running_loop().time() - wire.progress_s
            if stuck_s >= self.delivery.limits.stuck_s:
                log.info("closing a %s reader that takes nothing", self.transport)
                self.end(TOO_SLOW)
                return None
            return min(5.0, self.delivery.limits.stuck_s / 2)
        in_s = self.beat(now_s)
        return None if in_s is None else self._next_visit_s(in_s)

    def _next_visit_s(self, in_s: float) -> float:
        expires_at = self._gate.expires_at(self.login_id)
        if expires_at is None:
            return in_s
        return max(0.0, min(in_s, (expires_at - self.delivery.clock_ms()) / 1000))
