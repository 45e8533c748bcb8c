"""Profiles in memory follow the order, whatever the store answers late."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from chatserver.core import vocabulary
from chatserver.core.errors import Unauthenticated
from chatserver.core.events import Draft, Event, encode_event
from chatserver.core.people import User
from chatserver.store.contract import People
from chatserver.verbs.users import Users

ANN = User("ann", "Ann", "Archer", "#000000")
ANNA = User("ann", "Anna", "Archer", "#aa0000")


class Store(People):
    """Knows Ann as she was; `meanwhile` happens after it has looked and before it answers."""

    def __init__(self) -> None:
        self.reads = 0
        self.meanwhile: Callable[[], None] = lambda: None

    async def users(self, ids: Iterable[str]) -> dict[str, User]:
        self.reads += 1
        self.meanwhile()
        return {"ann": ANN} if "ann" in ids else {}


def at(seq: int, draft: Draft) -> list[Event]:
    return [encode_event(draft, seq, 0)]


def made() -> tuple[Users, Store]:
    store = Store()  # type: ignore[abstract]
    return Users(store), store


async def test_a_profile_is_read_once() -> None:
    users, store = made()
    assert users.known("ann") is None
    assert [await users.user("ann") for _ in range(3)] == [ANN] * 3
    assert (users.known("ann"), store.reads) == (ANN, 1)


async def test_a_new_profile_is_taken_from_the_order_without_a_read() -> None:
    users, store = made()
    await users.user("ann")
    users.follow(at(1, vocabulary.profile(ANNA)))
    assert (users.known("ann"), await users.user("ann"), store.reads) == (ANNA, ANNA, 1)


async def test_a_profile_that_changes_while_it_is_read_is_the_new_one() -> None:
    users, store = made()
    store.meanwhile = lambda: users.follow(at(1, vocabulary.profile(ANNA)))
    assert await users.user("ann") == ANNA
    assert users.known("ann") == ANNA


async def test_an_account_that_ends_while_it_is_read_is_not_remembered() -> None:
    users, store = made()
    store.meanwhile = lambda: users.follow(at(1, vocabulary.account_end(ANN)))
    with pytest.raises(Unauthenticated):
        await users.user("ann")
    assert users.known("ann") is None


async def test_nobody_acts_for_an_account_that_has_ended_or_is_leaving() -> None:
    users, _ = made()
    await users.user("ann")
    users.begin_leaving("ann")
    assert users.known("ann") is None and users.is_leaving("ann")
    users.end_leaving("ann")
    users.refuse_gone("ann")
    await users.user("ann")
    users.follow(at(1, vocabulary.account_end(ANN)))
    assert users.known("ann") is None and users.is_leaving("ann")
    with pytest.raises(Unauthenticated):
        users.refuse_gone("ann")


async def test_nobody_has_a_profile_who_has_no_account() -> None:
    users, _ = made()
    with pytest.raises(Unauthenticated):
        await users.user("nobody")
    assert users.known("nobody") is None


async def test_a_profile_given_while_its_owner_leaves_is_not_remembered() -> None:
    users, _ = made()
    users.begin_leaving("ann")
    users.follow(at(1, vocabulary.profile(ANNA)))
    assert users.known("ann") is None
