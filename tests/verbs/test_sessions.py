"""Logins count while the store has them, and not a moment longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chatserver.core import vocabulary
from chatserver.core.changes import LoginsEnd, PasswordChange
from chatserver.core.errors import Conflict, NotFound, Unauthenticated
from chatserver.core.events import Event
from chatserver.core.people import Account, Login, User
from chatserver.journal.local import LocalJournal
from chatserver.store.sqlite.store import SqliteStore
from chatserver.verbs.cookies import cookie_named
from chatserver.verbs.keys import KeyRing
from chatserver.verbs.sessions import COOKIE_LIFE_MS, COOKIE_RENEW_MS, DAY_MS, TOKENS_MAX, Sessions
from tests.support.logins import known, resolve
from tests.support.payments import paid

NOW_MS = 1_800_000_000_000
ANN, BOB = PEOPLE = [User(name, name.title(), "", "#000000") for name in ("ann", "bob")]


@dataclass
class World:
    """A store with two users, its journal, and sessions on a clock that stands until it is moved."""

    store: SqliteStore
    journal: LocalJournal
    folder: Path
    now_ms: int = NOW_MS
    following: list[Sessions] = field(default_factory=list)

    def sessions(self) -> Sessions:
        """Sessions of a process that has just started."""
        ring = KeyRing.load(self.folder, self.now_ms)
        self.following.append(Sessions(self.store, self.journal, ring, lambda: self.now_ms, 50))
        return self.following[-1]

    def follow(self, events: Sequence[Event]) -> None:
        """All of them follow the one journal."""
        for sessions in self.following:
            sessions.follow(events)

    async def change(self, change: LoginsEnd | PasswordChange) -> int:
        """The seq of a notice."""
        (place,) = await self.journal.append(paid(), vocabulary.notice(change))
        return place.seq


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[World]:
    """The store and its two users; at the end everything is closed."""
    store = SqliteStore(folder, lambda: NOW_MS)
    await store.start()
    journal = LocalJournal(store.log, lambda: NOW_MS)
    world = World(store, journal, folder)
    await journal.start([world.follow])
    try:
        for user in PEOPLE:
            await store.add_account(Account(user, f"{user.id}@example.com", "phc", NOW_MS))
        async with asyncio.timeout(30):
            yield world
    finally:
        await journal.close()
        await store.close()


def header(set_cookie: str) -> str:
    """The Cookie header of a browser that got this Set-Cookie."""
    return set_cookie.partition(";")[0]


async def nobody(sessions: Sessions, cookie: str | None, authorization: str | None = None) -> None:
    assert known(sessions, cookie, authorization) is None
    with pytest.raises(Unauthenticated):
        await resolve(sessions, cookie, authorization)


async def test_a_cookie_signs_in_across_a_restart_until_it_is_ended(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        first = world.sessions()
        login = await first.begin("ann", 0, "a browser")
        cookie = header(first.cookie(login, secure=False))
        second = world.sessions()
        assert known(second, cookie, None) is None
        assert (await resolve(second, cookie, None)).id == login.id
        assert known(second, f"other=1; {cookie}; more=2", None) is not None
        await second.end(login)
        await nobody(second, cookie)
        await nobody(world.sessions(), cookie)
        assert second.expires_at(login.id) == 0


async def test_a_cookie_under_https_has_the_host_prefix_and_is_the_only_one_that_counts(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as world:
        sessions = world.sessions()
        ann, bob = await sessions.begin("ann", 0, ""), await sessions.begin("bob", 0, "")
        secure = sessions.cookie(ann, secure=True)
        assert secure.startswith("__Host-chatserver=")
        for attribute in (
            "; Path=/",
            "; Secure",
            "; HttpOnly",
            "; SameSite=Lax",
            "; Max-Age=2592000",
        ):
            assert attribute in secure
        planted = header(sessions.cookie(bob, secure=False))
        both = f"{planted}; {header(secure)}"
        for fresh in (sessions, world.sessions()):
            assert (await resolve(fresh, both, None, secure=True)).user_id == "ann"
            assert (await resolve(fresh, both, None, secure=False)).user_id == "bob"
            assert known(fresh, planted, None, secure=True) is None
            with pytest.raises(Unauthenticated):
                await resolve(fresh, planted, None, secure=True)
            assert fresh.renewed_cookie(planted, ann, secure=True) is None


def test_signing_out_takes_both_cookies_away() -> None:
    plain, secure = sorted(Sessions.no_cookies(), key=len)
    assert plain.startswith("chatserver=;") and "Secure" not in plain
    assert secure.startswith("__Host-chatserver=;") and "; Secure" in secure
    for each in (plain, secure):
        assert "; Max-Age=0" in each and "; Path=/" in each


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("a=1", "1"),
        ("b=2; a=1", "1"),
        ("b=2;a=1", "1"),
        ("a=1; a=2", "1"),
        ("a=b=c", "b=c"),
        ("a=", ""),
        ("ba=1; a=2", "2"),
        ("a", None),
        ("b=a=1", None),
        ("", None),
        (None, None),
        ("a;" * 8000 + "a=1", "1"),
    ],
)
def test_a_cookie_is_found_by_its_whole_name(line: str | None, value: str | None) -> None:
    assert cookie_named(line, "a") == value


@pytest.mark.parametrize(("name", "value"), [("chatserver", "ours"), ("__Host-chatserver", None)])
def test_headers_joined_by_a_comma_are_read_but_bring_no_cookie_with_the_prefix(
    name: str, value: str | None
) -> None:
    """A sibling host may set `x=1, __Host-chatserver=…`, and its value would be a session."""
    assert cookie_named(f"a=b, {name}=ours", name) == value
    assert cookie_named(f"a=b,{name}=ours;c=d", name) == value
    assert cookie_named(f"a=b; {name}=ours", name) == "ours"


async def test_a_cookie_that_is_forged_or_of_another_ring_is_nobodys(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        sessions = world.sessions()
        login = await sessions.begin("ann", 0, "")
        cookie = header(sessions.cookie(login, secure=False))
        ring = KeyRing.load(tmp_path / "other", 0)
        foreign = Sessions(world.store, world.journal, ring, lambda: NOW_MS, 50)
        await nobody(sessions, header(foreign.cookie(login, secure=False)))
        field = sessions.form_field(f"{login.id} ann {NOW_MS}")
        for bad in (cookie[:-2], "chatserver=", "chatserver=a.b", f"chatserver={field}", "", None):
            await nobody(sessions, bad)


async def test_a_cookie_login_slides_by_use_and_ends_30_days_after_the_last(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        sessions = world.sessions()
        login = await sessions.begin("ann", 0, "")
        cookie = header(sessions.cookie(login, secure=False))
        assert sessions.expires_at(login.id) == NOW_MS + COOKIE_LIFE_MS
        world.now_ms += 29 * DAY_MS
        assert (await resolve(sessions, cookie, None)).expires_at == world.now_ms + COOKIE_LIFE_MS
        await sessions.flush()
        world.now_ms += 29 * DAY_MS
        assert (await resolve(world.sessions(), cookie, None)).id == login.id
        world.now_ms += 30 * DAY_MS
        await nobody(sessions, cookie)
        assert await sessions.listed("ann", "cookie") == []


async def test_a_cookie_is_renewed_when_it_is_older_than_a_day(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        sessions = world.sessions()
        login = await sessions.begin("ann", 0, "")
        cookie = header(sessions.cookie(login, secure=False))
        login = await resolve(sessions, cookie, None)
        world.now_ms += COOKIE_RENEW_MS - 1
        assert sessions.renewed_cookie(cookie, login, secure=False) is None
        world.now_ms += 1
        renewed = sessions.renewed_cookie(cookie, login, secure=False)
        assert renewed is not None and header(renewed) != cookie
        assert (await resolve(sessions, header(renewed), None)).id == login.id


async def test_a_token_is_kept_hashed_and_wins_over_a_cookie(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        sessions = world.sessions()
        asker = await sessions.begin("ann", 0, "")
        record, token = await sessions.issue_token(asker, "script", None)
        assert token.startswith("cst_") and len(token) == 47
        assert token.encode() not in repr(record).encode()
        for file in tmp_path.iterdir():
            assert token.encode() not in file.read_bytes()
        cookie = header(sessions.cookie(await sessions.begin("bob", 0, ""), secure=False))
        for authorization in (f"Bearer {token}", f"bearer  {token} "):
            assert (await resolve(sessions, cookie, authorization)).user_id == "ann"
        for bad in ("Bearer cst_no", f"Basic {token}", token, "Bearer", "", f"Bearer {token}x"):
            await nobody(sessions, cookie, bad)


async def test_a_token_ends_by_time(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        sessions = world.sessions()
        asker = await sessions.begin("ann", 0, "")
        login, token = await sessions.issue_token(asker, "script", 60)
        await resolve(sessions, None, f"Bearer {token}")
        world.now_ms += 59_999
        assert known(sessions, None, f"Bearer {token}") is not None
        assert sessions.expires_at(login.id) == NOW_MS + 60_000
        world.now_ms += 1
        await nobody(sessions, None, f"Bearer {token}")
        await nobody(world.sessions(), None, f"Bearer {token}")


async def test_a_user_has_so_many_tokens_and_no_more(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        sessions = world.sessions()
        asker = await sessions.begin("ann", 0, "")
        made = [await sessions.issue_token(asker, "script", None) for _ in range(TOKENS_MAX)]
        with pytest.raises(Conflict):
            await sessions.issue_token(asker, "script", None)
        await sessions.end_one("ann", "token", made[0][0].id)
        await sessions.issue_token(asker, "script", None)


async def test_of_tokens_that_are_asked_for_at_once_there_are_no_more_either(
    tmp_path: Path,
) -> None:
    """Each sees room while none of the others is kept; two processes know of each other's by the store alone."""
    async with opened(tmp_path) as world:
        one, other = world.sessions(), world.sessions()
        asker = await one.begin("ann", 0, "")
        for _ in range(TOKENS_MAX - 10):
            await one.issue_token(asker, "script", None)
        asked = [one.issue_token(asker, "script", None) for _ in range(20)]
        outcome = await asyncio.gather(*asked, return_exceptions=True)
        refused = [each for each in outcome if isinstance(each, Conflict)]
        assert len(refused) == 10, outcome
        for login in (await one.listed("ann", "token"))[:10]:
            await one.end(login)
        asked = [each.issue_token(asker, "script", None) for each in (one, other) * 10]
        outcome = await asyncio.gather(*asked, return_exceptions=True)
        made = [each for each in outcome if not isinstance(each, Conflict)]
        assert len(await one.listed("ann", "token")) == TOKENS_MAX - 10 + len(made) <= TOKENS_MAX


async def test_nobody_ends_the_login_of_another(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        sessions = world.sessions()
        asker = await sessions.begin("bob", 0, "")
        token, _ = await sessions.issue_token(asker, "script", None)
        with pytest.raises(NotFound):
            await sessions.end_one("ann", "token", token.id)
        assert len(await sessions.listed("bob", "token")) == 1


async def test_a_login_that_is_ended_while_it_is_read_stays_ended(tmp_path: Path) -> None:
    """The store's answer is from before the end, and comes after it."""

    async with opened(tmp_path) as world:
        sessions = world.sessions()
        login = await sessions.begin("ann", 0, "")
        cookie = header(sessions.cookie(login, secure=False))
        late = world.sessions()
        read, go_on = asyncio.Event(), asyncio.Event()
        find = world.store.login

        async def slow(login_id: str) -> Login | None:
            found = await find(login_id)
            read.set()
            await go_on.wait()
            return found

        world.store.login = slow  # type: ignore[method-assign]
        asking: asyncio.Task[Any] = asyncio.create_task(resolve(late, cookie, None))
        await read.wait()
        await late.end(login)
        go_on.set()
        with pytest.raises(Unauthenticated):
            await asking
        assert known(late, cookie, None) is None


async def test_a_form_field_is_of_its_subject_only(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        sessions = world.sessions()
        field = sessions.form_field("login-1")
        assert sessions.form_field_is_of(field, "login-1")
        assert not sessions.form_field_is_of(field, "login-2")
        assert not sessions.form_field_is_of(sessions.form_field(""), "")
        assert not sessions.form_field_is_of("", "login-1")


async def test_a_new_password_ends_every_login_but_the_one_that_is_kept(tmp_path: Path) -> None:
    """In memory and in the store; the login that is kept is of the new generation."""
    async with opened(tmp_path) as world:
        sessions, elsewhere = world.sessions(), world.sessions()
        kept, other = [await sessions.begin("ann", 0, "") for _ in range(2)]
        _, token = await sessions.issue_token(kept, "script", None)
        stranger = await sessions.begin("bob", 0, "")
        cookies = {
            login.id: header(sessions.cookie(login, secure=False))
            for login in (kept, other, stranger)
        }
        for cookie in cookies.values():
            await resolve(elsewhere, cookie, None)
        seq = await world.change(PasswordChange("ann", "new phc", kept.id))
        for process in (sessions, elsewhere):
            assert process.is_current(kept) and not process.is_current(other)
        for process in (sessions, elsewhere, world.sessions()):
            await nobody(process, cookies[other.id])
            await nobody(process, None, f"Bearer {token}")
            assert (await resolve(process, cookies[kept.id], None)).generation == seq
            assert (await resolve(process, cookies[stranger.id], None)).generation == 0
            assert [login.id for login in await process.listed("ann", "cookie")] == [kept.id]


async def test_a_login_of_an_older_generation_is_not_begun(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        sessions = world.sessions()
        asker = await sessions.begin("ann", 0, "")
        seq = await world.change(PasswordChange("ann", "new phc", None))
        with pytest.raises(Unauthenticated):
            await sessions.begin("ann", 0, "an old password, just compared")
        with pytest.raises(Unauthenticated):
            await sessions.issue_token(asker, "asked before", None)
        await sessions.begin("ann", seq, "the new password")


async def test_what_the_store_answers_late_brings_no_login_of_an_old_generation_back(
    tmp_path: Path,
) -> None:
    """Read or kept before the new password; the answer comes after it."""
    async with opened(tmp_path) as world:
        sessions = world.sessions()
        login = await sessions.begin("ann", 0, "")
        cookie = header(sessions.cookie(login, secure=False))
        late = world.sessions()
        find, add = world.store.login, world.store.add_login

        async def find_slowly(login_id: str) -> Login | None:
            found = await find(login_id)
            await world.change(PasswordChange("ann", "new phc", None))
            return found

        async def add_slowly(login: Login) -> bool:
            added = await add(login)
            await world.change(PasswordChange("ann", "newer phc", None))
            return added

        world.store.login = find_slowly  # type: ignore[method-assign]
        await nobody(late, cookie)
        world.store.login = find  # type: ignore[method-assign]
        account = await world.store.account("ann")
        assert account is not None
        world.store.add_login = add_slowly  # type: ignore[method-assign]
        with pytest.raises(Unauthenticated):
            await late.begin("ann", account.generation, "")


async def test_a_kept_login_that_was_read_before_the_new_password_still_counts(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as world:
        sessions = world.sessions()
        login = await sessions.begin("ann", 0, "")
        cookie = header(sessions.cookie(login, secure=False))
        late, find, seqs = world.sessions(), world.store.login, []

        async def find_slowly(login_id: str) -> Login | None:
            found = await find(login_id)
            seqs.append(await world.change(PasswordChange("ann", "new phc", login.id)))
            return found

        world.store.login = find_slowly  # type: ignore[method-assign]
        assert [(await resolve(late, cookie, None)).generation] == seqs


async def test_a_token_that_is_asked_for_while_its_asker_signs_out_does_not_outlive_it(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as world:
        sessions = world.sessions()
        asker = await sessions.begin("ann", 0, "")
        add = world.store.add_login

        async def add_slowly(login: Login) -> bool:
            added = await add(login)
            await sessions.end(asker)
            return added

        world.store.add_login = add_slowly  # type: ignore[method-assign]
        with pytest.raises(Unauthenticated):
            await sessions.issue_token(asker, "a thief's", None)
        assert await world.store.logins("ann", "token") == []
        assert await sessions.listed("ann", "token") == []


async def test_the_end_of_an_account_ends_all_of_its_logins(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        sessions = world.sessions()
        login = await sessions.begin("ann", 0, "")
        cookie = header(sessions.cookie(login, secure=False))
        _, token = await sessions.issue_token(login, "script", None)
        await resolve(sessions, cookie, None)
        await resolve(sessions, None, f"Bearer {token}")
        await world.journal.append(paid(), vocabulary.account_end(ANN))
        await nobody(sessions, cookie)
        await nobody(sessions, None, f"Bearer {token}")
        assert not sessions.is_current(login)
        assert sessions.expires_at(login.id) == 0
