"""What stands in the stream a second time: known by the sender's id, or by the append that it was; bounded."""

from __future__ import annotations

import pytest

from chatserver.core.events import Audience, Event
from chatserver.core.kinds import is_kept
from chatserver.core.visibility import View, shows
from chatserver.journal import repeats as module
from chatserver.journal.contract import Appended
from chatserver.journal.envelope import Placed
from chatserver.journal.repeats import Repeats


def placed(
    seq: int, client_id: str | None = None, actor: str = "ann", number: int = 0, of: int = 1
) -> Placed:
    event = Event(seq, 10 * seq, "message", Audience.FRIENDS, actor, None, b"{}")
    return Placed(event, client_id, "node", number or seq, 0, of)


def test_the_second_of_one_id_is_seen_by_nobody_and_kept_nowhere() -> None:
    known = Repeats()
    first = placed(1, "c")
    assert known.marked(first) is first
    again = known.marked(placed(2, "c"))
    assert again.first == Appended(1, 10, True) and again.client_id is None
    assert (again.event.seq, again.event.at_ms, again.event.change) == (2, 20, None)
    assert not is_kept(again.event)
    for who in (View("ann", {}), View("bob", {"ann": 0})):
        assert not shows(who, 2, again.event.audience, again.event.actor, again.event.to)


def test_ids_of_others_other_ids_and_none_are_no_repeats() -> None:
    known = Repeats()
    for each in (placed(1, "c"), placed(2, "d"), placed(3, "c", "bob"), placed(4), placed(5)):
        assert known.marked(each).first is None


def test_an_append_without_an_id_that_comes_twice_is_a_repeat_unless_it_has_several_events() -> (
    None
):
    known = Repeats()
    assert known.marked(placed(1, number=7)).first is None
    repeated = known.marked(placed(2, number=7)).first
    assert repeated is not None and repeated.seq == 1
    assert known.marked(placed(3, number=8, of=2)).first is None
    assert known.marked(placed(4, number=8, of=2)).first is None


def test_two_that_follow_one_stream_are_told_the_same_whichever_is_ahead() -> None:
    known = Repeats()
    assert [known.marked(placed(seq, "c")).first is None for seq in (1, 2)] == [True, False]
    assert [known.marked(placed(seq, "c")).first is None for seq in (1, 2)] == [True, False]
    late = Repeats()
    assert [late.marked(placed(seq, "c")).first is None for seq in (2, 1, 2)] == [True, True, False]


def test_so_many_are_known_and_never_more_than_twice_as_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 5)
    known = Repeats()
    for seq in range(1, 100):
        assert known.marked(placed(seq, str(seq))).first is None
        assert len(known._newer) + len(known._older) <= 10
    for seq in range(95, 100):
        assert known.marked(placed(100 + seq, str(seq))).first is not None
    assert known.marked(placed(300, "50")).first is None
