"""What is put into mailboxes goes straight to whoever has a pipe and everything before it, and to nobody past what is missing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chatserver.core.events import Event
from chatserver.core.mailbox import BATCH_BYTES, Mailbox
from tests.core.test_hub import House, Probe


class Framed:
    """A transport on which an event is its seq; it counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def of(self, events: list[Event]) -> bytes:
        self.asked += 1
        return b"".join([b"%d;" % event.seq for event in events])


class Piped(Probe):
    """A probe that lets itself be written to; `take` says why it may, and gives the pipe."""

    def __init__(self, mailbox: Mailbox, cursor: int, frames: Framed) -> None:
        super().__init__(mailbox, cursor)
        self.frames = frames
        self.pipe = self
        self.written: list[bytes] = []
        self.kept: list[tuple[bytes, int]] = []
        self.room: Callable[[bytes], int] = len

    def send(self, data: bytes) -> int:
        sent = self.room(data)
        self.written.append(data[:sent])
        return sent

    def keep(self, data: bytes, sent: int) -> None:
        self.kept.append((data, sent))
        self.pipe = None


def piped(house: House, frames: Framed, *users: str) -> list[Piped]:
    """A probe with a pipe for each of these, that stands at the end of its mailbox."""
    probes = [Piped(house.boxes[user], house.boxes[user].last_seq, frames) for user in users]
    for probe in probes:
        probe.mailbox.attach(probe)
    return probes


def test_who_has_a_pipe_is_written_to_without_being_asked_and_all_of_them_the_same_bytes() -> None:
    house, frames = House(), Framed()
    probes = piped(house, frames, "ann", "bob", "cho")
    house.write("ann")
    house.write("bob", "bob")
    assert [probe.written for probe in probes] == [[b"10;", b"20;30;"]] * 3
    assert frames.asked == 2, "each run is framed once"
    assert all(probe.taken == [] for probe in probes)
    assert [probe.cursor for probe in probes] == [30] * 3
    assert not house.flushes


class Bracketed(Framed):
    """Another transport."""

    def of(self, events: list[Event]) -> bytes:
        return b"[%b]" % super().of(events)


def test_friends_on_different_transports_get_each_the_bytes_of_their_own() -> None:
    house, frames, others = House(), Framed(), Bracketed()
    (ann, cho), (bob,) = piped(house, frames, "ann", "cho"), piped(house, others, "bob")
    house.write("ann")
    house.write("bob", "cho")
    assert ann.written == cho.written == [b"10;", b"20;30;"]
    assert bob.written == [b"[10;]", b"[20;30;]"]


def test_what_several_wrote_in_one_batch_is_one_write_for_each() -> None:
    house, frames = House(), Framed()
    probes = piped(house, frames, "ann", "bob", "cho")
    house.write("ann", "bob", "cho")
    assert [probe.written for probe in probes] == [[b"10;20;30;"]] * 3
    assert frames.asked == 1, "all have the very same run"


@pytest.mark.parametrize("cursor", [5, 15])
def test_whose_cursor_is_not_right_before_the_run_is_asked(cursor: int) -> None:
    house = House()
    (probe,) = piped(house, Framed(), "bob")
    house.write("ann")
    probe.cursor = cursor
    house.write("ann")
    assert probe.written == [b"10;"]
    assert len(probe.taken) == (1 if cursor == 15 else 0), "what `take` says, is done"
    assert house.flushes == (0 if cursor == 15 else 1)


def test_what_the_pipe_did_not_take_is_kept_and_the_cursor_moves() -> None:
    house = House()
    (probe,) = piped(house, Framed(), "bob")
    probe.room = lambda data: 1
    house.write("ann")
    assert (probe.written, probe.kept, probe.cursor) == ([b"1"], [(b"10;", 1)], 10)
    house.write("ann")
    assert len(probe.written) == 1, "and there is no pipe now"


def test_a_pipe_that_fails_has_taken_nothing_and_the_others_get_theirs() -> None:
    house, frames = House(), Framed()
    bad, good = piped(house, frames, "bob", "cho")

    def no_room(data: bytes) -> int:
        raise BlockingIOError

    bad.room = no_room
    house.write("ann")
    assert bad.kept == [(b"10;", 0)] and bad.cursor == 10
    assert good.written == [b"10;"] and house.failed == []


def test_who_fails_to_keep_the_rest_is_told_apart_and_the_others_get_theirs() -> None:
    house, frames = House(), Framed()
    bad, good = piped(house, frames, "bob", "cho")
    bad.room = lambda data: 0
    bad.keep = None  # type: ignore[method-assign, assignment]
    house.write("ann")
    assert house.failed == [bad]
    assert good.written == [b"10;"]


def test_two_readers_of_a_user_are_both_asked_and_the_one_that_stays_is_written_to() -> None:
    house, frames = House(), Framed()
    one, other = piped(house, frames, "bob") + piped(house, frames, "bob")
    house.write("ann")
    assert [len(probe.taken) for probe in (one, other)] == [1, 1]
    house.boxes["bob"].detach(one)
    house.write("ann")
    assert (one.written, other.written) == ([], [b"20;"])


def test_a_batch_that_pushes_its_own_beginning_out_goes_into_no_pipe() -> None:
    house = House(max_events=16)
    (probe,) = piped(house, Framed(), "bob")
    house.write(*["ann"] * 20)
    assert (probe.written, probe.taken, house.flushes) == ([], [], 1)
    assert house.boxes["bob"].read_after(probe.cursor) is None, "it is a gap"


def test_a_run_that_is_too_much_for_one_write_goes_into_no_pipe() -> None:
    house = House()
    (probe,) = piped(house, Framed(), "bob")
    house.write(*["ann"] * 12, text="x" * (BATCH_BYTES // 10))
    assert (probe.written, house.flushes) == ([], 1)


def test_the_bounds_hold_for_what_is_handed_out() -> None:
    house = House(max_events=16)
    for _ in range(40):
        house.write("ann")
        for box in house.boxes.values():
            assert len(box.events) <= 16
    assert [event.seq for event in house.boxes["bob"].events][-1] == 400


def test_the_bound_of_bytes_holds_for_what_is_handed_out() -> None:
    house = House(max_bytes=100_000)
    for _ in range(40):
        house.write("ann", text="x" * 1000)
        house.write("bob", "ann", text="x" * 4000)
        assert all(box.size_bytes <= 100_000 for box in house.boxes.values())
    assert house.boxes["bob"].floor_seq > 0
    assert house.boxes["bob"].size_bytes > 60_000, "and not much more goes than need be"
