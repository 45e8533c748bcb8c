"""The mailbox: a bounded window that is read by cursors and never emptied by reading."""

from random import Random

import pytest

from chatserver.core.events import Audience, Draft, Event, encode_event
from chatserver.core.mailbox import BATCH_BYTES, Bounds, Mailbox, size_of


def event(seq: int, text: str = "hi") -> Event:
    return encode_event(Draft("message", Audience.FRIENDS, "a", None, {"text": text}), seq, seq)


BOUNDS = Bounds(max_events=16, max_bytes=10**6)
ROOMY = Bounds(max_events=1000, max_bytes=10**9)


def mailbox(floor_seq: int = 0) -> Mailbox:
    return Mailbox("a", floor_seq, {})


def add(box: Mailbox, *run: Event, bounds: Bounds = BOUNDS) -> None:
    box.extend(run, bounds.more_places(run), bounds)


def seqs(batch: object) -> list[int]:
    assert isinstance(batch, list)
    return [item.seq for item in batch]


def test_reading_twice_gives_the_same() -> None:
    box = mailbox()
    for seq in (3, 5, 9):
        add(box, event(seq))
    assert seqs(box.read_after(0)) == [3, 5, 9]
    assert seqs(box.read_after(0)) == [3, 5, 9]


def test_a_cursor_excludes_itself_and_need_not_be_an_event_of_this_mailbox() -> None:
    box = mailbox()
    for seq in (3, 5, 9):
        add(box, event(seq))
    assert seqs(box.read_after(3)) == [5, 9]
    assert seqs(box.read_after(4)) == [5, 9]
    assert seqs(box.read_after(9)) == []
    assert seqs(box.read_after(100)) == []


def test_what_is_taken_out_weighs_nothing_any_more() -> None:
    """Else the bound of bytes is one of what was there once, and nothing that is left could be put out to keep it."""
    box = mailbox()
    box.friends["b"] = 0
    texts = [
        encode_event(Draft("message", Audience.FRIENDS, "b", None, {"text": "x" * 1000}), 1, 1)
    ]
    for seq in range(2, 12):
        texts.append(event(seq, "y" * 10))
    bounds = Bounds(max_events=16, max_bytes=16_000)
    add(box, *texts, bounds=bounds)
    assert box.more_places == 1
    box.friends.clear()
    box.withdraw(bounds)
    assert seqs(box.read_after(0)) == list(range(2, 12))
    assert box.more_places == 0


def test_a_cursor_below_the_floor_is_told_of_a_gap() -> None:
    box = mailbox(floor_seq=10)
    assert box.read_after(9) is None
    assert seqs(box.read_after(10)) == []


def test_past_its_bound_of_events_the_oldest_go_and_the_floor_rises_to_the_last_that_went() -> None:
    box = mailbox()
    for seq in range(1, 18):
        add(box, event(seq))
    assert len(box.events) <= 16
    assert box.floor_seq == box.events[0].seq - 1
    assert box.read_after(box.floor_seq - 1) is None
    assert seqs(box.read_after(box.floor_seq))[-1] == 17


def test_past_its_bound_of_bytes_the_oldest_go() -> None:
    size = size_of([event(10, "x" * 1000)])
    box, bounds = mailbox(), Bounds(max_events=1000, max_bytes=size * 10)
    for seq in range(10, 99):
        add(box, event(seq, "x" * 1000), bounds=bounds)
        assert box.size_bytes <= size * 10
    assert box.events[-1].seq == 98
    assert len(box.events) >= 9, "and no more than need be"


def test_both_bounds_hold_whatever_comes_after_what() -> None:
    """Short events and long ones, one by one and several, and one that is larger than the whole mailbox."""
    chance = Random(1)
    box, bounds, seq = mailbox(), Bounds(max_events=40, max_bytes=20_000), 0
    for _ in range(600):
        run = []
        for _ in range(chance.choice((1, 1, 1, 3, 50))):
            seq += 1
            run.append(event(seq, "x" * chance.choice((2, 2, 2, 200, 700, 3000))))
        if chance.random() < 0.02:
            seq += 1
            run.append(event(seq, "x" * 30_000))
        add(box, *run, bounds=bounds)
        assert len(box.events) <= 40
        assert box.size_bytes <= 20_000
        assert box.more_places == bounds.more_places(box.events)
        assert box.last_seq == seq
        assert box.floor_seq == (box.events[0].seq - 1 if box.events else seq)


def test_one_read_is_bounded_in_bytes_but_never_stuck() -> None:
    box = mailbox()
    for seq in range(1, 40):
        add(box, event(seq, "x" * 16_000), bounds=ROOMY)
    batch = box.read_after(0)
    assert batch is not None
    assert sum(len(e.payload) for e in batch) <= BATCH_BYTES
    add(box, event(50, "x" * 2 * BATCH_BYTES), bounds=ROOMY)
    assert seqs(box.read_after(39)) == [50]


def test_an_event_that_does_not_follow_is_refused() -> None:
    box = mailbox(floor_seq=10)
    with pytest.raises(ValueError):
        add(box, event(10))
    add(box, event(11))
    with pytest.raises(ValueError):
        add(box, event(11))


def test_adding_says_where_the_mailbox_stood_before() -> None:
    box = mailbox(floor_seq=2)
    assert box.extend([event(5)], 0, BOUNDS) == 2, "an empty one stands at its floor"
    assert box.extend([event(7), event(9)], 0, BOUNDS) == 5
    assert box.last_seq == 9
    assert seqs(box.after(5)) == [7, 9]
