"""The one rule of who may see an event, case by case: nobody else decides it."""

from __future__ import annotations

import pytest

from chatserver.core.events import Audience
from chatserver.core.visibility import View, shows

ANN = View("ann", {"bob": 10})
"""Ann, whose friend Bob is from 10 on."""


@pytest.mark.parametrize("audience", [Audience.SELF, Audience.PAIR, Audience.FRIENDS])
def test_what_one_has_caused_oneself_is_shown_always(audience: Audience) -> None:
    assert shows(ANN, 1, audience, "ann", "bob")


def test_a_notice_is_shown_to_nobody_not_even_to_whom_it_is_about() -> None:
    assert not shows(ANN, 11, Audience.NOBODY, "ann", None)
    assert not shows(ANN, 11, Audience.NOBODY, "bob", None)


def test_a_friends_event_is_shown_from_the_beginning_of_the_friendship_on() -> None:
    assert not shows(ANN, 9, Audience.FRIENDS, "bob", None)
    assert not shows(ANN, 10, Audience.FRIENDS, "bob", None), "the beginning itself is not after it"
    assert shows(ANN, 11, Audience.FRIENDS, "bob", None)
    assert not shows(ANN, 10, Audience.PAIR, "bob", "ann")
    assert shows(ANN, 11, Audience.PAIR, "bob", "ann")


def test_what_a_friend_has_for_another_or_for_themselves_is_not_shown() -> None:
    assert not shows(ANN, 11, Audience.PAIR, "bob", "cho")
    assert not shows(ANN, 11, Audience.SELF, "bob", None)


def test_nothing_of_a_stranger_is_shown() -> None:
    for audience in Audience:
        assert not shows(ANN, 11, audience, "cho", "ann")
