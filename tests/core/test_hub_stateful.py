"""Hub, mailboxes and readers against a plain model: whatever happens in whatever order, a reader that
resumes at its cursor sees exactly what it may see, in order, or is told that something was lost.

The model is a list of everything that happened, and a look at it. Faults are planted in the machine's
parts at the end, to show that it would notice.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from chatserver.core import hub as hub_module
from chatserver.core.changes import FriendChange
from chatserver.core.errors import Ending
from chatserver.core.events import Audience, Draft, Event, Signal, encode_event
from chatserver.core.hub import Hub
from chatserver.core.mailbox import Bounds, Failed, Framing, Mailbox, Offer, Pipe, hand_out
from chatserver.core.news import News

USERS = ("ann", "bob", "cho", "dee")
MAILBOX_EVENTS = 5
REPLAY_EVENTS = 8

users = st.sampled_from(USERS)
pairs = st.tuples(users, users).filter(lambda pair: pair[0] != pair[1])


class Frames:
    """One byte an event."""

    run: Sequence[Event] = ()

    def of(self, events: list[Event]) -> bytes:
        self.run = events
        return b"x" * len(events)


FRAMES = Frames()


class Straight:
    """The pipe of a probe; of the last write before it clogs it takes a part, and the connection keeps the rest."""

    def __init__(self, probe: Probe) -> None:
        self.probe = probe

    def send(self, data: bytes) -> int:
        assert not self.probe.full, "nothing goes past what waits"
        self.probe.machine.take(self.probe, FRAMES.run)
        return len(data) - self.probe.clogged


class Probe:
    """A reader on some transport: takes what comes next where it is `keen`, the first by itself and then by a pipe; else it
    pulls, as much as `greed` lets it.

    `clogged`: its connection takes one more write, and then lets nothing in until it has `drained`.
    """

    def __init__(
        self, machine: Machine, user: str, mailbox: Mailbox, greed: int, keen: bool
    ) -> None:
        self.machine = machine
        self.user = user
        self.mailbox = mailbox
        self.cursor = machine.cursors[user]
        self.greed = greed
        self.keen = keen
        self.clogged = False
        self.full = False
        self.dirty = False
        self.client = ""
        self.knows = 0
        self.pipe: Pipe | None = None
        self.frames: Framing | None = FRAMES

    def offer(self, signal: Signal) -> None: ...

    def end(self, ending: Ending) -> None: ...

    def cut(self) -> None: ...

    def take(self, run: list[Event], before: int) -> bool:
        if self.full or not self.keen or not before <= self.cursor < run[0].seq:
            return False
        self.machine.take(self, run)
        self.full = self.clogged
        self.pipe = None if self.full else Straight(self)
        return True

    def keep(self, data: bytes, sent: int) -> None:
        self.full, self.pipe = True, None

    def flush(self) -> None:
        if self.full or self.machine.probes.get(self.user) is not self:
            return
        batch = self.mailbox.read_after(self.cursor)
        if batch is None:
            self.machine.mend(self)
            batch = self.mailbox.read_after(self.cursor)
            assert batch is not None, "a replay or reset leads to the floor at least"
        # A slow connection takes a part, and asks again once that has left.
        self.machine.take(self, batch[: self.greed])
        if len(batch) > self.greed:
            self.machine.hub.mark(self)

    def drained(self) -> None:
        if self.full:
            self.full = self.clogged = False
            self.machine.hub.mark(self)


def fail(reader: Any, error: Exception) -> None:
    raise error


class Machine(RuleBasedStateMachine):
    """Every user has one client, whose only state is its cursor."""

    def __init__(self) -> None:
        super().__init__()
        self.flush_wanted = False
        self.hub = Hub(0, MAILBOX_EVENTS, 10**6, self.want_flush, fail)
        self.seq = 0
        self.log: list[tuple[Event, frozenset[str]]] = []  # with who may see it, by the model
        self.friends: dict[frozenset[str], int] = {}
        self.cursors = dict.fromkeys(USERS, 0)
        self.probes: dict[str, Probe] = {}

    def want_flush(self) -> None:
        assert not self.flush_wanted, "one flush a turn"
        self.flush_wanted = True

    # The model.

    def friends_of(self, user: str) -> dict[str, int]:
        return {
            next(iter(pair - {user})): since for pair, since in self.friends.items() if user in pair
        }

    def lasting(self, user: str, event: Event) -> bool:
        """Whether it must still be shown now: own, or of a friend ever since."""
        if event.actor == user:
            return True
        since = self.friends.get(frozenset((user, event.actor)))
        return since is not None and since < event.seq

    def replay(self, user: str, after: int, up_to: int) -> list[Event]:
        return [
            event
            for event, audience in self.log
            if after < event.seq <= up_to and user in audience and self.lasting(user, event)
        ]

    def publish(self, *drafts: Draft) -> None:
        """Let the drafts happen as one batch of the journal."""
        self.hub.apply([self.happen(draft) for draft in drafts])

    def happen(self, draft: Draft) -> Event:
        self.seq += 3
        event = encode_event(draft, self.seq, self.seq)
        change = draft.change
        if isinstance(change, FriendChange):
            pair = frozenset((change.asker, change.other))
            if change.relation == "friend":
                self.friends.setdefault(pair, self.seq)
            else:
                self.friends.pop(pair, None)
        audience = {event.actor}
        if event.audience is Audience.FRIENDS:
            audience |= self.friends_of(event.actor).keys()
        elif event.audience is Audience.PAIR and draft.to in self.friends_of(event.actor):
            audience.add(draft.to)
        self.log.append((event, frozenset(audience)))
        return event

    def take(self, probe: Probe, events: Sequence[Event]) -> None:
        """What a client does with events; the safety of the whole is asserted here."""
        for event in events:
            assert event.seq > self.cursors[probe.user], "seq strictly increases"
            audience = next(seen for known, seen in self.log if known is event)
            assert probe.user in audience, "nobody sees what is not theirs"
            assert self.lasting(probe.user, event), "nor what is not theirs any more"
            skipped = self.replay(probe.user, self.cursors[probe.user], event.seq - 1)
            assert not skipped, "no silent gap"
            self.cursors[probe.user] = event.seq
            probe.cursor = event.seq

    def mend(self, probe: Probe) -> None:
        missed = self.replay(probe.user, probe.cursor, probe.mailbox.floor_seq)
        if len(missed) > REPLAY_EVENTS:
            self.cursors[probe.user] = probe.cursor = self.hub.head_seq
            return
        self.take(probe, missed)
        probe.cursor = max(probe.cursor, probe.mailbox.floor_seq)

    # What may happen.

    @rule(sender=users, count=st.integers(1, 4))
    def write_to_all(self, sender: str, count: int) -> None:
        draft = Draft("message", Audience.FRIENDS, sender, None, {"text": "x"})
        self.publish(*[draft] * count)

    @rule(sender=users, clogged=st.none() | users)
    def write_again_and_again(self, sender: str, clogged: str | None) -> None:
        """Batch after batch before the loop turns: the first is taken, what follows may go by a pipe."""
        for number in range(4):
            self.write_to_all(sender, 1)
            if clogged is not None and number == 1:
                self.clog(clogged)

    @rule(pair=pairs)
    def write_to_one(self, pair: tuple[str, str]) -> None:
        self.publish(Draft("message", Audience.PAIR, pair[0], pair[1], {"text": "x"}))

    @rule(pair=pairs, relation=st.sampled_from(["friend", "friend", "none"]))
    def change_friendship(self, pair: tuple[str, str], relation: str) -> None:
        one, other = pair
        change = FriendChange(one, other, relation)
        self.publish(
            Draft("message", Audience.FRIENDS, one, None, {"text": "before"}),
            Draft("friend", Audience.SELF, one, None, {}, change=change),
            Draft("friend", Audience.SELF, other, None, {}),
            Draft("message", Audience.FRIENDS, one, None, {"text": "after"}),
        )

    @rule(count=st.integers(1, MAILBOX_EVENTS))
    def several_write_at_once(self, count: int) -> None:
        """More than a mailbox holds, at the most: what a reader is handed has partly gone by then."""
        self.publish(
            *(
                Draft("message", Audience.FRIENDS, USERS[n % len(USERS)], None, {"text": "x"})
                for n in range(count * len(USERS))
            )
        )

    @rule(user=users)
    def clog(self, user: str) -> None:
        """The connection of this user has no room for more than one write."""
        if user in self.probes:
            self.probes[user].clogged = True

    @rule(
        user=users, greed=st.sampled_from([1, 2, 100]), after=st.integers(0, 2), keen=st.booleans()
    )
    def connect_or_hop(self, user: str, greed: int, after: int, keen: bool) -> None:
        """A new connection, at any transport, at the client's cursor. What was written to the old one and
        did not arrive is forgotten with it: then the cursor is older."""
        self.disconnect(user)
        mailbox = self.hub.mailbox(user)
        if mailbox is None:
            # The friends are read elsewhere while the order goes on.
            self.hub.begin_opening(user)
            friends, at_seq = self.friends_of(user), self.seq
            for _ in range(after):
                self.write_to_one((USERS[0], USERS[1]))
                self.change_friendship((user, USERS[USERS.index(user) - 1]), "none")
            mailbox = self.hub.open(user, friends, at_seq)
        probe = self.probes[user] = Probe(self, user, mailbox, greed, keen)
        mailbox.attach(probe)
        self.hub.mark(probe)

    @rule(user=users)
    def disconnect(self, user: str) -> None:
        probe = self.probes.pop(user, None)
        if probe is not None:
            probe.mailbox.detach(probe)

    @rule(user=users)
    def hibernate(self, user: str) -> None:
        if user not in self.probes and self.hub.mailbox(user) is not None:
            self.hub.close(user)

    @rule()
    def turn_of_the_loop(self) -> None:
        for probe in self.probes.values():
            probe.drained()
        if self.flush_wanted:
            self.flush_wanted = False
            self.hub.flush()

    @rule()
    def everybody_catches_up(self) -> None:
        """Progress: once the loop has turned often enough, every reader has everything."""
        for _ in range(200):
            self.turn_of_the_loop()
        assert not self.flush_wanted
        for user in self.probes:
            assert not self.replay(user, self.cursors[user], self.seq), "everything arrived"

    @invariant()
    def bounds_hold(self) -> None:
        for mailbox in self.hub.index.open.values():
            assert len(mailbox.events) <= MAILBOX_EVENTS
            numbers = [mailbox.floor_seq, *(event.seq for event in mailbox.events)]
            assert numbers == sorted(set(numbers)), "seq strictly increases in a mailbox"
            assert mailbox.friends == self.friends_of(mailbox.user_id)

    def teardown(self) -> None:
        self.everybody_catches_up()


Machine.TestCase.settings = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestHubAgainstTheModel = Machine.TestCase


# The planted faults: each must be noticed.


def evict_without_raising_the_floor(mailbox: Mailbox, bounds: Bounds) -> None:
    while len(mailbox.events) > MAILBOX_EVENTS:
        del mailbox.events[0]


def change_friends_after_the_delivery(hub: Hub, events: Sequence[Event]) -> None:
    for event in events:
        hub._hand_out([event], hub.index.audience_of(event))
        hub.head_seq = event.seq
        if isinstance(event.change, FriendChange) and hub.head_seq % 2:
            hub._change_friends(event.change, event.seq, News())


def keep_what_is_not_theirs_any_more(mailbox: Mailbox) -> None:
    """What `withdraw` would take out stays."""


def mark_without_scheduling(hub: Hub, reader: Any) -> None:
    if not reader.dirty:
        reader.dirty = True
        if not hub._dirty and hub.head_seq % 5:
            hub._schedule_flush()
        hub._dirty.append(reader)


def say_that_nothing_is_missing(
    run: list[Event], mailboxes: Sequence[Mailbox], bounds: Bounds, offer: Offer, failed: Failed
) -> None:
    hand_out(run, mailboxes, bounds, lambda reader, run, before: offer(reader, run, 0), failed)


def forget_one(
    run: list[Event], mailboxes: Collection[Mailbox], bounds: Bounds, offer: Offer, failed: Failed
) -> None:
    hand_out(run, list(mailboxes)[1:], bounds, offer, failed)


def hand_out_what_the_hub_had_before_the_change(
    mailbox: Mailbox, events: list[Event]
) -> list[Event]:
    return events


def go_on_by_the_pipe(probe: Probe, data: bytes, sent: int) -> None:
    probe.full = True


def take_as_if_nothing_had_been_missed(probe: Probe, run: list[Event], before: int) -> bool:
    return not probe.full and TAKE(probe, run, min(before, probe.cursor))


def keep_the_cursor_of_before(probe: Probe, run: list[Event], before: int) -> bool:
    stood = probe.cursor
    taken = TAKE(probe, run, before)
    probe.cursor = stood
    return taken


TAKE = Probe.take


@pytest.mark.parametrize(
    ("owner", "name", "fault"),
    [
        (Probe, "take", take_as_if_nothing_had_been_missed),
        (Probe, "take", keep_the_cursor_of_before),
        (Probe, "keep", go_on_by_the_pipe),
        (hub_module, "hand_out", say_that_nothing_is_missing),
        (hub_module, "hand_out", forget_one),
        (Mailbox, "visible", hand_out_what_the_hub_had_before_the_change),
        (Mailbox, "withdraw", keep_what_is_not_theirs_any_more),
        (Mailbox, "evict", evict_without_raising_the_floor),
        (Hub, "apply", change_friends_after_the_delivery),
        (Hub, "mark", mark_without_scheduling),
    ],
)
def test_a_planted_fault_is_noticed(
    monkeypatch: pytest.MonkeyPatch, owner: object, name: str, fault: Any
) -> None:
    monkeypatch.setattr(owner, name, fault)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=400,
                stateful_step_count=40,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
