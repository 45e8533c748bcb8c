"""The users of this process: events in, in order; marked readers out, one flush a turn.

Publishing appends and marks. It never writes, waits or publishes; what a reader then costs is paid in its
own flush.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from chatserver.core.audience import AudienceIndex
from chatserver.core.changes import FriendChange
from chatserver.core.events import Audience, Event, Signal
from chatserver.core.mailbox import Mailbox, Reader, cut_batch


class Hub:
    """Mailboxes and their readers.

    `schedule_flush` is called when the first reader becomes dirty; it must bring about one call of `flush`
    soon, not now. `head_seq` is the newest seq applied.
    """

    def __init__(
        self, head_seq: int, max_events: int, max_bytes: int, schedule_flush: Callable[[], None]
    ) -> None:
        self.head_seq = head_seq
        self.delivered_events = 0
        """Appends to mailboxes, ever."""
        self.graph = AudienceIndex()
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._schedule_flush = schedule_flush
        self._dirty: list[Reader] = []
        self._opening: dict[str, list[tuple[int, FriendChange]]] = {}

    # Opening is in two steps, because the friends are read elsewhere meanwhile.

    def begin_opening(self, user_id: str) -> None:
        """From now on keep the friendship changes of this user, until `open` or `cancel_opening`."""
        self._opening[user_id] = []

    def cancel_opening(self, user_id: str) -> None:
        """The friends could not be read."""
        del self._opening[user_id]

    def open(self, user_id: str, friends: Mapping[str, int], at_seq: int) -> Mailbox:
        """Open the mailbox of a user whose `friends` were read as of `at_seq`, at most `head_seq`.

        Its window begins at the present head: what lies before comes from the journal.
        """
        if at_seq > self.head_seq:
            raise ValueError("the friends are newer than the hub: wait for it first")
        known = dict(friends)
        for seq, change in self._opening.pop(user_id):
            if seq > at_seq:
                other = change.other if change.asker == user_id else change.asker
                if change.relation == "friend":
                    known.setdefault(other, seq)
                else:
                    known.pop(other, None)
        mailbox = Mailbox(user_id, self.head_seq, known, self._max_events, self._max_bytes)
        self.graph.add(mailbox)
        return mailbox

    def close(self, user_id: str) -> None:
        """Hibernate a mailbox that nobody reads."""
        if self.graph.open[user_id].readers:
            raise ValueError(f"mailbox {user_id} is being read")
        self.graph.remove(user_id)

    def mailbox(self, user_id: str) -> Mailbox | None:
        """The open mailbox of this user, if any."""
        return self.graph.open.get(user_id)

    # Publishing.

    def apply(self, events: Sequence[Event]) -> None:
        """Take the next events of the order; a seq at or below the head was applied before and is skipped.

        Followers are told before this returns, of all of them at once; who pulls is marked.
        """
        fresh: list[Mailbox] = []
        try:
            self._put(events, fresh)
        finally:
            # Whatever went wrong with one event: nobody may be left who never hears of what is there.
            self._tell(fresh)

    def _put(self, events: Sequence[Event], fresh: list[Mailbox]) -> None:
        at = 0
        while at < len(events):
            event, end = events[at], at + 1
            if event.seq > self.head_seq:
                if isinstance(event.change, FriendChange):
                    self._change_friends(event.change, event.seq)
                # What one person tells their friends in a row, goes to the same mailboxes: one step.
                while end < len(events) and _same_way(event, events[end]):
                    end += 1
                self._deliver(events[at:end], fresh)
                self.head_seq = events[end - 1].seq
            at = end

    def _change_friends(self, change: FriendChange, seq: int) -> None:
        self.graph.change(change, seq)
        if self._opening:
            for user_id in (change.asker, change.other):
                if user_id in self._opening:
                    self._opening[user_id].append((seq, change))

    def _audience(self, event: Event) -> list[Mailbox]:
        graph = self.graph
        mailboxes: list[Mailbox] = []
        if event.audience is Audience.FRIENDS:
            mailboxes.extend(graph.hearers(event.actor))
        elif event.audience is Audience.PAIR and event.to is not None:
            other = graph.open.get(event.to)
            # The friendship of this very place in the order, not of when the message was accepted.
            if other is not None and event.actor in other.friends:
                mailboxes.append(other)
        own = graph.open.get(event.actor)
        if own is not None:
            mailboxes.append(own)
        return mailboxes

    def _deliver(self, run: Sequence[Event], fresh: list[Mailbox]) -> None:
        """Put `run` into the mailboxes of its audience; those that had nothing new join `fresh`."""
        mailboxes, count = self._audience(run[0]), len(run)
        self.delivered_events += len(mailboxes) * count
        size_bytes = sum([len(event.payload) for event in run])
        for mailbox in mailboxes:
            mailbox.extend(run, size_bytes)
            if not mailbox.fresh_events:
                fresh.append(mailbox)
            mailbox.fresh_events += count

    def _tell(self, fresh: list[Mailbox]) -> None:
        """Hand what is new to who follows, unless it is more than is written at once; mark who pulls."""
        news: list[Event] = []
        fits = True
        for mailbox in fresh:
            count = mailbox.fresh_events
            mailbox.fresh_events = 0
            followers = mailbox.followers
            if followers:
                latest = mailbox.events[-count:]
                # Compared by identity. In a circle of friends nearly all have the same news.
                if latest != news:
                    news = latest
                    fits = len(cut_batch(news)) == len(news)
                if fits and len(news) == count:
                    mailbox.told_seq = news[-1].seq
                    for follower in followers:
                        follower.follow(news)
                else:
                    for follower in followers:
                        follower.fall_behind()
            if mailbox.pullers:
                for reader in mailbox.pullers:
                    self.mark(reader)

    def signal(self, signal: Signal, to: str | None) -> None:
        """Offer a signal to the readers of the friends of `signal.about`, or of the friend `to` alone."""
        if to is None:
            self.tell(self.graph.hearers(signal.about), signal)
            return
        mailbox = self.graph.open.get(to)
        if mailbox is not None and signal.about in mailbox.friends:
            self.tell((mailbox,), signal)

    def tell(self, mailboxes: Iterable[Mailbox], signal: Signal) -> None:
        """Offer a signal to every reader of these mailboxes."""
        for mailbox in mailboxes:
            for reader in mailbox.readers:
                reader.offer(signal)
                if not reader.dirty:
                    self.mark(reader)

    # Readers.

    def mark(self, reader: Reader) -> None:
        """Have this reader flushed with the others, once."""
        if reader.dirty:
            return
        reader.dirty = True
        if not self._dirty:
            self._schedule_flush()
        self._dirty.append(reader)

    @property
    def flush_due(self) -> bool:
        """Whether a reader is marked."""
        return bool(self._dirty)

    def flush(self) -> None:
        """Let every marked reader write. Readers marked meanwhile are for the next flush."""
        dirty, self._dirty = self._dirty, []
        for reader in dirty:
            reader.dirty = False
            reader.flush()


def _same_way(first: Event, other: Event) -> bool:
    """Whether the two go to the same mailboxes, with nothing to be done between them."""
    return (
        other.audience is Audience.FRIENDS
        and first.audience is Audience.FRIENDS
        and other.actor == first.actor
        and not isinstance(other.change, FriendChange)
    )
