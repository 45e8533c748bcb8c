"""A stream over which its client talks, too: what it says waits in an inbox, is carried out in order, and is answered."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import Any

from chatserver.core.errors import BAD_FRAMES, ChatError, RateLimited, Unavailable
from chatserver.core.mailbox import Mailbox
from chatserver.core.prices import TokenBucket
from chatserver.delivery.delivery import Delivery
from chatserver.http.admission import Arrival
from chatserver.journal.contract import Appended
from chatserver.transports.reader import run_on
from chatserver.transports.stream import StreamReader
from chatserver.verbs.messages import Messages
from chatserver.verbs.reads import Reads

BAD_FRAMES_MAX = 10
"""So many frames that make no sense, over a connection's life, and it is closed with 4500."""

INBOX_FRAMES = 64
"""Frames of one client that may wait their turn, and messages that may wait for the journal; then the
socket is not read until there is room."""

RESUME_FRAMES = INBOX_FRAMES // 2 - 1
"""With so many there is room again."""


@dataclass(frozen=True, slots=True)
class SocketVerbs:
    """What a client may do by frames."""

    messages: Messages
    reads: Reads


class TalkingReader(StreamReader):
    """A stream whose client sends `fields`, with a string `type`, and a `reference` that its answers carry."""

    __slots__ = ("_bad_frames", "_inbox", "_refusals", "_unanswered", "_verbs", "_working")

    def __init__(
        self, delivery: Delivery, verbs: SocketVerbs, arrival: Arrival, mailbox: Mailbox
    ) -> None:
        super().__init__(delivery, arrival, mailbox)
        self._verbs = verbs
        self._inbox: deque[tuple[dict[str, Any], Any]] | None = None
        self._working = True  # held until the greeting
        self._unanswered = 0  # what waits in the inbox, and messages that wait for the journal
        self._bad_frames = 0
        self._refusals: TokenBucket | None = None

    @abstractmethod
    def acknowledgement(self, reference: Any, seq: int, at_ms: int) -> bytes:
        """What says that a message is durable; may be nothing."""

    @abstractmethod
    def refusal(self, reference: Any, error: ChatError) -> bytes:
        """What says that something is refused."""

    @abstractmethod
    async def _carry_out_more(self, fields: dict[str, Any], reference: Any) -> None:
        """What this transport has beside `send`, `typing` and `read`. Raises `ChatError`."""

    @property
    def _is_full(self) -> bool:
        return self._unanswered >= INBOX_FRAMES

    def _receive_fields(self, fields: dict[str, Any], reference: Any) -> None:
        if self._working or fields["type"] != "send" or not self._send_now(fields, reference):
            if self._inbox is None:
                self._inbox = deque()
            self._inbox.append((fields, reference))
            self._unanswered += 1
            self._start_working()
        if self._unanswered >= INBOX_FRAMES:
            self.outlet.pause()

    def _send_now(self, fields: dict[str, Any], reference: Any) -> bool:
        """Place a message without a task, where nothing has to be looked up for it and nothing waits before it."""
        try:
            placed = self._verbs.messages.submit_now(
                self.mailbox.user_id, fields, partial(self._acknowledge, reference)
            )
        except ChatError as error:
            self._answer_error(error, reference)
            return True
        self._unanswered += placed
        return placed

    def greeted(self) -> None:
        # The first item is the hello: what a hasty client sent before it, was kept until now.
        self._working = False
        if self._inbox:
            self._start_working()

    def _start_working(self) -> None:
        if not self._working:
            self._working = True
            run_on(self._work())

    async def _work(self) -> None:
        """Carry out what waits, in order. A message is in its place before the next frame is looked at,
        but its commit is not waited for."""
        carried_out = 0
        try:
            while self._inbox and self.attached:
                fields, reference = self._inbox.popleft()
                self._unanswered -= 1
                try:
                    await self._carry_out(fields, reference)
                except ChatError as error:
                    self._answer_error(error, reference)
                self._resume_reading()
                carried_out += 1
                if carried_out % self.delivery.limits.turn_frames == 0:
                    await asyncio.sleep(0)  # the others have their turn
        finally:
            self._working = False

    async def _carry_out(self, fields: dict[str, Any], reference: Any) -> None:
        kind = fields["type"]
        if kind == "send":
            self._unanswered += 1
            try:
                await self._verbs.messages.submit(
                    self.mailbox.user_id, fields, partial(self._acknowledge, reference)
                )
            except BaseException:
                self._unanswered -= 1
                raise
        elif kind == "typing":
            await self._verbs.messages.typing(self.mailbox.user_id, fields)
        elif kind == "read":
            # What comes behind it does not wait for its second.
            await self._verbs.reads.read(self.mailbox.user_id, fields, patient=False)
        else:
            await self._carry_out_more(fields, reference)

    def _acknowledge(self, reference: Any, answer: Appended | Unavailable) -> None:
        self._unanswered = unanswered = self._unanswered - 1
        if unanswered == RESUME_FRAMES:
            self._read_again()  # just now there is room again
        if isinstance(answer, Unavailable):
            self._refuse(answer, reference)
        elif self.attached:
            # In one write with the sender's own event, which comes next (`Journal.place`): at once, or by the flush. A
            # repeat has none.
            self.cork(self.acknowledgement(reference, answer.seq, answer.at_ms))
            if answer.duplicate:
                self.delivery.hub.mark(self)

    def _resume_reading(self) -> None:
        if self._unanswered <= RESUME_FRAMES:
            self._read_again()

    def _read_again(self) -> None:
        self.outlet.resume()

    # Refusals.

    def _answer_error(self, error: ChatError, reference: Any) -> None:
        if error.status in (400, 422):
            self._bad(error, reference)
        else:
            self._refuse(error, reference)

    def _refuse(self, error: ChatError, reference: Any) -> None:
        if self.attached:
            self.outlet.send(self.refusal(reference, error))
        if isinstance(error, RateLimited):
            now_s = self.delivery.clockwork.clock_s()
            if self._refusals is None:
                self._refusals = TokenBucket(1.0, self.delivery.limits.refusals, now_s)
            if self._refusals.take(now_s):
                self.end(BAD_FRAMES)  # it does not listen

    def _bad(self, error: ChatError, reference: Any) -> None:
        self._bad_frames += 1
        self._refuse(error, reference)
        if self._bad_frames >= BAD_FRAMES_MAX:
            self.end(BAD_FRAMES)
