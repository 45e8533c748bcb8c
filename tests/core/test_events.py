"""An event's bytes: its place spliced in front of its body, exactly as long as their content."""

from __future__ import annotations

import json
import sys

import pytest

from chatserver.core import vocabulary
from chatserver.core.conversations import BROADCASTS, Direct
from chatserver.core.events import Audience, Draft, encode_body, encode_event, encode_json, splice
from chatserver.core.kinds import KINDS, Kept, is_kept, is_passing, named
from chatserver.core.people import User

ANN = User("a", "Ann", "Archer", "#123456")
BOB = User("b", "Bob", "", "#654321")


def test_a_body_that_gets_its_place_later_is_the_same_event_to_the_byte() -> None:
    draft = vocabulary.message(vocabulary.author(ANN), Direct("b"), "hi \u2028 €", "c1")
    early = encode_event(draft, 7, 8)
    assert splice(draft.type, 7, 8, encode_body(draft)) == early.payload
    assert json.loads(early.payload) == {"seq": 7, "type": "message", "at": 8, **draft.fields}


def test_the_place_stands_first_also_where_there_is_nothing_else() -> None:
    assert splice("notice", 1, 2, b"{}") == b'{"seq":1,"type":"notice","at":2}'


@pytest.mark.parametrize("size", [0, 1, 100, 1000, 100_000])
def test_encoded_json_is_as_long_in_memory_as_its_content(size: int) -> None:
    data = encode_json({"text": "x" * size})
    assert sys.getsizeof(data) == len(data) + sys.getsizeof(b"")


def test_every_kind_has_an_audience_for_its_conversation() -> None:
    assert KINDS["message"].audience(BROADCASTS) is Audience.FRIENDS
    assert KINDS["message"].audience(Direct("b")) is Audience.PAIR
    assert KINDS["read"].audience(BROADCASTS) is Audience.SELF
    assert KINDS["read"].audience(Direct("b")) is Audience.PAIR
    with pytest.raises(ValueError):
        KINDS["profile"].audience(Direct("b"))


def test_only_messages_are_kept_for_good_and_notices_never() -> None:
    assert [name for name, kind in KINDS.items() if kind.kept is Kept.FOR_GOOD] == ["message"]
    assert [name for name in KINDS if is_passing(name)] == ["friend", "profile", "read"]
    assert not is_kept(encode_event(Draft("notice", Audience.NOBODY, "a", None, {}), 1, 1))


def test_a_friend_event_names_the_other_unless_it_tells_of_an_end() -> None:
    from chatserver.core.changes import FriendChange

    change = FriendChange("a", "b", "friend")
    told = vocabulary.friend(ANN, BOB, ("friend", "friend"), change)
    assert [named(encode_event(draft, 1, 1)) for draft in told] == ["b", "a"]
    ended = vocabulary.friend(ANN, BOB, ("none", "none"), change)
    assert [named(encode_event(draft, 1, 1)) for draft in ended] == [None, None]
    assert named(encode_event(vocabulary.profile(ANN), 1, 1)) is None
