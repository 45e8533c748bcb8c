"""Logins count while the store has them, and not a moment longer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chatserver.core.errors import Conflict, NotFound, Unauthenticated
from chatserver.core.people import Account, Login, User
from chatserver.store.sqlite.store import SqliteStore
from chatserver.verbs.keys import KeyRing
from chatserver.verbs.sessions import COOKIE_LIFE_MS, COOKIE_RENEW_MS, DAY_MS, TOKENS_MAX, Sessions

NOW_MS = 1_800_000_000_000


@dataclass
class World:
    """A store with two users, and sessions on a clock that stands until it is moved."""

    store: SqliteStore
    folder: Path
    now_ms: int = NOW_MS
    ended: list[str] = field(default_factory=list)

    def sessions(self) -> Sessions:
        ring = KeyRing.load(self.folder, self.now_ms)
        return Sessions(self.store, ring, lambda: self.now_ms, self.ended.extend)


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    store = SqliteStore(folder, lambda: NOW_MS)
    await store.start()
    try:
        for name in ("ann", "bob"):
            user = User(name, name.title(), "", "#000000")
            await store.add_account(Account(user, f"{name}@example.com", "phc", NOW_MS))
        yield World(store, folder)
    finally:
        await store.close()


def run(folder: Path, story: Callable[[World], Awaitable[None]]) -> None:
    async def tell() -> None:
        async with world(folder) as made, asyncio.timeout(30):
            await story(made)

    asyncio.run(tell())


def header(set_cookie: str) -> str:
    """The Cookie header of a browser that got this Set-Cookie."""
    return set_cookie.partition(";")[0]


async def nobody(sessions: Sessions, cookie: str | None, authorization: str | None = None) -> None:
    assert sessions.known(cookie, authorization) is None
    with pytest.raises(Unauthenticated):
        await sessions.resolve(cookie, authorization)


def test_a_cookie_signs_in_across_a_restart_until_it_is_ended(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        first = world.sessions()
        login = await first.begin("ann", "a browser")
        cookie = header(first.cookie(login, secure=False))
        second = world.sessions()
        assert second.known(cookie, None) is None
        assert (await second.resolve(cookie, None)).id == login.id
        assert second.known(f"other=1; {cookie}; more=2", None) is not None
        await second.end([login.id])
        await nobody(second, cookie)
        await nobody(world.sessions(), cookie)
        assert world.ended == [login.id]
        assert second.expires_at(login.id) == 0

    run(tmp_path, story)


def test_a_cookie_under_https_has_the_host_prefix_and_wins_over_a_plain_one(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sessions = world.sessions()
        ann, bob = await sessions.begin("ann", ""), await sessions.begin("bob", "")
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
        both = f"{header(sessions.cookie(bob, secure=False))}; {header(secure)}"
        assert (await sessions.resolve(both, None)).user_id == "ann"

    run(tmp_path, story)


def test_a_cookie_that_is_forged_or_of_another_ring_is_nobodys(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sessions = world.sessions()
        login = await sessions.begin("ann", "")
        cookie = header(sessions.cookie(login, secure=False))
        foreign = Sessions(
            world.store, KeyRing.load(tmp_path / "other", 0), lambda: NOW_MS, world.ended.extend
        )
        await nobody(sessions, header(foreign.cookie(login, secure=False)))
        field = sessions.form_field(f"{login.id} ann {NOW_MS}")
        for bad in (cookie[:-2], "chatserver=", "chatserver=a.b", f"chatserver={field}", "", None):
            await nobody(sessions, bad)

    run(tmp_path, story)


def test_a_cookie_login_slides_by_use_and_ends_30_days_after_the_last(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sessions = world.sessions()
        login = await sessions.begin("ann", "")
        cookie = header(sessions.cookie(login, secure=False))
        assert sessions.expires_at(login.id) == NOW_MS + COOKIE_LIFE_MS
        world.now_ms += 29 * DAY_MS
        assert (await sessions.resolve(cookie, None)).expires_at == world.now_ms + COOKIE_LIFE_MS
        await sessions.flush()
        world.now_ms += 29 * DAY_MS
        assert (await world.sessions().resolve(cookie, None)).id == login.id
        world.now_ms += 30 * DAY_MS
        await nobody(sessions, cookie)
        assert await sessions.listed("ann", "cookie") == []

    run(tmp_path, story)


def test_a_cookie_is_renewed_when_it_is_older_than_a_day(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sessions = world.sessions()
        login = await sessions.begin("ann", "")
        cookie = header(sessions.cookie(login, secure=False))
        login = await sessions.resolve(cookie, None)
        world.now_ms += COOKIE_RENEW_MS - 1
        assert sessions.renewed_cookie(cookie, login, secure=False) is None
        world.now_ms += 1
        renewed = sessions.renewed_cookie(cookie, login, secure=False)
        assert renewed is not None and header(renewed) != cookie
        assert (await sessions.resolve(header(renewed), None)).id == login.id

    run(tmp_path, story)


def test_a_token_is_kept_hashed_and_wins_over_a_cookie(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sessions = world.sessions()
        record, token = await sessions.issue_token("ann", "script", None)
        assert token.startswith("cst_") and len(token) == 47
        assert token.encode() not in repr(record).encode()
        for file in tmp_path.iterdir():
            assert token.encode() not in file.read_bytes()
        cookie = header(sessions.cookie(await sessions.begin("bob", ""), secure=False))
        for authorization in (f"Bearer {token}", f"bearer  {token} "):
            assert (await sessions.resolve(cookie, authorization)).user_id == "ann"
        for bad in ("Bearer cst_no", f"Basic {token}", token, "Bearer", "", f"Bearer {token}x"):
            await nobody(sessions, cookie, bad)

    run(tmp_path, story)


def test_a_token_ends_by_time(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sessions = world.sessions()
        login, token = await sessions.issue_token("ann", "script", 60)
        await sessions.resolve(None, f"Bearer {token}")
        world.now_ms += 59_999
        assert sessions.known(None, f"Bearer {token}") is not None
        assert sessions.expires_at(login.id) == NOW_MS + 60_000
        world.now_ms += 1
        await nobody(sessions, None, f"Bearer {token}")
        await nobody(world.sessions(), None, f"Bearer {token}")

    run(tmp_path, story)


def test_a_user_has_so_many_tokens_and_no_more(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sessions = world.sessions()
        made = [await sessions.issue_token("ann", "script", None) for _ in range(TOKENS_MAX)]
        with pytest.raises(Conflict):
            await sessions.issue_token("ann", "script", None)
        await sessions.end_one("ann", "token", made[0][0].id)
        await sessions.issue_token("ann", "script", None)

    run(tmp_path, story)


def test_nobody_ends_the_login_of_another(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sessions = world.sessions()
        token, _ = await sessions.issue_token("bob", "script", None)
        with pytest.raises(NotFound):
            await sessions.end_one("ann", "token", token.id)
        assert len(await sessions.listed("bob", "token")) == 1

    run(tmp_path, story)


def test_a_login_that_is_ended_while_it_is_read_stays_ended(tmp_path: Path) -> None:
    """The store's answer is from before the end, and comes after it."""

    async def story(world: World) -> None:
        sessions = world.sessions()
        login = await sessions.begin("ann", "")
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
        asking: asyncio.Task[Any] = asyncio.create_task(late.resolve(cookie, None))
        await read.wait()
        await late.end([login.id])
        go_on.set()
        with pytest.raises(Unauthenticated):
            await asking
        assert late.known(cookie, None) is None

    run(tmp_path, story)


def test_a_form_field_is_of_its_subject_only(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sessions = world.sessions()
        field = sessions.form_field("login-1")
        assert sessions.form_field_is_of(field, "login-1")
        assert not sessions.form_field_is_of(field, "login-2")
        assert not sessions.form_field_is_of(sessions.form_field(""), "")
        assert not sessions.form_field_is_of("", "login-1")

    run(tmp_path, story)


def test_an_unknown_account_costs_the_work_of_a_known_one(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        sessions = world.sessions()
        phc = await sessions.hash_password("correct horse")
        worked: list[str] = []
        original = sessions._in_thread

        async def count(work: Callable[..., Any], *arguments: str) -> Any:
            worked.append(arguments[1].split("$")[3])
            return await original(work, *arguments)

        sessions._in_thread = count  # type: ignore[method-assign]
        assert await sessions.password_matches("correct horse", phc)
        assert not await sessions.password_matches("correct horse", None)
        assert worked == ["m=19456,t=2,p=1"] * 2

    run(tmp_path, story)
