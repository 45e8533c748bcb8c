"""The mailbox: a bounded window that is read by cursors and never emptied by reading."""

import pytest

from chatserver.core.errors import Ending
from chatserver.core.events import Audience, Draft, Event, Signal, encode_event
from chatserver.core.mailbox import BATCH_BYTES, Mailbox


def event(seq: int, text: str = "hi") -> Event:
    return encode_event(Draft("message", Audience.FRIENDS, "a", None, {"text": text}), seq, seq)


def mailbox(floor_seq: int = 0, max_events: int = 16, max_bytes: int = 10**6) -> Mailbox:
    return Mailbox("a", floor_seq, {}, max_events, max_bytes)


def add(box: Mailbox, *run: Event) -> None:
    box.extend(run, sum(len(item.payload) for item in run))


def seqs(batch: object) -> list[int]:
    assert isinstance(batch, list)
    return [item.seq for item in batch]


def test_reading_twice_gives_the_same():
    box = mailbox()
    for seq in (3, 5, 9):
        add(box, event(seq))
    assert seqs(box.read_after(0)) == [3, 5, 9]
    assert seqs(box.read_after(0)) == [3, 5, 9]


def test_a_cursor_excludes_itself_and_need_not_be_an_event_of_this_mailbox():
    box = mailbox()
    for seq in (3, 5, 9):
        add(box, event(seq))
    assert seqs(box.read_after(3)) == [5, 9]
    assert seqs(box.read_after(4)) == [5, 9]
    assert seqs(box.read_after(9)) == []
    assert seqs(box.read_after(100)) == []


def test_a_cursor_below_the_floor_is_told_of_a_gap():
    box = mailbox(floor_seq=10)
    assert box.read_after(9) is None
    assert seqs(box.read_after(10)) == []


def test_past_its_bound_of_events_the_oldest_go_and_the_floor_rises_to_the_last_that_went():
    box = mailbox(max_events=16)
    for seq in range(1, 18):
        add(box, event(seq))
    assert len(box.events) <= 16
    assert box.floor_seq == box.events[0].seq - 1
    assert box.read_after(box.floor_seq - 1) is None
    assert seqs(box.read_after(box.floor_seq))[-1] == 17


def test_past_its_bound_of_bytes_the_oldest_go():
    size = len(event(10, "x" * 1000).payload)
    box = mailbox(max_events=1000, max_bytes=size * 10)
    for seq in range(10, 99):
        add(box, event(seq, "x" * 1000))
        assert box.size_bytes <= size * 10
        assert box.size_bytes == sum(len(e.payload) for e in box.events)
    assert box.events[-1].seq == 98


def test_one_read_is_bounded_in_bytes_but_never_stuck():
    box = mailbox(max_events=1000, max_bytes=10**9)
    for seq in range(1, 40):
        add(box, event(seq, "x" * 16_000))
    batch = box.read_after(0)
    assert batch is not None
    assert sum(len(e.payload) for e in batch) <= BATCH_BYTES
    add(box, event(50, "x" * 2 * BATCH_BYTES))
    assert seqs(box.read_after(39)) == [50]


def test_an_event_that_does_not_follow_is_refused():
    box = mailbox(floor_seq=10)
    with pytest.raises(ValueError):
        add(box, event(10))
    add(box, event(11))
    with pytest.raises(ValueError):
        add(box, event(11))


def test_mailboxes_with_the_same_news_give_the_same_list():
    one, other, third = mailbox(), mailbox(), mailbox()
    events = [event(seq) for seq in (3, 5, 9)]
    for box in (one, other):
        add(box, *events)
    add(third, events[0], event(4), *events[1:])
    first = one.read_after(3)
    assert seqs(first) == [5, 9]
    assert other.read_after(3, first) is first
    assert seqs(other.read_after(0, first)) == [3, 5, 9], "it stands further back"
    assert seqs(other.read_after(5, first)) == [9], "it has some of it"
    assert seqs(third.read_after(3, first)) == [4, 5, 9], "it has one in between"
    assert seqs(mailbox().read_after(0, first)) == []
    assert mailbox(floor_seq=4).read_after(3, first) is None


class Someone:
    """A reader and a follower that does nothing."""

    dirty = False
    client = ""

    def flush(self) -> None: ...

    def offer(self, signal: Signal) -> None: ...

    def end(self, ending: Ending) -> None: ...

    def follow(self, events: list[Event]) -> None: ...

    def fall_behind(self) -> None: ...


def test_only_who_has_everything_may_follow():
    box, someone = mailbox(), Someone()
    box.attach(someone)
    add(box, event(3), event(5))
    with pytest.raises(ValueError):
        box.follow(someone, someone, 3)
    box.follow(someone, someone, 5)
    assert (box.pullers, box.followers, box.readers) == ((), (someone,), [someone])


def test_who_follows_no_more_goes_on_from_what_was_told_last():
    box, someone = mailbox(floor_seq=2), Someone()
    box.attach(someone)
    box.follow(someone, someone, 7)  # nothing came to this mailbox up to 7, the head
    assert box.pull(someone, someone) == 7
    box.follow(someone, someone, 7)
    add(box, event(9))
    box.told_seq = 9
    add(box, event(11))
    assert box.pull(someone, someone) == 9
    assert (box.pullers, box.followers) == ((someone,), ())
    box.detach(someone)
    assert (box.pullers, box.readers) == ((), [])
