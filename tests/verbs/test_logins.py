"""What a process remembers of logins: so many, and of those that have ended that they have."""

from __future__ import annotations

from chatserver.core.people import Login
from chatserver.verbs.logins import LoginMemory


def login(id_: str, user_id: str = "ann", generation: int = 0) -> Login:
    return Login(id_, user_id, "cookie", "", None, 0, None, 0, generation)


def test_the_oldest_of_too_many_is_forgotten_and_may_come_again() -> None:
    memory = LoginMemory(2)
    for id_ in ("one", "two", "three"):
        assert memory.put(login(id_)) == login(id_)
    assert [memory.get(id_) for id_ in ("one", "two", "three")] == [
        *(None, login("two"), login("three"))
    ]
    assert not memory.has_ended("one") and memory.put(login("one")) == login("one")


def test_what_has_been_forgotten_ends_with_the_generation_of_its_account() -> None:
    memory = LoginMemory(2)
    for id_ in ("old", "kept", "stolen"):
        memory.put(login(id_))
    memory.put(login("bob's", "bob"))
    memory.raise_generation("ann", 7, "kept")
    assert memory.get("stolen") is None and memory.put(login("old")) is None
    assert memory.put(login("kept")) == login("kept", generation=7)
    assert memory.put(login("new", generation=7)) == login("new", generation=7)
    assert memory.current(login("bob's", "bob")) == login("bob's", "bob")


def test_an_end_is_remembered_longer_than_the_login() -> None:
    memory = LoginMemory(2)
    memory.put(login("one"))
    memory.end(["one", "never seen"])
    for id_ in ("one", "never seen"):
        assert memory.has_ended(id_) and memory.put(login(id_)) is None
