"""A WebSocket, an event stream and a polling connection under any bytes, in any pieces, in any order of everything.

A peer writes and reads as it likes, half closes, goes and comes; messages come in between; the clock jumps. Whatever happens:
memory and depth are bounded, no turn of the loop is long, nothing escapes into the loop or the log, and in the end
every connection is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from chatserver.core.errors import SIGNED_OUT
from chatserver.core.limits import Limits
from chatserver.core.mailbox import BATCH_BYTES
from chatserver.http.heads import HEAD_BYTES
from chatserver.transports import connection as bounds
from chatserver.transports.connection import Connection
from chatserver.transports.pollconnection import PollConnection
from chatserver.transports.talking import INBOX_FRAMES
from chatserver.transports.websocket import SocketReader
from tests.support.inprocess import Inside, inside
from tests.support.websocket_cases import close, frame

T = TypeVar("T")

TURN_MAX_S = 0.02
"""What the house promises, of CPU time and without the collector of garbage, which the server keeps out of its turns."""
LONG_TURNS_MAX = 2
"""So many may be longer, of thousands: a machine that runs tests stands still now and then. None is ten times as long."""

FIRST_BYTES = 64 * 1024
"""What Tornado may have read too far, which comes in one piece."""

OUTBOX_BYTES = 1024 * 1024


def sockets() -> int:
    """How many this process has open."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    return count


class Stage:
    """The house and its loop, which all examples share, and what is watched in it."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda _, context: self.escaped.append(str(context)))
        self.escaped: list[str] = []
        self.connections: list[Connection] = []
        self.now_s = time.monotonic()
        self.slowest_s = 0.0
        self.long_turns = 0
        self._stack = AsyncExitStack()
        limits = Limits(
            send_rate=1e6,
            send_burst=10**6,
            http_rate=1e6,
            http_rate_per_address=1e6,
            poll_wait_s=0.02,
            poll_wait_max_s=0.05,
        )
        self.it: Inside = self.run(self._stack.enter_async_context(inside(folder, limits=limits)))
        self.clockwork = self.it.house.delivery.clockwork
        self.clockwork.clock_s = lambda: self.now_s

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    def within(self, what: Callable[..., T], *arguments: Any) -> T:
        """Call it in a turn of the loop."""

        async def call() -> T:
            return what(*arguments)

        return self.loop.run_until_complete(call())

    def turn(self) -> float:
        """One turn of the loop; the CPU time that it took, in which other programs do not count."""
        self.loop.call_soon(self.loop.stop)
        gc.disable()
        began_s = time.thread_time()
        self.loop.run_forever()
        took_s = time.thread_time() - began_s
        gc.enable()
        self.long_turns += took_s > TURN_MAX_S
        return took_s

    def pass_s(self, seconds: float) -> None:
        """Let time pass, at most a heartbeat at once."""
        while seconds > 0:
            self.now_s += min(seconds, 5.0)
            seconds -= 5.0
            self.within(self.clockwork.turn, self.now_s)

    def close(self) -> None:
        self.run(self._stack.aclose())
        self.loop.close()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "CLOSE_S", 0.02)
        made = Stage(tmp_path_factory.mktemp("data"))
        original = Connection.__init__

        def watched(self: Connection, *arguments: Any) -> None:
            original(self, *arguments)
            made.connections.append(self)

        patch.setattr(Connection, "__init__", watched)
        yield made
        made.close()


class Machine(RuleBasedStateMachine):
    """The subclass says how a connection begins, and what its client says."""

    stage: Stage
    first: bytes

    def __init__(self) -> None:
        super().__init__()
        self.end: socket.socket | None = None
        self.outbox = bytearray()
        self.stage.connections.clear()
        self.sockets = sockets()

    def turns(self, count: int = 3) -> None:
        for _ in range(count):
            self.push()
            self.stage.slowest_s = max(self.stage.slowest_s, self.stage.turn())

    def push(self) -> None:
        while self.end is not None and self.outbox:
            try:
                del self.outbox[: self.end.send(memoryview(bytes(self.outbox[:65536])))]
            except BlockingIOError:
                return
            except OSError:
                self.outbox.clear()

    def say(self, data: bytes) -> None:
        # No precondition: when the server ends is not the same in every run, and a rule must be.
        if self.end is None:
            self.comes(8192)
        if len(self.outbox) < OUTBOX_BYTES:
            self.outbox += data
        self.turns()

    @rule(room=st.sampled_from([2304, 8192, 0]))
    def comes(self, room: int) -> None:
        if self.end is not None:
            self.goes(True)
        self.end = self.stage.within(self.stage.it.pair, room)
        self.outbox = bytearray(self.first)
        self.turns(10)

    @rule(abruptly=st.booleans())
    def goes(self, abruptly: bool) -> None:
        if self.end is None:
            return
        if not abruptly:
            self.end.shutdown(socket.SHUT_WR)
            self.turns()
        self.end.close()
        self.end = None
        self.outbox.clear()
        self.turns()

    @rule(size=st.sampled_from([1, 100, 4096, 1 << 20]))
    def reads(self, size: int) -> None:
        if self.end is None:
            return
        with contextlib.suppress(BlockingIOError):
            try:
                ended = self.end.recv(size) == b""
            except ConnectionResetError:
                ended = True
            if ended:
                self.end.close()
                self.end = None
        self.turns()

    @rule(data=st.binary(max_size=200))
    def says_anything(self, data: bytes) -> None:
        self.say(data)

    @rule(count=st.sampled_from([1, 5, 60]), size=st.sampled_from([1, 500, 4000]))
    def news(self, count: int, size: int) -> None:
        self.stage.run(self.write(count, size))
        self.turns()

    async def write(self, count: int, size: int) -> None:
        """Messages, all of them durable."""
        messages, user_id = self.stage.it.house.messages, self.stage.it.user_id
        for _ in range(count):
            messages.submit_now(user_id, {"text": "x" * size}, lambda answer: None)
        await messages.send(user_id, {"text": "last"})

    @rule(seconds=st.sampled_from([1.0, 20.0, 31.0, 80.0]))
    def time_passes(self, seconds: float) -> None:
        self.stage.pass_s(seconds)
        self.turns()

    @rule()
    def is_told_to_go(self) -> None:
        for reader in list(self.stage.it.house.delivery.readers.all):
            self.stage.within(reader.end, SIGNED_OUT)
        self.turns()

    @invariant()
    def memory_is_bounded(self) -> None:
        for one in self.stage.connections:
            waiting = len(one._pending or b"") + len(one._corked)
            assert waiting <= bounds.PENDING_BYTES + BATCH_BYTES + FIRST_BYTES
            owner = one._owner
            if isinstance(owner, PollConnection):
                assert len(owner._buffer) <= HEAD_BYTES + FIRST_BYTES
            if isinstance(owner, SocketReader):
                assert len(owner._parser._buffer or b"") <= FIRST_BYTES + 14 + bounds.READ_BYTES
                assert len(owner._inbox or ()) <= INBOX_FRAMES + FIRST_BYTES // 20

    @invariant()
    def no_turn_is_long(self) -> None:
        assert self.stage.long_turns <= LONG_TURNS_MAX
        assert self.stage.slowest_s < 10 * TURN_MAX_S

    @invariant()
    def nothing_escapes(self) -> None:
        assert self.stage.escaped == []
        assert self.stage.it.house.delivery.connections.counts["failed"] == 0

    def teardown(self) -> None:
        give_up_s = time.monotonic() + 10
        while time.monotonic() < give_up_s and not self.all_gone():
            self.is_told_to_go()  # again: one that was coming in has become a reader meanwhile
            self.stage.pass_s(self.stage.it.house.delivery.limits.idle_s)
        assert self.all_gone()
        if self.end is not None:
            self.end.close()
        while time.monotonic() < give_up_s and sockets() > self.sockets:
            self.turns()
        assert sockets() <= self.sockets
        self.nothing_escapes()

    def all_gone(self) -> bool:
        return all(one._owner is None for one in self.stage.connections)


VERBS = [
    b'{"type":"ping"}',
    b'{"type":"typing"}',
    b'{"type":"send","text":"hi","clientId":"1"}',
    b'{"type":"send","text":"there"}',
    b'{"type":"read","upTo":1}',
    b'{"type":"nothing"}',
    b"[1]",
    "é".encode() * 3000,
]


class SocketMachine(Machine):
    """A WebSocket client."""

    @rule(
        text=st.sampled_from(VERBS), count=st.sampled_from([1, 3, 50, 2000]), cut=st.integers(0, 9)
    )
    def says_frames(self, text: bytes, count: int, cut: int) -> None:
        data = frame(1, text) * count
        self.say(data[: len(data) - cut] if cut < 3 else data)

    @rule(payload=st.binary(max_size=125), count=st.sampled_from([1, 20, 5000]))
    def pings(self, payload: bytes, count: int) -> None:
        self.say(frame(9, payload) * count)

    @rule(
        opcode=st.sampled_from([0, 1, 2, 8, 10]), payload=st.binary(max_size=300), fin=st.booleans()
    )
    def says_any_frame(self, opcode: int, payload: bytes, fin: bool) -> None:
        self.say(frame(opcode, payload, fin=fin))

    @rule()
    def says_goodbye(self) -> None:
        self.say(close(1000) + b"more")


class EventsMachine(Machine):
    """Whoever reads an event stream has nothing to say, and says it."""

    @rule(count=st.sampled_from([1, 1000]))
    def asks_again(self, count: int) -> None:
        self.say(self.first * count)


class PollMachine(Machine):
    """A client that polls."""

    def ask(self, target: str, more: str = "") -> bytes:
        token = self.stage.it.token
        head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        return f"{head}{more}\r\n".encode()

    @rule(
        where=st.sampled_from(
            ["/poll", "/poll?after=0", "/poll?after=x", "/poll?client=a&after=1"]
        ),
        wait=st.sampled_from(["", "&wait=0"]),
        count=st.sampled_from([1, 3, 400, 5000]),
        cut=st.integers(0, 9),
    )
    def polls(self, where: str, wait: str, count: int, cut: int) -> None:
        data = self.ask(where + wait.replace("&", "&" if "?" in where else "?")) * count
        self.say(data[: len(data) - cut] if cut < 3 else data)

    @rule(
        where=st.sampled_from(["/api/me", "/healthz", "/nothing", "/poll?a= b", "/"]),
        count=st.sampled_from([1, 50]),
        last=st.booleans(),
    )
    def asks_for_something_else(self, where: str, count: int, last: bool) -> None:
        more = "Connection: close\r\n" if last else ""
        self.say((self.ask(where, more) + self.ask("/poll?wait=0")) * count)

    @rule(size=st.sampled_from([100, HEAD_BYTES - 10, HEAD_BYTES + 10, 100_000]))
    def says_a_head_without_end(self, size: int) -> None:
        self.say(b"GET /poll HTTP/1.1\r\nX: " + b"y" * size)


FIRST = {
    SocketMachine: "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    EventsMachine: "GET /events?after=0 HTTP/1.1\r\nHost: localhost\r\n",
    PollMachine: "GET /poll HTTP/1.1\r\nHost: localhost\r\n",
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", FIRST, ids=lambda kind: kind.__name__)
def test_whatever_happens_a_connection_is_bounded_and_ends(
    kind: type[Machine],
    stage: Stage,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Here(kind):  # type: ignore[misc, valid-type]
        pass

    Here.stage = stage
    stage.slowest_s, stage.long_turns = 0.0, 0
    Here.first = f"{FIRST[kind]}Authorization: Bearer {stage.it.token}\r\n\r\n".encode()
    examples = 25 * int(request.config.getoption("--fuzz"))
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],  # a machine that stands still cannot be shrunk
            suppress_health_check=list(HealthCheck),
        ),
    )
    print(f"{kind.__name__}: the slowest turn took {1000 * stage.slowest_s:.1f} ms of CPU time")
    loud = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert loud == []
