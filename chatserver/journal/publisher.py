"""What is on its way into the stream: one append of each actor at a time, repeated until it is known what became of it.

An append has happened when its own events come back from the stream. What the stream says at once (that it was stored) is read
only for refusals: a guard that was outrun, an id that is there already.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import orjson
from nats.aio.msg import Msg

from chatserver.core.errors import Unavailable
from chatserver.core.events import Draft
from chatserver.journal.contract import Appended, Guard, Outrun
from chatserver.journal.envelope import Placed, Subjects, encode
from chatserver.journal.nats_link import NatsLink

_log = logging.getLogger("chatserver.journal")

MAX_IN_FLIGHT = 1000
"""Messages: what the server cannot take in at once it may drop without a word, from 10,000 on."""
REPEAT_S = 1.5
"""So long without a word, and it is sent again under its id."""
GIVE_UP_S = 8.0
"""A stream finds another leader in 4 to 6 s."""
LOOK_S = 0.25
CUT_OFF_S = 2.0
"""So long without a connection, which ended 3 s after the server's last sign of life, and nobody is kept waiting: another node
may answer. A restart of NATS is shorter."""
_OUTRUN = (10071, 10164)
"""Codes of NATS: wrong last sequence, and the same while another one is on its way."""
_REPEATED = 10201
_ON_ITS_WAY = 10158
"""An earlier attempt with this id is being stored: after a change of leader it may take seconds, or come to nothing."""
_CANNOT_SAVE = "The server cannot save messages at the moment."

Outcome = list[Appended] | Unavailable | Outrun


@dataclass(slots=True, eq=False)
class Sending:
    """One append on its way. `done` hears once what became of it."""

    drafts: Sequence[Draft]
    done: Callable[[Outcome], None]
    guard: Guard | None = None
    number: int = 0
    bodies: list[bytes] = field(default_factory=list)
    tries: int = 0
    placed: list[Appended] = field(default_factory=list)
    sent_s: float = 0.0
    """When it was last handed to the connection; 0 where it never was."""
    until_s: float = 0.0

    @property
    def key(self) -> tuple[str, str]:
        """What is looked up of one that has an id."""
        draft = self.drafts[0]
        assert draft.client_id is not None, "only these are looked up"
        return draft.actor, draft.client_id

    @property
    def may_go_again(self) -> bool:
        """Whether a second attempt does nothing where the first one has happened: it has an id, or its guard has moved."""
        return len(self.bodies) == 1 or self.guard is not None


class Publisher:
    """Sends for `node` through `link`. `repeats(seq, sending)` hears of an append whose id stands at `seq` already; of one that may be
    there, 0. What comes back counts only where it `is_kept`."""

    def __init__(
        self,
        link: NatsLink,
        subjects: Subjects,
        node: str,
        repeats: Callable[[int, Sending], None],
        is_kept: Callable[[], bool] = lambda: True,
    ) -> None:
        self._link = link
        self._subjects = subjects
        self._node = node
        self._repeats = repeats
        self._is_kept = is_kept
        self._inbox = ""
        self._number = 0
        self._messages = 0
        """In flight."""
        self._flying: dict[int, Sending] = {}
        self._by_actor: dict[str, deque[Sending]] = {}
        """Of actors that have something in flight, what comes after it."""
        self._ready: deque[Sending] = deque()
        self._looking: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is on its way."""
        return not self._flying and not self._ready

    async def start(self) -> None:
        """Hear what the stream says."""
        self._inbox = self._link.new_inbox()
        await self._link.subscribe(f"{self._inbox}.*", self._acknowledged)
        self._link.on_connected.append(self._send_again)
        self._looking = asyncio.create_task(self._look(), name="publisher")

    async def close(self) -> None:
        """Send nothing more; whoever waits is told that it is not known."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        for sending in [*self._flying.values(), *self._ready, *self._later()]:
            self._answer(sending, Unavailable("The server is stopping."))
        self._flying.clear()
        self._ready.clear()
        self._by_actor.clear()

    def _later(self) -> list[Sending]:
        return [sending for queue in self._by_actor.values() for sending in queue]

    def prepare(self, sending: Sending) -> int:
        """Encode it; how many bytes it has. Raises as `core.events.encode_json`."""
        sending.bodies = encode(sending.drafts, self._node, self._number + 1)
        self._number += 1
        sending.number = self._number
        return sum([len(body) for body in sending.bodies])

    def send(self, sending: Sending) -> None:
        """Send what was prepared, after everything of the same actor that was given here before."""
        sending.until_s = time.monotonic() + GIVE_UP_S
        actor = sending.drafts[0].actor
        queue = self._by_actor.get(actor)
        if queue is None:
            self._by_actor[actor] = deque()
            self._ready.append(sending)
            self._pump()
        else:
            queue.append(sending)

    def came_back(self, placed: Placed) -> None:
        """An event of this node came out of the stream."""
        sending = self._flying.get(placed.number)
        if sending is None or len(sending.placed) != placed.index:
            return
        standing = placed.first or Appended(placed.event.seq, placed.event.at_ms, False)
        sending.placed.append(standing)
        if placed.index + 1 == placed.of:
            # As late as can be: what is acknowledged is to be there after a restart.
            kept = self._is_kept()
            self.end(sending, sending.placed if kept else Unavailable(_CANNOT_SAVE, 2.0))

    def is_own(self, placed: Placed, sending: Sending) -> bool:
        """Whether an event that stands in the stream is this very append."""
        return placed.node == self._node and placed.number == sending.number

    def end(self, sending: Sending, outcome: Outcome) -> None:
        """This is what became of it; the actor's next one may go."""
        if self._flying.pop(sending.number, None) is None:
            return
        self._messages -= len(sending.bodies)
        actor = sending.drafts[0].actor
        queue = self._by_actor[actor]
        if queue:
            self._ready.append(queue.popleft())
        else:
            del self._by_actor[actor]
        self._answer(sending, outcome)
        self._pump()

    def _answer(self, sending: Sending, outcome: Outcome) -> None:
        try:
            sending.done(outcome)
        except Exception:
            _log.exception("somebody failed on being answered")

    # sending

    def _pump(self) -> None:
        while self._ready and self._messages + len(self._ready[0].drafts) <= max(
            MAX_IN_FLIGHT, len(self._ready[0].drafts)
        ):
            sending = self._ready.popleft()
            self._flying[sending.number] = sending
            self._messages += len(sending.bodies)
            self._put(sending)

    def _put(self, sending: Sending) -> None:
        """Hand it to the connection, where there is one: else it is done when there is one again."""
        reply = f"{self._inbox}.{sending.number}"
        last = len(sending.bodies)
        sending.tries += 1
        for index, (draft, body) in enumerate(zip(sending.drafts, sending.bodies, strict=True), 1):
            subject = self._subjects.of_draft(draft)
            headers = self._headers(sending, index, last)
            if not self._link.publish(subject, body, reply if index == last else "", headers):
                # A batch whose end is missing never happens, and may go again under another name.
                return
        sending.sent_s = time.monotonic()

    def _headers(self, sending: Sending, index: int, last: int) -> dict[str, str]:
        headers: dict[str, str] = {}
        if last == 1:
            headers["Nats-Msg-Id"] = self._id(sending.drafts[0], sending.number)
        else:
            batch = f"{self._node}-{sending.number}-{sending.tries}"
            headers |= {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(index)}
            if index == last:
                headers["Nats-Batch-Commit"] = "1"
        guard = sending.guard
        if index == 1 and guard is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(guard.seq)
            subject = self._subjects.guarded(guard.subject)
            headers["Nats-Expected-Last-Subject-Sequence-Subject"] = subject
        return headers

    def _id(self, draft: Draft, number: int) -> str:
        if draft.client_id is None:
            return f"n:{self._node}:{number}"
        digest = hashlib.blake2b(draft.client_id.encode(), digest_size=16).hexdigest()
        actor = self._subjects.of_actor(draft.actor).rpartition(".")[2]
        return f"c:{actor}:{digest}"

    def _send_again(self) -> None:
        """There is another connection: what is on its way may have been lost with the one before."""
        for sending in list(self._flying.values()):
            if sending.may_go_again or not sending.sent_s:
                self._put(sending)

    async def _look(self) -> None:
        connected_s = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_S)
            now_s = time.monotonic()
            if self._link.connected:
                connected_s = now_s
            cut_off = now_s - connected_s > CUT_OFF_S
            for sending in list(self._flying.values()):
                if cut_off or now_s > sending.until_s:
                    self.end(sending, Unavailable(_CANNOT_SAVE, 2.0))
                elif not sending.sent_s or (
                    sending.may_go_again and now_s > sending.sent_s + REPEAT_S
                ):
                    self._put(sending)

    # what the stream says

    def _acknowledged(self, message: Msg) -> None:
        sending = self._flying.get(int(message.subject.rpartition(".")[2]))
        if sending is None or not message.data:
            return
        said = orjson.loads(message.data)
        error = said.get("error")
        if error is None:
            # Seq 0 is no place: some versions say so of a repeat that they lost. It is sent again in time.
            if said.get("duplicate") and said.get("seq"):
                self._repeats(int(said["seq"]), sending)
            return
        code = error.get("err_code")
        if code in _OUTRUN and sending.guard is not None:
            if sending.tries == 1:
                self.end(sending, Outrun())
            else:
                # What outran it may be its own first attempt: the stream looks at the guard before the id, and a batch has none.
                self._repeats(0, sending)
        elif code == _REPEATED or (code != _ON_ITS_WAY and error.get("code", 500) < 500):
            _log.error("the stream refuses a message: %s", error.get("description"))
            self.end(sending, Unavailable(_CANNOT_SAVE, 2.0))
        # Anything else passes: it is sent again until it is given up.
        elif len(sending.bodies) > 1:
            sending.sent_s = 0.0
