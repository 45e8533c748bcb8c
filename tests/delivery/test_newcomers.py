"""Newcomers are looked up together, and remembered as if each had been asked for alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chatserver.core import vocabulary
from chatserver.core.changes import LoginsEnd, PasswordChange
from chatserver.core.errors import Unavailable
from chatserver.core.people import Login, User
from chatserver.http.house import House
from chatserver.verbs.keys import token_hash
from chatserver.verbs.sessions import Brought
from tests.store.kit import account, login
from tests.support.inprocess import inside
from tests.support.payments import paid

NAMES = ("bob", "cho", "dee")


class Place:
    """A house with people in it, and what its store is asked."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.asked: list[list[str | bytes]] = []
        self.meanwhile: Callable[[], Awaitable[Any]] | None = None
        """Happens after the store was read, before its answer comes."""
        self._ask: Any = house.store.newcomers
        store: Any = house.store
        store.newcomers = self._newcomers

    async def _newcomers(self, ids: Any, hashes: Any, here: Any) -> Any:
        self.asked.append([*ids, *hashes])
        found = await self._ask(ids, hashes, here)
        if self.meanwhile is not None:
            await self.meanwhile()
        return found

    async def look_up(self, *brought: Brought) -> None:
        """All of these, in one turn of the loop."""
        left = len(brought)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def then(login: Login | None) -> None:
            nonlocal left
            left -= 1
            if not left:
                done.set_result(None)

        for each in brought:
            self.house.admission.newcomers.look_up(each, then)
        await asyncio.wait_for(done, 30)

    def known(self, brought: Brought, user_id: str) -> tuple[bool, bool, bool]:
        """Whether login, profile and mailbox are in memory."""
        house = self.house
        return (
            house.sessions.known(brought) is not None,
            house.users.known(user_id) is not None,
            house.delivery.mailboxes.known(user_id) is not None,
        )

    async def befriend(self, one: str, other: str) -> None:
        await self.house.friendships.befriend(one, other)
        await self.house.friendships.befriend(other, one)

    async def notice(self, change: LoginsEnd | PasswordChange) -> None:
        await self.house.journal.append(paid(), vocabulary.notice(change))


def token(name: str) -> bytes:
    """What a token of theirs is in the store."""
    return token_hash(f"token of {name}")


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Place]:
    """A house that knows of nobody, and `NAMES` in its store, each with a token and a cookie."""
    async with inside(folder) as it:
        store = it.house.store
        for name in NAMES:
            await store.add_account(account(name))
            await store.add_login(login(f"t-{name}", name, "token", secret_hash=token(name)))
            await store.add_login(login(f"c-{name}", name, expires_at=2**52, last_used_at=2**50))
        yield Place(it.house)


def cookie(place: Place, name: str) -> Brought:
    """What their browser brings."""
    sessions = place.house.sessions
    said = sessions.cookie(login(f"c-{name}", name), secure=False).partition(";")[0]
    brought = sessions.brought(said, None)
    assert brought is not None
    return brought


async def test_who_comes_in_one_turn_is_found_by_one_question(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        await place.befriend("bob", "cho")
        own = cookie(place, "cho")
        await place.look_up(token("bob"), own, token("nobody"), token("bob"))
        assert place.asked == [["c-cho", token("bob"), token("nobody")]]
        assert place.known(token("bob"), "bob") == place.known(own, "cho") == (True, True, True)
        assert place.house.sessions.known(token("nobody")) is None
        bobs = place.house.delivery.mailboxes.known("bob")
        assert bobs is not None and list(bobs.friends) == ["cho"]
        assert not place.house.admission.newcomers._asking, "nobody is being read any more"


async def test_who_is_in_memory_is_not_asked_for(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        await place.look_up(token("bob"))
        await place.look_up(token("bob"))
        assert len(place.asked) == 1


async def test_the_friends_of_a_mailbox_that_is_open_stay_as_they_are(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        mailbox = await place.house.delivery.mailboxes.open("bob")
        await place.look_up(token("bob"))
        assert place.known(token("bob"), "bob") == (True, True, True)
        assert place.house.delivery.mailboxes.known("bob") is mailbox


async def test_a_login_that_ends_while_it_is_read_is_not_remembered(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        place.meanwhile = lambda: place.notice(LoginsEnd("bob", ("t-bob",)))
        await place.look_up(token("bob"))
        assert place.known(token("bob"), "bob") == (False, False, False)


async def test_a_login_of_a_generation_that_ends_while_it_is_read_is_not_remembered(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as place:
        kept = cookie(place, "bob")
        place.meanwhile = lambda: place.notice(PasswordChange("bob", "$argon2id$new", "c-bob"))
        await place.look_up(token("bob"), kept)
        assert place.house.sessions.known(token("bob")) is None
        assert place.house.sessions.known(kept) is not None


async def test_what_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        house = place.house

        async def changes() -> None:
            await place.befriend("bob", "cho")
            renamed = User("dee", "Dora", "", "#00ff00")
            await house.journal.append(paid(), vocabulary.profile(renamed))

        place.meanwhile = changes
        await place.look_up(*map(token, NAMES))
        mailboxes, users = house.delivery.mailboxes, house.users
        assert mailboxes.known("bob") is mailboxes.known("cho") is mailboxes.known("dee") is None
        assert list((await mailboxes.open("bob")).friends) == ["cho"]
        dee = users.known("dee")
        assert dee is not None and dee.first_name == "Dora"


async def test_who_is_just_leaving_is_not_remembered(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        place.house.users.begin_leaving("bob")
        await place.look_up(token("bob"))
        assert place.house.users.known("bob") is None


async def test_a_mailbox_that_somebody_else_opens_is_left_to_them(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        mailboxes, hold = place.house.delivery.mailboxes, asyncio.Event()
        friends_since = place.house.store.friends_since

        async def slowly(user_id: str) -> Any:
            found = await friends_since(user_id)
            await hold.wait()
            return found

        place.house.store.friends_since = slowly  # type: ignore[method-assign]
        opening = asyncio.create_task(mailboxes.open("bob"))
        await asyncio.sleep(0)
        await place.look_up(token("bob"))
        assert mailboxes.known("bob") is None
        hold.set()
        assert await opening is mailboxes.known("bob")
        assert mailboxes.opened == 1


async def test_friends_from_a_place_that_is_not_here_yet_are_waited_for(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        journal = place.house.journal
        ahead, ask = journal.head_seq + 10**12, place._ask

        async def ahead_of_us(*asked: Any) -> Any:
            found = await ask(*asked)
            for newcomer in found.values():
                newcomer.seqs = (newcomer.seqs[0], ahead)
            return found

        place._ask = ahead_of_us
        waited: list[int] = []

        async def caught_up(seq: int) -> None:
            waited.append(seq)
            assert place.house.delivery.mailboxes.known("bob") is None

        journal.caught_up = caught_up  # type: ignore[method-assign]
        await place.look_up(token("bob"))
        assert waited == [ahead]
        assert place.house.delivery.mailboxes.known("bob") is not None


@pytest.mark.parametrize("error", [Unavailable("away"), RuntimeError("planted")])
async def test_where_nobody_can_be_looked_up_all_are_told(
    tmp_path: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails() -> None:
        raise error

    async with opened(tmp_path) as place:
        place.meanwhile = fails
        await place.look_up(*map(token, NAMES))
        assert place.known(token("bob"), "bob") == (False, False, False)
    assert ("planted" in caplog.text) is isinstance(error, RuntimeError)
