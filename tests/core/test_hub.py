"""The hub hands out: who has everything takes it at once, everybody else pulls at the flush."""

from __future__ import annotations

import pytest

from chatserver.core.changes import FriendChange
from chatserver.core.errors import Ending
from chatserver.core.events import Audience, Draft, Event, Signal, encode_event
from chatserver.core.hub import FLUSH_READERS, Hub
from chatserver.core.mailbox import BATCH_BYTES, Framing, Mailbox, Pipe


class Probe:
    """A reader that writes down what it is asked."""

    dirty = False
    client = ""
    knows = 0
    pipe: Pipe | None = None
    frames: Framing | None = None

    def __init__(self, mailbox: Mailbox, cursor: int, willing: bool = True) -> None:
        self.mailbox = mailbox
        self.cursor = cursor
        self.willing = willing
        self.taken: list[list[Event]] = []
        self.pulled: list[int] = []

    def take(self, run: list[Event], before: int) -> bool:
        if not self.willing or not before <= self.cursor < run[0].seq:
            return False
        self.taken.append(run)
        self.cursor = run[-1].seq
        return True

    def keep(self, data: bytes, sent: int) -> None: ...

    def flush(self) -> None:
        batch = self.mailbox.read_after(self.cursor)
        assert batch is not None
        self.pulled += [event.seq for event in batch]
        self.cursor = batch[-1].seq if batch else self.cursor

    def offer(self, signal: Signal) -> None: ...

    def end(self, ending: Ending) -> None: ...

    def cut(self) -> None: ...


class House:
    """A hub with the friends ann, bob and cho, each with a mailbox."""

    def __init__(self, max_events: int = 100, max_bytes: int = 10**7) -> None:
        self.flushes = 0
        self.failed: list[object] = []
        self.hub = Hub(
            0,
            max_events,
            max_bytes,
            self._schedule,
            lambda reader, error: self.failed.append(reader),
        )
        self.boxes = {}
        for user in ("ann", "bob", "cho"):
            self.hub.begin_opening(user)
            friends = {other: 0 for other in ("ann", "bob", "cho") if other != user}
            self.boxes[user] = self.hub.open(user, friends, 0)

    def _schedule(self) -> None:
        self.flushes += 1

    def probe(self, user: str, cursor: int = 0, willing: bool = True) -> Probe:
        probe = Probe(self.boxes[user], cursor, willing)
        self.boxes[user].attach(probe)
        return probe

    def write(self, *senders: str, text: str = "x") -> None:
        seq = self.hub.head_seq
        drafts = [Draft("message", Audience.FRIENDS, one, None, {"text": text}) for one in senders]
        self.hub.apply([encode_event(d, seq + 10 * (n + 1), 1) for n, d in enumerate(drafts)])


def test_all_readers_of_a_run_are_handed_the_very_same_list() -> None:
    house = House()
    probes = [house.probe(user) for user in ("ann", "bob", "cho")]
    house.write("ann")
    assert [[e.seq for run in probe.taken for e in run] for probe in probes] == [[10]] * 3
    assert probes[0].taken[0] is probes[1].taken[0] is probes[2].taken[0]
    assert not house.flushes, "nobody had to pull"


def test_a_batch_of_several_senders_is_one_run_for_each_reader_and_shared_where_it_is_the_same() -> (
    None
):
    house = House()
    probes = [house.probe(user) for user in ("ann", "bob", "cho")]
    house.write("ann", "bob", "cho")
    assert [len(probe.taken) for probe in probes] == [1, 1, 1]
    assert [e.seq for e in probes[0].taken[0]] == [10, 20, 30]
    assert probes[0].taken[0] is probes[2].taken[0]


def test_a_reader_that_does_not_take_is_marked_once_and_pulls_everything() -> None:
    house = House()
    probe = house.probe("bob", willing=False)
    house.write("ann")
    house.write("cho")
    assert house.flushes == 1
    house.hub.flush()
    assert probe.pulled == [10, 20]


def test_a_reader_that_missed_something_does_not_take_what_comes_after_it() -> None:
    house = House()
    probe = house.probe("bob", willing=False)
    house.write("ann")
    probe.willing = True
    house.write("ann")
    assert probe.taken == []
    house.hub.flush()
    assert probe.pulled == [10, 20]
    house.write("ann")
    assert [e.seq for e in probe.taken[0]] == [30], "it has everything: it takes again"


def test_a_run_that_is_too_much_for_one_write_is_pulled_in_parts() -> None:
    house = House()
    probe = house.probe("bob")
    house.write(*["ann"] * 12, text="x" * (BATCH_BYTES // 10))
    assert probe.taken == []
    house.hub.flush()
    assert probe.pulled[0] == 10
    assert len(probe.pulled) < 12


def test_a_batch_that_pushes_its_own_beginning_out_is_a_gap_and_not_a_silent_loss() -> None:
    house = House(max_events=16)
    probe = house.probe("bob")
    house.write(*["ann", "cho"] * 20)
    assert probe.taken == []
    assert house.boxes["bob"].read_after(probe.cursor) is None


def test_who_breaks_the_promise_not_to_raise_is_told_apart_and_the_others_get_theirs() -> None:
    house = House()
    bad, good = house.probe("bob"), house.probe("cho")
    bad.take = None  # type: ignore[method-assign, assignment]
    house.write("ann")
    assert house.failed == [bad]
    assert [e.seq for e in good.taken[0]] == [10]


def test_what_a_friend_wrote_is_taken_out_when_the_friendship_ends() -> None:
    house = House()
    probe = house.probe("bob")
    change = FriendChange("ann", "bob", "none")
    drafts = [
        Draft("message", Audience.FRIENDS, "ann", None, {"text": "before"}),
        Draft("friend", Audience.SELF, "ann", None, {}, change=change),
        Draft("friend", Audience.SELF, "bob", None, {}),
        Draft("message", Audience.FRIENDS, "ann", None, {"text": "after"}),
    ]
    house.hub.apply([encode_event(draft, 10 * (n + 1), 1) for n, draft in enumerate(drafts)])
    assert [e.seq for run in probe.taken for e in run] == [30], "what comes after it is not theirs"
    assert house.boxes["ann"].read_after(0) is not None
    assert [e.seq for e in house.boxes["ann"].events] == [10, 20, 40], "one's own stays"


def test_a_notice_reaches_no_mailbox_and_moves_the_head() -> None:
    house = House()
    probe = house.probe("ann")
    house.hub.apply([encode_event(Draft("notice", Audience.NOBODY, "ann", None, {}), 10, 1)])
    assert (probe.taken, house.flushes, house.hub.head_seq) == ([], 0, 10)
    assert house.boxes["ann"].events == []


def friendship(one: str, other: str, relation: str, seq: int) -> Event:
    change = FriendChange(one, other, relation)
    return encode_event(Draft("friend", Audience.SELF, one, None, {}, change=change), seq, 1)


def test_the_end_of_a_friendship_acts_for_both_of_the_two() -> None:
    house = House()
    house.hub.apply([friendship("ann", "bob", "none", 10)])
    house.write("ann", "bob")
    texts = {user: [event.actor for event in box.events] for user, box in house.boxes.items()}
    assert texts == {"ann": ["ann", "ann"], "bob": ["bob"], "cho": ["ann", "bob"]}


def test_a_message_to_one_friend_goes_to_nobody_who_is_none_any_more() -> None:
    house = House()
    draft = Draft("message", Audience.PAIR, "ann", "bob", {})
    house.hub.apply([encode_event(draft, 10, 1)])
    house.hub.apply([friendship("bob", "ann", "none", 20), encode_event(draft, 30, 1)])
    assert [event.seq for event in house.boxes["ann"].events] == [10, 30]
    assert [event.seq for event in house.boxes["bob"].events] == [20]


def test_a_friendship_that_changes_while_a_mailbox_is_opened_is_known_in_it() -> None:
    house = House()
    house.hub.begin_opening("dee")
    house.hub.apply([friendship("dee", "ann", "friend", 10), friendship("bob", "dee", "none", 20)])
    mailbox = house.hub.open("dee", {"bob": 1, "cho": 2}, 5)
    assert mailbox.friends == {"cho": 2, "ann": 10}
    house.hub.begin_opening("eve")
    house.hub.apply([friendship("eve", "ann", "friend", 30)])
    read_after_it = {"ann": 30}
    assert house.hub.open("eve", read_after_it, 30).friends == {"ann": 30}


def test_a_mailbox_that_could_not_be_opened_leaves_nothing_behind() -> None:
    house = House()
    house.hub.begin_opening("dee")
    house.hub.cancel_opening("dee")
    assert not house.hub._opening
    house.hub.begin_opening("dee")
    with pytest.raises(ValueError, match="newer than the hub"):
        house.hub.open("dee", {}, house.hub.head_seq + 1)


def test_a_mailbox_that_is_read_is_not_closed() -> None:
    house = House()
    probe = house.probe("ann")
    with pytest.raises(ValueError, match="being read"):
        house.hub.close("ann")
    house.boxes["ann"].detach(probe)
    house.hub.close("ann")
    assert house.hub.mailbox("ann") is None


def test_a_signal_goes_to_friends_or_to_the_one_friend_that_it_is_for() -> None:
    house = House()
    offered: list[str] = []
    for user in ("ann", "bob", "cho"):
        house.probe(user).offer = lambda signal, user=user: offered.append(user)  # type: ignore[method-assign,misc]
    house.hub.signal(Signal("typing", "ann", b"{}"), None)
    assert sorted(offered) == ["bob", "cho"] and house.hub.flush_due
    offered.clear()
    house.hub.signal(Signal("typing", "ann", b"{}"), "cho")
    house.hub.signal(Signal("typing", "stranger", b"{}"), "cho")
    assert offered == ["cho"]


def test_what_the_whole_presence_has_shown_a_reader_is_not_told_again() -> None:
    house = House()
    told: list[int] = []
    probe = house.probe("bob")
    probe.knows = 7
    probe.offer = lambda signal: told.append(signal.coming)  # type: ignore[method-assign]
    for coming in (7, 8, 0):
        house.hub.signal(Signal("presence", "ann", b"{}", coming), None)
    assert told == [8, 0]


def test_many_that_are_marked_write_in_several_turns() -> None:
    house = House()
    probes = [house.probe("ann") for _ in range(FLUSH_READERS + 1)]
    flushed: list[Probe] = []
    for probe in probes:
        probe.flush = lambda probe=probe: flushed.append(probe)  # type: ignore[method-assign,misc]
        house.hub.mark(probe)
    house.hub.flush()
    assert len(flushed) == FLUSH_READERS and house.hub.flush_due
    assert house.flushes == 2, "the rest has its turn without anybody being marked"
    house.hub.flush()
    assert flushed == probes and not house.hub.flush_due


def test_what_comes_a_second_time_is_passed_over() -> None:
    """A journal that begins again where it broke off may hand on what it has handed on before."""
    house = House()
    probe = house.probe("bob")
    house.write("ann", "cho", "ann")
    again = list(house.boxes["bob"].events)
    for events in (again, again[-1:]):
        house.hub.apply(events)
    assert [event.seq for run in probe.taken for event in run] == [10, 20, 30]
    assert [event.seq for event in house.boxes["bob"].events] == [10, 20, 30]
    assert not house.failed
