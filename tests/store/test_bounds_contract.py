"""What others make large is bounded, on every backend: searches, requests for friendship."""

from __future__ import annotations

import pytest

from chatserver.core.people import MAX_INCOMING
from chatserver.store.mongo import friendships as mongo_friendships
from chatserver.store.mongo import people as mongo_people
from chatserver.store.sqlite import friendships as sqlite_friendships
from chatserver.store.sqlite import people as sqlite_people
from tests.store.kit import Home, account, opened


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for people in (sqlite_people, mongo_people):
        monkeypatch.setattr(people, "MAX_CANDIDATES", 3)
    for friendships in (sqlite_friendships, mongo_friendships):
        monkeypatch.setattr(friendships, "MAX_INCOMING", 3)


async def test_a_search_looks_at_so_many_people_and_at_friends(home: Home) -> None:
    async with opened(home) as world:
        store = world.store
        await world.join("me")
        for n in range(6):
            await store.add_account(account(f"u{n}", f"Anna{n}", "Smith"))
        await store.add_account(account("whole", "Anna", "Smith"))
        first = [user.id for user, _ in await store.search("me", "anna", 10)]
        assert first == ["whole", "u0", "u1"], "a whole word, then the first in order"
        assert first == [user.id for user, _ in await store.search("me", "anna", 10)]
        await world.befriend("me", "u5")
        found = await store.search("me", "anna", 10)
        assert [(user.id, relation) for user, relation in found] == [
            ("u5", "friend"), ("whole", "none"), ("u0", "none"), ("u1", "none")
        ]  # fmt: skip
        assert [user.id for user, _ in await store.search("me", "u4@example.com", 10)] == ["u4"]
        assert [user.id for user, _ in await store.search("me", "anna3 smith", 10)] == ["u3"]


async def test_the_word_of_the_fewest_people_is_looked_for(home: Home) -> None:
    """The longest on MongoDB, the rarest on SQLite: what everybody is called does not hide one of them."""
    async with opened(home) as world:
        await world.join("me")
        for n in range(6):
            await world.store.add_account(account(f"u{n}", "Maximilian", f"Wu{n}xxxxxxxxx"))
        found = await world.store.search("me", "maximilian wu5xxxxxxxx", 10)
        assert [user.id for user, _ in found] == ["u5"]


async def test_people_apart_do_not_take_the_places_of_others(home: Home) -> None:
    async with opened(home) as world:
        await world.join("me", "anna", "annb", "annc")
        await world.block("anna", "me", True)
        await world.block("me", "annb", True)
        assert [u.id for u, _ in await world.store.search("me", "ann", 1)] == ["annc"]


async def test_the_oldest_requests_are_shown_and_the_rest_is_counted(home: Home) -> None:
    async with opened(home) as world:
        people = [f"p{n}" for n in range(6)]
        await world.join("me", "zed", *people)
        for each in reversed(people):
            await world.relate("asked", each, "me")
        await world.relate("asked", "me", "zed")
        found = await world.store.friends("me")
        assert [user.id for user in found.incoming] == ["p5", "p4", "p3"]
        assert found.incoming_count == 6
        await world.relate("none", "p5", "me")
        await world.befriend("p4", "me")
        found = await world.store.friends("me")
        assert [user.id for user in found.incoming] == ["p3", "p2", "p1"]
        assert found.incoming_count == 4
        counts = await world.store.relation_counts("me")
        assert dict(counts) == {"incoming": 4, "friend": 1, "outgoing": 1}
        for each in ("p1", "p2"):
            await world.block("me", each, True)
        await world.block("p3", "me", True)
        await world.block("me", "p2", False)
        counts = await world.store.relation_counts("me")
        assert counts["blocked"] == 1
        assert [user.id for user in found.outgoing] == ["zed"]


async def test_a_page_of_friends_begins_with_those_who_are_wanted_first(home: Home) -> None:
    async with opened(home) as world:
        people = [f"p{n}" for n in range(5)]
        await world.join("me", "zed", *people)
        for each in people:
            await world.befriend(each, "me")
        await world.relate("asked", "zed", "me")

        async def page(first: list[str], skip: int, limit: int) -> list[str]:
            found, count = await world.store.friends_page("me", first, skip, limit)
            assert count == 5
            return [user.id for user, _ in found]

        assert await page([], 0, 2) == ["p0", "p1"]
        assert await page(["p3", "p4", "zed"], 0, 3) == ["p3", "p4", "p0"]
        assert await page(["p3", "p4"], 3, 9) == ["p1", "p2"]
        assert await page([], 5, 9) == []
        names = await world.store.friend_names("me")
        whole = [(user.id, user.name) for user, _ in (await world.store.friends("me")).friends]
        assert sorted(names) == whole
        asked = await world.store.requests("me")
        assert not asked.friends and [user.id for user in asked.incoming] == ["zed"]


def test_the_contract_shows_two_hundred() -> None:
    assert MAX_INCOMING == 200
