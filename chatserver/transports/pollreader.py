"""A polling client as the hub sees it: between its polls, and while one of them waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from chatserver.core.errors import SUPERSEDED, Ending
from chatserver.core.events import Event, Signal
from chatserver.core.mailbox import Mailbox
from chatserver.core.people import Login
from chatserver.delivery.delivery import Delivery
from chatserver.transports.reader import ALL_COMINGS, Reader, Stage

if TYPE_CHECKING:
    from chatserver.transports.longpoll import Poll

NEVER_S = float("inf")

BETWEEN_S = 5.0
"""How soon a client is looked at again that was between two polls."""


class PollReader(Reader):
    """The cursor is its client's; what waits here are its signals, and the poll, if one waits."""

    __slots__ = ("due_s", "owed_presence", "request", "visit_s")

    transport: ClassVar[str] = "longpoll"
    is_stream: ClassVar[bool] = False

    def __init__(self, delivery: Delivery, login: Login, mailbox: Mailbox, client: str) -> None:
        super().__init__(delivery, login, mailbox, client)
        self.request: Poll | None = None
        self.due_s = 0.0
        self.visit_s = NEVER_S
        """When the clockwork comes next."""
        self.owed_presence = bool(client) and delivery.neighbours.several
        """Whether the client may know the presence of another node only, or of this one before its start: it comes with the next answer.

        LIMIT: not where this node has forgotten the client between two polls, as it does after its wait and the grace of those
        who go offline. To such a client friends who went meanwhile are online until the next thing is told of them.
        """
        self.enter(Stage.OPEN)

    def take(self, run: list[Event], before: int) -> bool:
        """Polls pull, at the flush: a burst comes as one answer."""
        return False

    def flush(self) -> None:
        """Answer the waiting poll if there is something."""
        request = self.request
        if request is not None and request.waiting:
            request.try_answer()

    def end(self, ending: Ending) -> None:
        """Answer the waiting poll, if one waits: with nothing where a newer one took its place."""
        if self.stage is Stage.ENDED:
            return
        self.leave()
        self.delivery.readers.poll_left(self.mailbox)
        request, self.request = self.request, None
        if request is not None:
            said = () if ending is SUPERSEDED else (self.delivery.readers.bye(ending),)
            request.answer((), said)

    def offer(self, signal: Signal) -> None:
        """Keep a signal for the next answer. One is enough for the whole presence to come, which shows whoever comes until then."""
        super().offer(signal)
        if self.owed_presence:
            self.knows = ALL_COMINGS

    @property
    def parked(self) -> bool:
        """Whether a poll of this reader waits at the moment."""
        return self.request is not None and self.request.waiting

    def cut(self) -> None:
        """Break the connection of the waiting poll without a word."""
        if self.request is not None:
            self.request.cut()

    def take_signals(self) -> list[Signal]:
        """The waiting signals, and the presence if it is owed; none wait afterwards."""
        if not self.signals and not self.owed_presence:
            return []
        if self.signals and self.delivery.neighbours.several:
            self.delivery.neighbours.handed(self)
        signals = super().take_signals()
        if self.owed_presence:
            self.owed_presence = False
            attendance = self.delivery.attendance
            self.knows = attendance.comings
            signals.append(attendance.whole(self.mailbox))
        return signals

    def moved(self) -> None:
        """The client polls at another node now: the poll that waits here ends with nothing, and what waits comes there."""
        request, self.request = self.request, None
        if request is not None:
            request.answer((), ())
        self.offered_elsewhere()
        self.owed_presence = True

    def offered_elsewhere(self) -> None:
        """Another node has handed the client what waits here."""
        self.signals = None
        if self.knows == ALL_COMINGS:
            self.knows = 0  # who comes is a reason to answer again

    def look_after(self, in_s: float) -> None:
        """Have the clockwork come in so many seconds, and then as often as need be."""
        clockwork = self.delivery.clockwork
        self.visit_s = clockwork.clock_s() + in_s
        clockwork.look_after_at(self, self.visit_s)

    def visit(self, now_s: float) -> float | None:
        """End a poll that has waited long enough; forget a client that did not come back."""
        request = self.request
        if request is not None and request.waiting and now_s >= request.ends_s:
            request.time_is_up()
            request = self.request
        if request is None and now_s >= self.due_s:
            self.leave()
        if not self.attached:
            return None
        next_s = now_s + BETWEEN_S
        if request is None:
            next_s = min(next_s, self.due_s)
        elif request.waiting:
            next_s = request.ends_s
        self.visit_s = next_s
        return next_s - now_s

    def leave(self) -> None:
        """Be forgotten: it has ended, its client did not come back, or has no name to come back with."""
        if self.stage is not Stage.ENDED:
            self.enter(Stage.ENDED)
            self.delivery.readers.detach(self)


def find(mailbox: Mailbox, client: str) -> PollReader | None:
    """The reader of a client that has polled, by the client's name; None where it has none."""
    for reader in mailbox.readers:
        if reader.client == client and isinstance(reader, PollReader):
            return reader
    return None
