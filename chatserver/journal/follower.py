"""Following the stream: each message once, in order, from a place on, whatever happens to the connection, or to the stream
(`repeats`).

One push consumer, made anew from the last seq on where its own count jumps, a heartbeat disagrees, or nothing is heard. Not the
library's ordered consumer: that one begins at 1 again before its first message, and drops after it has counted.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import orjson
from nats.aio.msg import Msg

from chatserver.core.errors import Unavailable
from chatserver.journal.envelope import Placed, UnknownFormat, decode
from chatserver.journal.nats_link import Hearing
from chatserver.journal.repeats import REMEMBERED
from chatserver.journal.stream import SECOND_NS, Stream

_log = logging.getLogger("chatserver.journal")

HEARTBEAT_S = 1
SILENT_S = 3.0
"""Three heartbeats: then another consumer is made."""
WATCH_S = 0.25
INACTIVE_S = 10
"""The server forgets a consumer to which nobody listens after so long."""
_PLAIN_TOKENS = 9
"""Of `$JS.ACK.<stream>.<consumer>.<delivered>.<seq>.<consumer seq>.<ns>.<pending>`; with a domain there are two more in
front (NATS, "JetStream wire API")."""
_CONTROL = "100"
REMEMBER_S = 5.0
"""So long a start reads what is to be remembered: some 10 ms for each thousand."""

HandOn = Callable[[list[Placed]], None]
"""Whoever follows: is handed everything that came in one turn of the loop."""


class StreamFollower:
    """Hands the messages of `stream` to `hand_on`. While `full()` the server is asked to wait; `go_on` ends that."""

    def __init__(
        self, stream: Stream, name: str, hand_on: HandOn, full: Callable[[], bool] = lambda: False
    ) -> None:
        self.last_seq = 0
        """The newest that was handed on; or where it began."""
        self.broken = ""
        """Why it cannot go on, for good."""
        self.left_behind = False
        """Whether that is because what comes next is gone from the stream: whoever starts anew can go on."""
        self._stream = stream
        self._link = stream.link
        self._name = name
        self._hand_on = hand_on
        self._full = full
        self._hearing: Hearing | None = None
        self._taken_seq = 0
        self._consumer = 0
        """How many there have been."""
        self._counted = 0
        self._heard_s = 0.0
        self._turn: list[Placed] = []
        self._due = False
        self._closing = False
        self._held: list[str] = []
        self._again = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    async def start(self, after: int) -> None:
        """Follow what stands after this seq; what does not work at once is tried again."""
        self.last_seq = self._taken_seq = after
        self._link.on_connected.append(self._again.set)
        self._again.set()
        self._watching = asyncio.create_task(self._watch(), name=f"follow-{self._name}")

    async def close(self) -> None:
        """Hand on nothing more."""
        with suppress(ValueError):
            self._link.on_connected.remove(self._again.set)
        if self._watching is not None:
            self._closing = True
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
            self._watching = None
        await self._drop()

    def go_on(self) -> None:
        """There is room again."""
        held, self._held = self._held, []
        for reply in held:
            self._link.publish(reply, b"")

    # the consumer

    async def _watch(self) -> None:
        # A library may take a cancellation for its own.
        while not self.broken and not self._closing:
            with suppress(TimeoutError):
                async with asyncio.timeout(WATCH_S):
                    await self._again.wait()
            silent = time.monotonic() - self._heard_s > SILENT_S
            if (self._again.is_set() or silent) and self._link.connected:
                self._again.clear()
                await self._make()
        await self._drop()

    async def _make(self) -> None:
        await self._drop()
        self._counted = 0
        self._taken_seq = self._turn[-1].event.seq if self._turn else self.last_seq
        # Time to be made counts as silence only from now on.
        self._heard_s = time.monotonic()
        try:
            state = await self._stream.state()
            if state.first_seq > max(self._taken_seq + 1, state.began_seq):
                self.left_behind = True
                return self._break_off(f"seq {self._taken_seq + 1} has left the stream")
            inbox = self._link.new_inbox()
            self._consumer += 1
            hear = partial(self._hear, self._consumer)
            self._hearing = await self._link.subscribe(inbox, hear)
            name = f"{self._name}-{secrets.token_hex(6)}"
            body = {"stream_name": self._stream.name, "config": self._config(name, inbox)}
            subject = f"$JS.API.CONSUMER.CREATE.{self._stream.name}.{name}"
            answer = orjson.loads((await self._link.request(subject, orjson.dumps(body))).data)
            if "error" in answer:
                raise Unavailable(str(answer["error"].get("description")))
        except Unavailable as error:
            _log.info("the stream cannot be followed yet: %s", error.detail)

    def _config(self, name: str, inbox: str) -> dict[str, Any]:
        return {
            "name": name,
            "deliver_subject": inbox,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": self._taken_seq + 1,
            "ack_policy": "none",
            "max_deliver": 1,
            "replay_policy": "instant",
            "flow_control": True,
            "idle_heartbeat": HEARTBEAT_S * SECOND_NS,
            "inactive_threshold": INACTIVE_S * SECOND_NS,
            "num_replicas": 1,
            "mem_storage": True,
        }

    async def _drop(self) -> None:
        hearing, self._hearing = self._hearing, None
        self._held.clear()
        if hearing is not None:
            await self._link.unsubscribe(hearing)

    def _break_off(self, why: str) -> None:
        self.broken = why
        _log.critical("the order cannot be followed any further: %s", why)

    # its messages

    def _hear(self, consumer: int, message: Msg) -> None:
        if self._hearing is None or consumer != self._consumer:
            return  # Of one that was given up.
        self._heard_s = time.monotonic()
        status = message.headers and message.headers.get("Status")
        if status == _CONTROL:
            self._control(message, message.headers or {})
        elif status is not None:
            self._again.set()
        else:
            self._take(message)

    def _control(self, message: Msg, headers: dict[str, str]) -> None:
        # Either says to which subject the server wants to hear that this was taken.
        wanted = message.reply or headers.get("Nats-Consumer-Stalled")
        if wanted:
            self._held.append(wanted)
            if not self._full():
                self.go_on()
        counted = headers.get("Nats-Last-Consumer")
        if counted is not None and int(counted) != self._counted:
            self._again.set()

    def _take(self, message: Msg) -> None:
        tokens = message.reply.split(".")
        at = 4 if len(tokens) == _PLAIN_TOKENS else 6
        seq, counted = int(tokens[at + 1]), int(tokens[at + 2])
        if self._again.is_set() or counted != self._counted + 1 or seq <= self._taken_seq:
            self._again.set()
            return
        try:
            placed = decode(message.data, seq, int(tokens[at + 3]) // 1_000_000)
        except UnknownFormat as error:
            self._again.clear()
            return self._break_off(f"it holds what a newer chatserver wrote ({error})")
        self._counted, self._taken_seq = counted, seq
        self._turn.append(self._stream.repeats.marked(placed))
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._hand_turn)

    def _hand_turn(self) -> None:
        self._due = False
        last = self._turn[-1]
        # Of an append all events are handed on, or none yet.
        whole = len(self._turn)
        if last.index + 1 < last.of:
            whole = max(0, whole - last.index - 1)
        turn, self._turn = self._turn[:whole], self._turn[whole:]
        if turn:
            self.last_seq = turn[-1].event.seq
            self._hand_on(turn)


async def remember(stream: Stream, name: str, head_seq: int) -> None:
    """Read what stands right before `head_seq`, so that a repeat of it will be known for one.

    What cannot be read in time is not known. Raises `Unavailable`.
    """
    after = max(head_seq - REMEMBERED, (await stream.state()).first_seq - 1)
    if after >= head_seq:
        return
    done = asyncio.Event()

    def hear(turn: list[Placed]) -> None:
        if turn[-1].event.seq >= head_seq:
            done.set()

    reader = StreamFollower(stream, name, hear)
    await reader.start(after)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(REMEMBER_S):
                await done.wait()
    finally:
        await reader.close()
