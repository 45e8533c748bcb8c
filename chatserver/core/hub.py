"""The users of this process: events in, in order, to the mailboxes of their audience and on to the readers.

A reader that has everything takes what is new at once; any other is marked, and pulls in one flush a turn of
the loop. Nothing here waits or publishes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from chatserver.core.audience import AudienceIndex
from chatserver.core.changes import FriendChange
from chatserver.core.events import Audience, Event, Signal
from chatserver.core.mailbox import Bounds, Mailbox, Reader, cut_batch, hand_out
from chatserver.core.news import News

FRIENDS = Audience.FRIENDS
"""By a name of the module: the attribute of an enumeration takes five times as long."""

FLUSH_READERS = 512
"""Readers that write in one flush, about 8 ms: a herd has them all marked at once, and the others have their turn."""


class Hub:
    """Mailboxes and their readers.

    `schedule_flush` is called when the first reader becomes dirty; it must bring about one call of `flush`
    soon, not now. `failed` is called with a reader that broke its promise not to raise, so that the others get what
    is theirs. `head_seq` is the newest seq applied.
    """

    def __init__(
        self,
        head_seq: int,
        max_events: int,
        max_bytes: int,
        schedule_flush: Callable[[], None],
        failed: Callable[[Reader, Exception], None],
    ) -> None:
        self.head_seq = self.began_seq = head_seq
        """`began_seq`: where this process took the order up. A cursor up to there may be of one before it."""
        self.delivered_events = 0
        """Appends to mailboxes, ever."""
        self.index = AudienceIndex()
        self.mailbox: Callable[[str], Mailbox | None] = self.index.open.get
        """The open mailbox of this user, if any. The dictionary's own: each poll asks."""
        self.may_signal: Callable[[], bool] = _always
        """Whether this process knows who is a friend of whom now; while not, no signal is offered to anybody."""
        self.signals_missed = False
        """Whether one was not offered since this was last set to False."""
        self._bounds = Bounds(max_events, max_bytes)
        self._schedule_flush = schedule_flush
        self._failed = failed
        self._dirty: list[Reader] = []
        self._opening: dict[str, list[tuple[int, FriendChange]]] = {}

    # Opening is in two steps, because the friends are read elsewhere meanwhile.

    def begin_opening(self, user_id: str) -> None:
        """From now on keep the friendship changes of this user, until `open` or `cancel_opening`."""
        self._opening[user_id] = []

    def cancel_opening(self, user_id: str) -> None:
        """The friends could not be read."""
        del self._opening[user_id]

    def open(self, user_id: str, friends: dict[str, int], at_seq: int) -> Mailbox:
        """Open the mailbox of a user whose `friends`, the mailbox's from now on, were read as of `at_seq`, at most `head_seq`.

        Without `begin_opening` none of them may have changed since they were read.

        Its window begins at the present head: what lies before comes from the journal.
        """
        if at_seq > self.head_seq:
            raise ValueError("the friends are newer than the hub: wait for it first")
        for seq, change in self._opening.pop(user_id, ()):
            if seq > at_seq:
                other = change.other if change.asker == user_id else change.asker
                if change.relation == "friend":
                    friends.setdefault(other, seq)
                else:
                    friends.pop(other, None)
        mailbox = Mailbox(user_id, self.head_seq, friends)
        self.index.add(mailbox)
        return mailbox

    def close(self, user_id: str) -> None:
        """Hibernate a mailbox that nobody reads."""
        if self.index.open[user_id].readers:
            raise ValueError(f"mailbox {user_id} is being read")
        self.index.remove(user_id)

    # Publishing.

    def apply(self, events: Sequence[Event]) -> None:
        """Take the next events of the order; a seq at or below the head was applied before and is skipped.

        Readers that have everything are written to before this returns, as one run for the whole batch; the
        others are marked.
        """
        runs = self._runs(events)
        if len(runs) == 1 and not isinstance(runs[0][0].change, FriendChange):
            self.head_seq = runs[0][-1].seq
            self._hand_out(runs[0], self.index.audience_of(runs[0][0]))
            return
        news = News()
        try:
            self._gather(runs, news)
        finally:
            # Whatever went wrong with one event: nobody may be left who never hears of what is there.
            for run, mailboxes in news:
                self._hand_out(run, mailboxes)

    def _runs(self, events: Sequence[Event]) -> list[list[Event]]:
        """What is new of these, what one person writes to their friends in a row together: it goes to the same mailboxes."""
        runs: list[list[Event]] = []
        head_seq, actor = self.head_seq, None
        for event in events:
            if event.seq <= head_seq:
                continue
            if (
                event.actor == actor
                and event.audience is FRIENDS
                and not isinstance(event.change, FriendChange)
            ):
                runs[-1].append(event)
            else:
                runs.append([event])
                actor = event.actor if event.audience is FRIENDS else None
        return runs

    def _gather(self, runs: list[list[Event]], news: News) -> None:
        """Put into `news` what of `runs` is for whom, as of each one's place in the order."""
        audience_of = self.index.audience_of
        for run in runs:
            first = run[0]
            if first.change is not None and isinstance(first.change, FriendChange):
                self._change_friends(first.change, first.seq, news)
            news.add(run, audience_of(first))
            self.head_seq = run[-1].seq

    def _change_friends(self, change: FriendChange, seq: int, news: News) -> None:
        self.index.change(change, seq)
        if change.relation == "none":
            for user_id in (change.asker, change.other):
                if (mailbox := self.index.open.get(user_id)) is not None:
                    mailbox.withdraw(self._bounds)
                    news.withdraw(mailbox)
        if self._opening:
            for user_id in (change.asker, change.other):
                if user_id in self._opening:
                    self._opening[user_id].append((seq, change))

    def _hand_out(self, run: list[Event], mailboxes: Collection[Mailbox]) -> None:
        """Put `run` into these mailboxes; their readers have it afterwards, or are marked."""
        self.delivered_events += len(mailboxes) * len(run)
        if len(run) == 1 or len(cut_batch(run)) == len(run):
            hand_out(run, mailboxes, self._bounds, self._offer, self._failed)
            return
        more_places = self._bounds.more_places(run)
        for mailbox in mailboxes:
            mailbox.extend(run, more_places, self._bounds)
            for reader in mailbox.readers:
                self.mark(reader)

    def _offer(self, reader: Reader, run: list[Event], before: int) -> None:
        try:
            if not reader.take(run, before):
                self.mark(reader)
        except Exception as error:
            self._failed(reader, error)

    def signal(self, signal: Signal, to: str | None) -> None:
        """Offer a signal to the readers of the friends of `signal.about`, or of the friend `to` alone."""
        if not self.may_signal():
            self.signals_missed = True
            return
        if to is None:
            self.offer(self.index.hearers(signal.about), signal)
            return
        mailbox = self.index.open.get(to)
        if mailbox is not None and signal.about in mailbox.friends:
            self.offer((mailbox,), signal)

    def is_news(self, coming: int, of: str) -> bool:
        """Whether a friend of `of` is to hear of this coming: not who was shown the whole presence since."""
        for mailbox in self.index.hearers(of):
            for reader in mailbox.readers:
                if reader.knows < coming:
                    return True
        return not self.may_signal()  # then nobody knows whose friends they are

    def offer(self, mailboxes: Iterable[Mailbox], signal: Signal) -> None:
        """Offer a signal to every reader of these mailboxes that does not know of it."""
        coming = signal.coming
        for mailbox in mailboxes:
            for reader in mailbox.readers:
                if coming and coming <= reader.knows:
                    continue
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
        """Let the marked readers write, the first FLUSH_READERS. Readers marked meanwhile are for the next flush."""
        dirty, self._dirty = self._dirty, []
        if len(dirty) > FLUSH_READERS:
            dirty, self._dirty = dirty[:FLUSH_READERS], dirty[FLUSH_READERS:]
            self._schedule_flush()
        for reader in dirty:
            reader.dirty = False
            try:
                reader.flush()
            except Exception as error:
                self._failed(reader, error)


def _always() -> bool:
    return True
