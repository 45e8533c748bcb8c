"""The readers of this process: they attach, and end, each for its reason."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine, Sequence
from typing import Any, ClassVar, Protocol, cast

from chatserver.core import vocabulary
from chatserver.core.changes import AccountEnd, LoginsEnd, PasswordChange
from chatserver.core.errors import (
    CUT_OFF,
    RESTARTING,
    SIGNED_OUT,
    SUPERSEDED,
    TOO_MANY,
    Ending,
    Unauthenticated,
    Unavailable,
)
from chatserver.core.events import Event, Signal
from chatserver.core.hub import Hub
from chatserver.core.limits import Limits
from chatserver.core.mailbox import Mailbox
from chatserver.core.people import Login
from chatserver.delivery.attendance import Attendance
from chatserver.delivery.clockwork import Clockwork, Visited
from chatserver.delivery.mailboxes import Mailboxes
from chatserver.delivery.neighbours import Alone, Moving, Neighbours

RETURN_RATE = 500
"""Readers a second that a restarted server should have to take back: what `reconnectIn` spreads them to."""

CUT_OFF_S = 10.0
"""So long a node that is not fresh keeps its readers: most of what cuts it off is over by then."""
CUT_OFF_RETURN_MS = (1_000, 10_000)
"""All nodes may be cut off at once, and then all readers of all nodes come back."""

ENDS_A_TURN = 100
"""Readers that are sent away in one turn of the loop: about 5 ms."""


class Attached(Moving, Visited, Protocol):
    """A reader as this floor sees it."""

    transport: ClassVar[str]
    login: Login
    attached: bool

    @property
    def due_s(self) -> float:
        """Until when a polling client's next poll may come; of no meaning for a stream."""
        ...

    @property
    def parked(self) -> bool:
        """Whether a poll of this reader waits at the moment."""
        ...

    def live_bytes(self) -> tuple[int, int]:
        """Bytes up and down that the open connection has not yet been counted for."""
        ...


class LoginRules(Protocol):
    """What of `verbs.sessions` is needed here."""

    def is_current(self, login: Login) -> bool:
        """Whether this login has not ended meanwhile."""
        ...

    def expires_at(self, login_id: str) -> int | None:
        """When it ends by time (ms since 1970), as of now; 0 where it has ended, None for never."""
        ...


class Freshness(Protocol):
    """What of the journal is needed here."""

    @property
    def fresh(self) -> bool: ...


class Readers:
    """Who reads, by user (in the mailbox) and by login."""

    def __init__(
        self,
        hub: Hub,
        mailboxes: Mailboxes,
        attendance: Attendance,
        clockwork: Clockwork,
        people: tuple[LoginRules, Alone | Neighbours, Freshness],
        limits: Limits,
    ) -> None:
        self.draining = False
        self.all: dict[Attached, None] = {}  # in the order in which they came
        self.logins, self._neighbours, self._journal = people
        self._stale_since_s: float | None = None
        self._reaching_all: asyncio.Task[None] | None = None
        self._by_login: dict[str, tuple[Attached, ...]] = {}  # nearly always one, and never many
        self._hub = hub
        self._mailboxes = mailboxes
        self._attendance = attendance
        self._clockwork = clockwork
        self._limits = limits

    def refuse_while_draining(self) -> None:
        """Raises `Unavailable` while the server sends everybody away, and while it cannot tell that it has heard of all."""
        if self.draining:
            raise self.restarting()
        if not self._journal.fresh:
            raise Unavailable("The server is cut off from the others.")

    def restarting(self) -> Unavailable:
        """What whoever asks is told while the server sends everybody away."""
        return Unavailable("The server is restarting.", self.return_ms() / 1000)

    def attach(self, reader: Attached) -> None:
        """Let `reader` read its mailbox from its cursor on.

        Ends an older reader of the same client, and the oldest of all past the limit. Raises `Unavailable`
        while draining, and `Unauthenticated` where the login has ended since it was looked up.
        """
        self.refuse_while_draining()
        self.refuse_ended(reader.login)
        mailbox = reader.mailbox
        if reader.client and mailbox.readers:
            for older in [r for r in mailbox.readers if r.client == reader.client]:
                older.end(SUPERSEDED)
        while len(mailbox.readers) >= self._limits.readers_per_user:
            mailbox.readers[0].end(TOO_MANY)
        mailbox.attach(reader)
        self._mailboxes.attach(mailbox)
        self.all[reader] = None
        self._note_login(reader, reader.login)
        reader.attached = True
        self._neighbours.attached(reader)
        if reader.is_stream:
            self._attendance.stream_opened(mailbox.user_id)

    def detach(self, reader: Attached) -> None:
        """The reader is gone. Idempotent."""
        if not reader.attached:
            return
        reader.attached = False
        del self.all[reader]
        self._forget_login(reader)
        mailbox = reader.mailbox
        mailbox.detach(reader)
        self._mailboxes.detach(mailbox)
        self._clockwork.look_away(reader)
        if reader.is_stream:
            self._attendance.stream_closed(mailbox.user_id)
        self._neighbours.detached(reader)

    def change_login(self, reader: Attached, login: Login) -> None:
        """A polling client came back with another login of the same user. Raises `Unauthenticated` as `attach`."""
        self.refuse_ended(login)
        if reader.attached and reader.login.id != login.id:
            self._forget_login(reader)
            self._note_login(reader, login)
        reader.login = login

    def refuse_ended(self, login: Login) -> None:
        """Raises `Unauthenticated` where the login has ended since it was looked up."""
        if not self.logins.is_current(login):
            raise Unauthenticated("You are signed out.")

    def _note_login(self, reader: Attached, login: Login) -> None:
        alone = (reader,)
        others = self._by_login.setdefault(login.id, alone)
        if others is not alone:
            self._by_login[login.id] = (*others, reader)

    def _forget_login(self, reader: Attached) -> None:
        login_id = reader.login.id
        others = tuple([other for other in self._by_login[login_id] if other is not reader])
        if others:
            self._by_login[login_id] = others
        else:
            del self._by_login[login_id]

    # Ends.

    def follow(self, events: Sequence[Event]) -> None:
        """End whoever came in by a login that has ended, or belongs to an account that is no more."""
        for event in events:
            if event.change is None:
                continue  # nearly all of them
            match event.change:
                case LoginsEnd(login_ids=login_ids):
                    for login_id in login_ids:
                        _end(self._by_login.get(login_id, ()))
                case PasswordChange(user_id=user_id, kept=kept):
                    _end([r for r in self.of(user_id) if r.login.id != kept])
                case AccountEnd(user_id=user_id):
                    _end(self.of(user_id))

    async def drain(self) -> None:
        """Take no new reader, and send every one away to come back soon: some in each turn of the loop."""
        self.draining = True
        await self._send_away(RESTARTING)

    def turn(self, now_s: float) -> None:
        """Send everybody to the other nodes where this one has not been fresh for CUT_OFF_S."""
        if self._journal.fresh:
            self._stale_since_s = None
            if self._hub.signals_missed and self._reaching_all is None:
                self._hub.signals_missed = False
                self._begin(self._offer_presence())
        elif self._stale_since_s is None:
            self._stale_since_s = now_s
        elif now_s - self._stale_since_s >= CUT_OFF_S and self.all and self._reaching_all is None:
            self._begin(self._send_away(CUT_OFF))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._reaching_all = asyncio.get_running_loop().create_task(work)
        self._reaching_all.add_done_callback(self._has_reached_all)

    async def _offer_presence(self) -> None:
        """Who is online, to everybody: while this node was not fresh nobody was told who came and went."""
        mailboxes = list(dict.fromkeys([reader.mailbox for reader in self.all]))
        for at in range(0, len(mailboxes), ENDS_A_TURN):
            for mailbox in mailboxes[at : at + ENDS_A_TURN]:
                self._hub.offer((mailbox,), self._attendance.whole(mailbox))
            await asyncio.sleep(0)

    def _has_reached_all(self, task: asyncio.Task[None]) -> None:
        self._reaching_all = None

    async def _send_away(self, ending: Ending) -> None:
        for number, reader in enumerate(list(self.all), 1):
            reader.end(ending)
            if number % ENDS_A_TURN == 0:
                await asyncio.sleep(0)

    def return_ms(self) -> int:
        """When a client that is sent away should come back: jittered, so that not all come at once."""
        spread_ms = 1000 + 1000 * len(self.all) // RETURN_RATE
        return random.randint(200, min(30_000, spread_ms))

    def bye(self, ending: Ending) -> Signal:
        """What a connection is told before it ends."""
        if ending is CUT_OFF:
            return vocabulary.bye(ending, random.randint(*CUT_OFF_RETURN_MS))
        return vocabulary.bye(ending, self.return_ms())

    # One user's.

    def of(self, user_id: str) -> list[Attached]:
        """The readers of this user, oldest first."""
        mailbox = self._hub.mailbox(user_id)
        # Whoever reads a mailbox came by `attach`.
        return [] if mailbox is None else list(cast(list[Attached], mailbox.readers))

    def poll_left(self, mailbox: Mailbox) -> None:
        """A client that polled has gone, or came back by another way: its next poll is not awaited."""
        others = [reader.due_s for reader in self.of(mailbox.user_id) if not reader.is_stream]
        self._attendance.poll_left(mailbox.user_id, others)

    def cut(self, user_id: str, client: str) -> None:
        """Break the connections of one client of a user, as a bad network would."""
        for reader in self.of(user_id):
            if reader.client == client:
                reader.cut()

    def live_bytes(self, user_id: str) -> dict[str, tuple[int, int]]:
        """By client, the bytes up and down of connections that are open now."""
        return {reader.client: reader.live_bytes() for reader in self.of(user_id)}


def _end(readers: Sequence[Attached]) -> None:
    for reader in list(readers):
        reader.end(SIGNED_OUT)
