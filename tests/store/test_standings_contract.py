"""The list of conversations, on every backend: the last message of each that one may see, and what is unread."""

from __future__ import annotations

from typing import Any

import pytest

from chatserver.core import conversations
from chatserver.core.conversations import LAST_CHARS, LONG_LIST_LAST_CHARS, peer_of
from chatserver.store.mongo import standings as mongo_standings
from chatserver.store.mongo import unread as mongo_unread
from tests.store.kit import Home, World, json_of, opened, text_of


@pytest.fixture(autouse=True, params=[2, 1000], ids=["kept often", "kept seldom"])
def often(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What MongoDB keeps of a reader is made every few messages, or read on from for long."""
    monkeypatch.setattr(mongo_standings, "KEEP_EVENTS", request.param)
    monkeypatch.setattr(mongo_standings, "TAIL_EVENTS", 4 * request.param)
    monkeypatch.setattr(mongo_standings, "EVENTS_AT_ONCE", 2)
    monkeypatch.setattr(mongo_unread, "FOLD_EVENTS", 3)


async def _list(world: World, who: str) -> list[tuple[str | None, str | None, int, int]]:
    found = await world.store.standings(who)
    assert found.seq == world.journal.head_seq
    return [
        (
            peer_of(one.conversation),
            text_of(one.last) if one.last else None,
            one.unread,
            one.read_up_to,
        )
        for one in found.standings
    ]


async def test_each_conversation_has_its_last_message_and_the_newest_comes_first(
    home: Home,
) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob", "cho", "dee")
        for friend in ("bob", "cho", "dee"):
            await world.befriend("ann", friend)
        assert await _list(world, "ann") == [
            (None, None, 0, 0),
            *((friend, None, 0, 0) for friend in ("bob", "cho", "dee")),
        ]
        await world.say("bob", "to all")
        seq = (await world.say("bob", "one", "ann")).seq
        await world.read("ann", seq, "bob")
        await world.say("bob", "two", "ann")
        await world.say("ann", "to cho", "cho")
        # What moves a position is no message, and what others say to each other is not shown.
        await world.read("cho", world.journal.head_seq, "ann")
        await world.say("cho", "secret", "dee")
        assert await _list(world, "ann") == [
            ("cho", "to cho", 0, 0),
            ("bob", "two", 1, seq),
            (None, "to all", 1, 0),
            ("dee", None, 0, 0),
        ]
        for n in range(12):
            await world.say("ann" if n % 3 else "bob", f"n{n}", "bob" if n % 3 else "ann")
            assert (await _list(world, "ann"))[0][:2] == ("bob", f"n{n}")
        await world.say("dee", "last of all")
        assert (await _list(world, "ann"))[0] == (None, "last of all", 2, 0)
    async with opened(home) as world:
        assert [row[0] for row in await _list(world, "ann")] == [None, "bob", "cho", "dee"]
        assert [row[:3] for row in await _list(world, "cho")] == [
            ("ann", "to cho", 0),
            (None, None, 0),
        ]


async def test_nothing_is_shown_of_whoever_is_no_friend(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob", "cho", "dee")
        for friend in ("bob", "cho", "dee"):
            await world.befriend("ann", friend)
            await world.say(friend, f"{friend} to all")
            await world.say("ann", f"to {friend}", friend)
            await world.say(friend, f"from {friend}", "ann")
        assert len(await _list(world, "ann")) == 4
        await world.relate("none", "ann", "bob")
        await world.relate("none", "cho", "ann", block=True)
        await world.end("dee", "ann")
        assert await _list(world, "ann") == [(None, None, 0, 0)]
        # Again friends: only what oneself wrote is shown, then what comes.
        await world.relate("friend", "ann", "bob")
        assert await _list(world, "ann") == [("bob", "to bob", 0, 0), (None, None, 0, 0)]
        await world.say("bob", "hello again", "ann")
        assert (await _list(world, "ann"))[0] == ("bob", "hello again", 1, 0)


async def test_a_list_is_what_the_pages_of_history_end_with(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob", "cho")
        await world.say("ann", "before we were friends", "bob")
        await world.befriend("ann", "bob")
        await world.befriend("bob", "cho")
        for n in range(20):
            one, other = (("ann", "bob"), ("bob", "ann"), ("cho", "bob"), ("bob", "cho"))[n % 4]
            await world.say(one, f"n{n}", None if n % 5 == 0 else other)
            for who in ("ann", "bob", "cho"):
                for peer, last, _, _ in await _list(world, who):
                    texts = await world.texts(who, peer, limit=1)
                    assert texts == ([] if last is None else [last])


async def test_of_a_long_message_the_list_has_the_beginning(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        await world.befriend("ann", "bob")
        await world.say("ann", "ж" * 4000, "bob")
        await world.say("ann", "a" * 1000)
        whole, cut = (await world.store.standings("bob")).standings
        assert whole.last is not None and cut.last is not None
        assert text_of(whole.last) == "a" * 1000 and "cut" not in json_of(whole.last)
        told: dict[str, Any] = json_of(cut.last)
        assert (told["text"], told["cut"], told["seq"]) == ("ж" * LAST_CHARS, True, cut.last.seq)


async def test_of_many_conversations_less_of_each_stands_in_the_list(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What others write must not make one answer large: whole messages of 5,000 friends were 10 MB."""
    monkeypatch.setattr(conversations, "LONG_LIST", 3)
    async with opened(home) as world:
        await world.join("ann", "bob", "cho", "dee")
        for friend in ("bob", "cho"):
            await world.befriend("ann", friend)
            await world.say(friend, "a" * 1000, "ann")
        await world.say("cho", "b" * 1000)
        assert [len(text or "") for _, text, _, _ in await _list(world, "ann")] == [1000] * 3
        await world.befriend("ann", "dee")
        await world.say("dee", "short", "ann")
        found = await _list(world, "ann")
        lasts = [text for _, text, _, _ in found]
        assert lasts == ["short", *(letter * LONG_LIST_LAST_CHARS for letter in "baa")]
        told = json_of((await world.store.standings("ann")).standings[1].last)  # type: ignore[arg-type]
        assert told["cut"] is True and told["seq"] and told["from"]
