"""Every item of the protocol, as it stands on the wire."""

from __future__ import annotations

import json

import pytest

from chatserver.core import vocabulary
from chatserver.core.changes import (
    AccountEnd,
    FriendChange,
    LoginsEnd,
    ProfileChange,
    ReadChange,
)
from chatserver.core.conversations import BROADCASTS, Direct, Page, ReadState, conversation_with
from chatserver.core.errors import RESTARTING, SIGNED_OUT, RateLimited
from chatserver.core.events import Audience, encode_event
from chatserver.core.people import Account, User

ANN, BOB = (User(name.lower(), name, "", "#0000aa") for name in ("Ann", "Bob"))
ANN_ON_THE_WIRE = {
    "id": "ann",
    "firstName": "Ann",
    "lastName": "",
    "name": "Ann",
    "color": "#0000aa",
}


def test_a_user_is_public_but_for_the_email_that_only_the_owner_sees() -> None:
    assert vocabulary.user(ANN) == ANN_ON_THE_WIRE
    account = Account(ANN, "ann@example.com", "phc", 1)
    assert vocabulary.own_user(account) == ANN_ON_THE_WIRE | {
        "email": "ann@example.com",
        "zone": "",
    }
    assert vocabulary.author(ANN) == {"id": "ann", "name": "Ann", "color": "#0000aa"}


@pytest.mark.parametrize(("peer", "audience"), [(None, Audience.FRIENDS), ("bob", Audience.PAIR)])
def test_a_message_says_for_whom_it_is(peer: str | None, audience: Audience) -> None:
    draft = vocabulary.message(vocabulary.author(ANN), conversation_with(peer), "hi", "c1")
    assert (draft.audience, draft.actor, draft.to, draft.client_id) == (audience, "ann", peer, "c1")
    said = json.loads(encode_event(draft, 7, 8).payload)
    assert said == {
        "seq": 7,
        "type": "message",
        "at": 8,
        "from": vocabulary.author(ANN),
        "to": peer,
        "text": "hi",
        "clientId": "c1",
    }


def test_a_change_of_friendship_is_told_to_both_and_made_by_the_first() -> None:
    change = FriendChange("ann", "bob", "friend")
    first, second = vocabulary.friend(ANN, BOB, ("friend", "friend"), change)
    assert (first.actor, first.change, second.actor, second.change) == ("ann", change, "bob", None)
    assert first.fields["user"]["id"] == "bob" and second.fields["user"]["id"] == "ann"
    assert first.audience is second.audience is Audience.SELF


def test_a_profile_goes_to_friends_and_the_end_of_an_account_too() -> None:
    draft, end = vocabulary.profile(ANN), vocabulary.account_end(ANN)
    assert draft.change == ProfileChange("ann", "Ann", "", "#0000aa")
    assert end.change == AccountEnd("ann")
    assert draft.fields == end.fields == {"user": ANN_ON_THE_WIRE}
    assert draft.audience is end.audience is Audience.FRIENDS


def test_a_read_position_is_ones_own_or_for_the_one_friend() -> None:
    own = vocabulary.read("ann", BROADCASTS, 5)
    assert (own.audience, own.to, own.fields["with"]) == (Audience.SELF, None, None)
    shared = vocabulary.read("ann", Direct("bob"), 5)
    assert (shared.audience, shared.to, shared.fields["upTo"]) == (Audience.PAIR, "bob", 5)
    assert shared.change == ReadChange("ann", Direct("bob"), 5)


def test_a_notice_says_nothing() -> None:
    draft = vocabulary.notice(LoginsEnd("ann", ("l",)))
    assert (draft.audience, draft.fields) == (Audience.NOBODY, {})


def test_signals_are_about_somebody_so_that_a_newer_one_stands_for_an_older() -> None:
    coming = vocabulary.presence("ann", True, 5)
    assert (coming.type, coming.about) == ("presence", "ann")
    assert json.loads(coming.payload)["lastSeen"] == 5
    assert json.loads(vocabulary.whole_presence(["bob"]).payload)["online"] == ["bob"]
    typing = json.loads(vocabulary.typing("ann", Direct("bob")).payload)
    assert typing == {"type": "typing", "from": "ann", "to": "bob"}
    assert json.loads(vocabulary.ping(9).payload) == {"type": "ping", "at": 9}


def test_a_bye_says_when_to_come_back_only_to_those_who_should() -> None:
    away = json.loads(vocabulary.bye(RESTARTING, 700).payload)
    assert (away["retry"], away["reconnectIn"]) == (True, 700)
    out = json.loads(vocabulary.bye(SIGNED_OUT, 700).payload)
    assert (out["retry"], out["reconnectIn"]) == (False, 0)


def test_what_is_for_one_connection() -> None:
    hello = json.loads(vocabulary.hello(ANN, 5, 25.0, True))
    assert (hello["seq"], hello["heartbeat"], hello["resumed"]) == (5, 25, True)
    assert json.loads(vocabulary.reset(5, "too long ago"))["lost"] == "all"
    ack = json.loads(vocabulary.ack("c1", 5, 6))
    assert ack == {"type": "ack", "clientId": "c1", "seq": 5, "at": 6}


@pytest.mark.parametrize(
    ("client_id", "shown"), [("c1", True), (None, False), (5, False), ("\ud800", False)]
)
def test_an_error_names_the_clients_id_where_it_can_be_written(
    client_id: object, shown: bool
) -> None:
    said = json.loads(vocabulary.error(RateLimited("Too fast.", 2), client_id))
    assert (said["type"], said["code"], said["retryAfter"]) == ("error", "rate_limited", 2)
    assert ("clientId" in said) == shown


def test_an_answer_to_a_poll_is_made_of_payloads_as_they_are() -> None:
    answer = vocabulary.poll_answer(5, [b'{"a":1}', b'{"b":2}'], True, 35_000)
    assert json.loads(answer) == {
        "cursor": 5,
        "events": [{"a": 1}, {"b": 2}],
        "more": True,
        "timeout": 35_000,
    }


def test_a_page_of_history_and_what_was_read() -> None:
    draft = vocabulary.message(vocabulary.author(ANN), BROADCASTS, "hi", None)
    page = json.loads(vocabulary.history(Page([encode_event(draft, 7, 8)], False, 9)))
    assert (page["messages"][0]["seq"], page["more"], page["seq"]) == (7, False, 9)
    assert json.loads(vocabulary.history(Page([], True, 9)))["messages"] == []
    state = ReadState({BROADCASTS: 3}, {"bob": 4}, {Direct("bob"): 5}, 6)
    assert vocabulary.read_state(state) == {
        "read": [{"with": None, "upTo": 3}],
        "peers": [{"user": "bob", "upTo": 4}],
        "unread": [{"with": "bob", "count": 5}],
        "seq": 6,
    }
