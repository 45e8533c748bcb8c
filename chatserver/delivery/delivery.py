"""Floor 2: from the journal to the readers. Opens and hibernates mailboxes, mends gaps, knows who is online.

Transports attach readers here; the service asks here who is online. Nothing here knows a socket.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Protocol, cast

from chatserver.core.changes import FriendChange
from chatserver.core.errors import RESTARTING, SIGNED_OUT, SUPERSEDED, TOO_MANY, Ending, Unavailable
from chatserver.core.events import Event, Signal, encode_json, make_signal
from chatserver.core.histogram import FanoutLag
from chatserver.core.hub import Hub
from chatserver.core.limits import Limits
from chatserver.core.mailbox import Mailbox, cut_batch
from chatserver.core.mailbox import Reader as HubReader
from chatserver.core.tallies import Tallies
from chatserver.core.timers import TimerWheel
from chatserver.core.visibility import View
from chatserver.delivery.attendance import Attendance, SeenKeeper
from chatserver.journal.contract import Journal

log = logging.getLogger(__name__)

REPLAY_PAGE_EVENTS = 200
"""Events read from the journal in one go; a page is written before the next one is read."""

RETURN_RATE = 500
"""Readers a second that a restarted server should have to take back: what `reconnectIn` spreads them to."""


class Visited(Protocol):
    """Something that the clockwork looks after."""

    def visit(self, now_s: float) -> float | None:
        """Look after itself (heartbeat, time-outs); seconds until the next visit, None when gone."""
        ...


class Attached(HubReader, Visited, Protocol):
    """A reader as this floor sees it."""

    transport: ClassVar[str]
    user_id: str
    login_id: str
    mailbox: Mailbox
    attached: bool
    is_stream: ClassVar[bool]

    @property
    def due_s(self) -> float:
        """Until when a polling client's next poll may come; of no meaning for a stream."""
        ...

    @property
    def parked(self) -> bool:
        """Whether a poll of this reader waits at the moment."""
        ...

    def fall_behind(self) -> None:
        """Where it follows its mailbox: pull again."""
        ...

    def cut(self) -> None:
        """Break the connection without a word."""
        ...

    def live_bytes(self) -> tuple[int, int]:
        """Bytes up and down that the open connection has not yet been counted for."""
        ...


class FriendsSource(SeenKeeper, Protocol):
    """What of the store is needed here."""

    async def friends_since(self, user_id: str) -> tuple[dict[str, int], int]: ...


class Delivery:
    """The readers of this process and what they are owed.

    `clock_s` is monotonic seconds, `clock_ms` milliseconds since 1970.
    """

    def __init__(
        self,
        journal: Journal,
        store: FriendsSource,
        limits: Limits,
        clock_s: Callable[[], float],
        clock_ms: Callable[[], int],
    ) -> None:
        self.limits = limits
        self.clock_s = clock_s
        self.clock_ms = clock_ms
        self.draining = False
        self.readers: dict[Attached, None] = {}  # in the order in which they came
        self.resets: Counter[str] = Counter()
        self.applied_events = 0
        self.opened_mailboxes = 0
        self.fanout_lag = FanoutLag()
        self.lanes = Tallies()
        self._journal = journal
        self._store = store
        self._hub = Hub(0, limits.mailbox_events, limits.mailbox_bytes, self._schedule_flush)
        self.attendance = Attendance(self._hub, store, limits.offline_grace_s, clock_s, clock_ms)
        tick_s = min(1.0, limits.heartbeat_s / 5, limits.silence_s / 5, limits.offline_grace_s / 5)
        self._wheel: TimerWheel[Visited] = TimerWheel(max(tick_s, 0.01), clock_s())
        self._opening: dict[str, asyncio.Task[Mailbox]] = {}
        self._idle: dict[str, float] = {}  # user -> since when nobody reads the mailbox
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self.ping = make_signal("ping", "", {"at": clock_ms()})
        """The heartbeat of this tick, shared by every stream that is due in it."""
        self._ticking: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # Life.

    async def start(self) -> None:
        """Follow the journal from its head on."""
        self._loop = asyncio.get_running_loop()
        await self._journal.start(self._follow)
        self._hub.head_seq = self._journal.head_seq
        self._ticking = self._loop.create_task(self._tick())

    async def drain(self) -> None:
        """Send every reader away to come back soon, and take no new one."""
        self.draining = True
        for reader in list(self.readers):
            reader.end(RESTARTING)

    async def close(self) -> None:
        """Stop the clockwork and keep when the present users were last seen."""
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        await self.attendance.close()

    # The order.

    @property
    def head_seq(self) -> int:
        """The newest seq that was applied here."""
        return self._hub.head_seq

    @property
    def delivered_events(self) -> int:
        """Appends to mailboxes, ever."""
        return self._hub.delivered_events

    @property
    def open_mailboxes(self) -> int:
        """Mailboxes in memory."""
        return len(self._hub.graph.open)

    def _follow(self, events: Sequence[Event]) -> None:
        self.fanout_lag.begin(events[0].at_ms)
        self._hub.apply(events)
        if not self._hub.flush_due:
            self.fanout_lag.end(self.clock_ms())
        self.applied_events += len(events)
        for event in events:
            change = event.change
            if isinstance(change, FriendChange) and change.relation == "friend":
                self.attendance.introduce(change.asker, change.other)
        if self._waiting:
            head = self._hub.head_seq
            for seq, waiter in self._waiting:
                if seq <= head and not waiter.done():
                    waiter.set_result(None)
            self._waiting = [(seq, w) for seq, w in self._waiting if seq > head and not w.done()]

    async def caught_up(self, seq: int) -> None:
        """Return once this process has applied `seq`: after this no reader here lags behind a snapshot."""
        if seq <= self._hub.head_seq:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append((seq, waiter))
        await waiter

    def _schedule_flush(self) -> None:
        assert self._loop is not None
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._hub.flush()
        self.fanout_lag.end(self.clock_ms())

    # Mailboxes.

    async def open(self, user_id: str) -> Mailbox:
        """The mailbox of this user, opened if need be. Attach a reader before the next await."""
        mailbox = self._hub.mailbox(user_id)
        if mailbox is None:
            task = self._opening.get(user_id)
            if task is None:
                task = asyncio.get_running_loop().create_task(self._open(user_id))
                self._opening[user_id] = task
            mailbox = await asyncio.shield(task)
        if user_id in self._idle:
            self._idle[user_id] = self.clock_s()
        return mailbox

    def open_now(self, user_id: str) -> Mailbox | None:
        """The mailbox of this user if it is open, without waiting."""
        return self._hub.mailbox(user_id)

    async def _open(self, user_id: str) -> Mailbox:
        self._hub.begin_opening(user_id)
        try:
            friends, at_seq = await self._store.friends_since(user_id)
            await self.caught_up(at_seq)
        except BaseException:
            self._hub.cancel_opening(user_id)
            raise
        finally:
            del self._opening[user_id]
        self._idle[user_id] = self.clock_s()
        self.opened_mailboxes += 1
        return self._hub.open(user_id, friends, at_seq)

    def view_is_open(self, user_id: str) -> bool:
        """Whether `friend_since` can answer for this user."""
        return self._hub.mailbox(user_id) is not None

    def friend_since(self, user_id: str, other_id: str) -> int | None:
        """The seq at which their friendship began; None where there is none. Needs an open mailbox."""
        mailbox = self._hub.mailbox(user_id)
        if mailbox is None:
            raise ValueError(f"mailbox {user_id} is not open")
        return mailbox.friends.get(other_id)

    # Readers.

    def attach(self, reader: Attached) -> None:
        """Let `reader` read its mailbox from its cursor on.

        Ends an older reader of the same client, and the oldest of all past the limit.
        Raises `Unavailable` while draining.
        """
        if self.draining:
            raise Unavailable("The server is restarting.", self.return_ms() / 1000)
        mailbox = reader.mailbox
        if reader.client:
            for older in [r for r in mailbox.readers if r.client == reader.client]:
                older.end(SUPERSEDED)
        while len(mailbox.readers) >= self.limits.readers_per_user:
            mailbox.readers[0].end(TOO_MANY)
        mailbox.attach(reader)
        self.readers[reader] = None
        reader.attached = True
        self._idle.pop(mailbox.user_id, None)
        if reader.is_stream:
            self.attendance.stream_opened(reader.user_id)

    def detach(self, reader: Attached) -> None:
        """The reader is gone. Idempotent."""
        if not reader.attached:
            return
        reader.attached = False
        del self.readers[reader]
        mailbox = reader.mailbox
        reader.fall_behind()
        mailbox.detach(reader)
        self._wheel.drop(reader)
        if not mailbox.readers:
            self._idle[mailbox.user_id] = self.clock_s()
        if reader.is_stream:
            self.attendance.stream_closed(reader.user_id)

    def mark(self, reader: HubReader) -> None:
        """Have the reader flushed in this turn."""
        self._hub.mark(reader)

    def look_after(self, reader: Visited, in_s: float) -> None:
        """Call its `visit` in about `in_s` seconds, and then as often as it asks for."""
        self._wheel.add(reader, self.clock_s() + in_s)

    def look_away(self, item: Visited) -> None:
        """Visit it no more: it has ended."""
        self._wheel.drop(item)

    def end_logins(self, login_ids: Iterable[str], ending: Ending = SIGNED_OUT) -> None:
        """End every connection that came in by one of these logins, at once."""
        ended = set(login_ids)
        for reader in [r for r in self.readers if r.login_id in ended]:
            reader.end(ending)

    def end_user(self, user_id: str) -> None:
        """End every connection of a user who is no more."""
        mailbox = self._hub.mailbox(user_id)
        if mailbox is not None:
            for reader in list(mailbox.readers):
                reader.end(SIGNED_OUT)
        self.attendance.drop(user_id)

    def cut(self, user_id: str, client: str) -> None:
        """Break the connections of one client of a user, as a bad network would."""
        mailbox = self._hub.mailbox(user_id)
        for reader in self._attached(mailbox) if mailbox is not None else []:
            if reader.client == client:
                reader.cut()

    def live_bytes(self, user_id: str) -> dict[str, tuple[int, int]]:
        """By client, the bytes up and down of connections that are open now."""
        mailbox = self._hub.mailbox(user_id)
        readers = self._attached(mailbox) if mailbox is not None else []
        return {reader.client: reader.live_bytes() for reader in readers}

    def _attached(self, mailbox: Mailbox) -> list[Attached]:
        # Whoever reads a mailbox came by `attach`.
        return list(cast(list[Attached], mailbox.readers))

    def return_ms(self) -> int:
        """When a client that is sent away should come back: jittered, so that not all come at once."""
        spread_ms = 1000 + 1000 * len(self.readers) // RETURN_RATE
        return random.randint(200, min(30_000, spread_ms))

    def bye(self, ending: Ending) -> Signal:
        """What a connection is told before it ends."""
        fields = {
            "reason": ending.reason,
            "reconnectIn": self.return_ms() if ending.retry else 0,
            "retry": ending.retry,
        }
        return make_signal("bye", "", fields)

    # Gaps.

    async def lost(self, mailbox: Mailbox, after: int) -> str | None:
        """Why `after` cannot be resumed exactly; None where it can."""
        if after > self._hub.head_seq:
            if after > self._journal.head_seq:
                return self._reset("beyond the head")
            await self.caught_up(after)
        if after >= mailbox.floor_seq:
            return None
        cap = self.limits.replay_events + 1
        count = await self._journal.backlog(self._view(mailbox), after, mailbox.floor_seq, cap)
        if count is None:
            return self._reset("too long ago")
        if count + len(mailbox.events) > self.limits.replay_events:
            return self._reset("too much missed")
        return None

    def _reset(self, reason: str) -> str:
        self.resets[reason] += 1
        return reason

    def reset_event(self, reason: str) -> tuple[int, bytes]:
        """The seq and the JSON of a `reset` at the present head."""
        seq = self._hub.head_seq
        return seq, encode_json({"seq": seq, "type": "reset", "lost": "all", "reason": reason})

    async def page(self, mailbox: Mailbox, after: int) -> tuple[list[Event], int]:
        """The next events below the mailbox's floor, and the position they lead to."""
        floor_seq = mailbox.floor_seq
        if after >= floor_seq:
            return [], after
        limit = REPLAY_PAGE_EVENTS
        events = await self._journal.replay(self._view(mailbox), after, floor_seq, limit)
        kept = cut_batch(events)
        whole = len(kept) == len(events) < limit
        return kept, floor_seq if whole else kept[-1].seq

    def _view(self, mailbox: Mailbox) -> View:
        # A copy: it is read in another thread while friendships may change here.
        return View(mailbox.user_id, dict(mailbox.friends))

    # Presence and typing.

    def online(self, user_id: str) -> bool:
        """Whether this user has a stream, polls, or did so within the grace."""
        return self.attendance.online(user_id)

    def poll_left(self, mailbox: Mailbox) -> None:
        """A client that polled has gone, or came back by another way: its next poll is not awaited."""
        others = [reader.due_s for reader in self._attached(mailbox) if not reader.is_stream]
        self.attendance.poll_left(mailbox.user_id, others)

    def typing(self, from_id: str, to_id: str | None) -> None:
        """Tell the friends, or the one friend, that `from_id` is typing."""
        self._hub.signal(make_signal("typing", from_id, {"from": from_id, "to": to_id}), to_id)

    # Clockwork.

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._wheel.tick_s)
            try:
                self._turn(self.clock_s())
            except Exception:
                # Whatever one connection did wrong: the others need their heartbeats.
                log.exception("a turn of the clockwork failed")

    def _turn(self, now_s: float) -> None:
        self.ping = make_signal("ping", "", {"at": self.clock_ms()})
        for reader in self._wheel.advance(now_s):
            in_s = reader.visit(now_s)
            if in_s is not None:
                self._wheel.add(reader, now_s + in_s)
        self.attendance.expire(now_s)
        self._hibernate(now_s)

    def _hibernate(self, now_s: float) -> None:
        long_ago_s = now_s - self.limits.mailbox_linger_s
        # Insertion order is nearly time order; a refreshed entry only delays those behind it a little.
        for user_id in [u for u, since_s in self._idle.items() if since_s <= long_ago_s]:
            del self._idle[user_id]
            self._hub.close(user_id)
