"""Passwords: equal work whether or not there is such an account; whose turn it is; whom a wrong guess is counted for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from chatserver.core.errors import Forbidden, RateLimited, Unavailable
from chatserver.core.limits import Limits
from chatserver.core.people import Login
from chatserver.verbs import keys
from chatserver.verbs.passwords import REGISTRATION, SIGN_IN, Guess, Passwords
from chatserver.verbs.prices import Prices

ANN = "ann@example.com"


@asynccontextmanager
async def made(
    limits: Limits | None = None, clock_s: Callable[[], float] = lambda: 0.0
) -> AsyncIterator[Passwords]:
    passwords = Passwords(Prices(limits or Limits(), clock_s))
    try:
        yield passwords
    finally:
        passwords.close()


async def wrong(guess: Guess) -> type[BaseException]:
    """What a wrong password is answered."""
    try:
        async with guess:
            raise Forbidden("The password is wrong.")
    except (Forbidden, RateLimited) as error:
        return type(error)


async def right(guess: Guess) -> None:
    async with guess as counted:
        counted.right()


def login(id_: str, kind: str = "cookie", user_id: str = "ann") -> Login:
    return Login(id_, user_id, kind, "", None, 0, None, 0)


async def test_an_unknown_account_costs_the_work_of_a_known_one() -> None:
    async with made(clock_s=time.monotonic) as passwords:
        phc = await passwords.hash("correct horse", "here")
        worked: list[str] = []
        original = passwords._in_thread

        async def count(work: Callable[..., Any], *arguments: str) -> Any:
            worked.append(arguments[1].split("$")[3])
            return await original(work, *arguments)

        passwords._in_thread = count  # type: ignore[method-assign]
        assert await passwords.matches("correct horse", phc, "here")
        assert not await passwords.matches("correct horse", None, "here")
        assert worked == ["m=19456,t=2,p=1"] * 2


async def test_guesses_at_once_are_no_cheaper_than_one_after_another() -> None:
    async with made(Limits(sign_in_failures_per_account=3)) as passwords:
        begun = asyncio.Event()

        async def guess() -> None:
            async with passwords.guess(ANN, "::1", None):
                await begun.wait()
                raise Forbidden("The password is wrong.")

        guesses = [asyncio.create_task(guess()) for _ in range(10)]
        await asyncio.sleep(0)
        begun.set()
        ends = await asyncio.gather(*guesses, return_exceptions=True)
        assert [type(end) for end in ends] == [Forbidden] * 3 + [RateLimited] * 7
        with pytest.raises(RateLimited):
            async with passwords.guess("ANN@example.com", "::2", None):
                raise AssertionError("it was let in")


async def test_a_right_guess_and_one_that_could_not_be_looked_at_do_not_count() -> None:
    async with made(Limits(sign_in_failures_per_account=1)) as passwords:
        await right(passwords.guess(ANN, "::1", None))
        with pytest.raises(OSError):
            async with passwords.guess(ANN, "::1", None):
                raise OSError
        with pytest.raises(Unavailable):
            async with passwords.guess(ANN, "::1", None):
                raise Unavailable("No store.")
        await right(passwords.guess(ANN, "::1", None))


async def test_strangers_have_five_guesses_a_minute_in_all_and_an_address_twenty() -> None:
    now_s = 0.0
    async with made(clock_s=lambda: now_s) as passwords:
        answers = [await wrong(passwords.guess(ANN, f"10.0.0.{n}", None)) for n in range(9)]
        assert answers == [Forbidden] * 5 + [RateLimited] * 4
        one = [await wrong(passwords.guess(f"{n}@x.org", "10.1.1.1", None)) for n in range(25)]
        assert one == [Forbidden] * 20 + [RateLimited] * 5
        now_s = 12.0
        assert await wrong(passwords.guess(ANN, "10.0.0.9", None)) is Forbidden
        assert await wrong(passwords.guess(ANN, "10.0.0.9", None)) is RateLimited


async def test_strangers_lock_no_owner_out() -> None:
    """Neither from a browser that had a login, nor where they have signed in before, nor from what a login may do."""
    async with made() as passwords:
        passwords.remember_place(ANN, "home")
        for n in range(100):
            await wrong(passwords.guess(ANN, f"10.0.{n}.1", None))
        await right(passwords.guess(ANN, "home", None))
        for n in range(100):
            await wrong(passwords.guess(f"{n}@x.org", "home", None))
        await right(passwords.guess(ANN, "10.0.0.1", "an earlier login"))
        await right(passwords.guess(ANN, "home", "an earlier login"))
        await right(passwords.guess_again(login("phone")))
        with pytest.raises(RateLimited):
            await right(passwords.guess(ANN, "home", None))


async def test_one_address_does_not_keep_the_owner_out_of_a_new_device() -> None:
    """It guesses each second for an hour. Whoever comes to the account for the first time waits once, if at all."""
    now_s = 0.0
    async with made(clock_s=lambda: now_s) as passwords:
        wrongs, waits = 0, []
        for second in range(3600):
            now_s = float(second)
            wrongs += await wrong(passwords.guess(ANN, "10.0.0.1", None)) is Forbidden
            if second % 300 == 5:
                with suppress(RateLimited):
                    await right(passwords.guess(ANN, f"new {second}", None))
                    continue
                waits.append(second)
            if second - 12 in waits:  # a fifth of a minute, as the refusal said at the most
                await right(passwords.guess(ANN, f"new {second - 12}", None))
        assert waits == [5], "only behind the first burst"
        assert wrongs <= 5 + 0.6 * 5 * 60


SITE = [f"2001:db8:1::/48/{subnet:x}" for subnet in range(1000)]
"""Of one /48."""


@pytest.mark.parametrize(
    ("attackers", "minutes"),
    [(["10.0.0.1", "10.0.0.2"], 2), ([f"10.0.0.{n}" for n in range(50)], 50), (SITE, 1)],
    ids=["two", "fifty", "all of a site"],
)
async def test_an_address_keeps_the_owner_out_of_a_new_device_for_a_minute_a_day(
    attackers: list[str], minutes: int
) -> None:
    """They guess each second for two hours, in turn; the owner comes each five minutes and mistypes the password once."""
    now_s = 0.0
    async with made(clock_s=lambda: now_s) as passwords:
        wrongs, refused = 0, []
        for second in range(7200):
            now_s = float(second)
            address = attackers[second % len(attackers)]
            wrongs += await wrong(passwords.guess(ANN, address, None)) is Forbidden
            if second % 300 == 299:
                try:
                    await wrong(passwords.guess(ANN, f"new {second}", None))
                    await right(passwords.guess(ANN, f"new {second}", None))
                except RateLimited:
                    refused.append(second)
        assert len(refused) <= minutes / 5 and max(refused, default=0) < 60 * minutes
        assert wrongs <= 5 + 5 * 120


async def test_a_newcomer_who_goes_on_guessing_is_none_any_more() -> None:
    now_s = 0.0
    async with made(clock_s=lambda: now_s) as passwords:
        for second in range(0, 3600, 12):
            now_s = float(second)
            await wrong(passwords.guess(ANN, "10.0.0.1", None))
            await wrong(passwords.guess(ANN, "10.0.0.2", None))
        now_s += 60.0  # all five are there again, of which three are for those
        answers = [await wrong(passwords.guess(ANN, f"10.0.0.{1 + n % 2}", None)) for n in range(6)]
        assert answers == [Forbidden] * 3 + [RateLimited] * 3
        assert await wrong(passwords.guess(ANN, "10.0.0.3", None)) is Forbidden


async def test_all_addresses_of_a_site_take_one_turn_at_the_hashing_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done: list[str] = []
    go_on = threading.Event()

    def hash_later(password: str) -> str:
        assert go_on.wait(30)
        done.append(password)
        return password

    monkeypatch.setattr(keys, "hash_password", hash_later)
    async with made(clock_s=time.monotonic) as passwords:
        crowd = [asyncio.create_task(passwords.hash("crowd", where)) for where in SITE]
        await asyncio.sleep(0)
        other = asyncio.create_task(passwords.hash("other", "192.0.2.1"))
        await asyncio.sleep(0)
        go_on.set()
        await other
        ends = await asyncio.gather(*crowd, return_exceptions=True)
        assert done.index("other") <= 4
        refused = sum(isinstance(end, RateLimited) for end in ends)
        assert refused >= len(SITE) - Limits().hashing_per_address - 2


@pytest.mark.parametrize("of", ["device", "place", "login", "token"])
async def test_what_has_a_bucket_of_its_own_has_no_more_guesses_than_a_stranger(of: str) -> None:
    async with made() as passwords:
        passwords.remember_place(ANN, "home")
        guesses = {
            "device": lambda n: passwords.guess(ANN, f"10.0.0.{n}", "an earlier login"),
            "place": lambda n: passwords.guess(ANN, "home", None),
            "login": lambda n: passwords.guess_again(login("phone")),
            "token": lambda n: passwords.guess_again(login(f"token {n}", "token")),
        }
        answers = [await wrong(guesses[of](n)) for n in range(8)]
        assert answers == [Forbidden] * 5 + [RateLimited] * 3


async def test_a_thief_with_one_login_does_not_use_up_the_guesses_of_another() -> None:
    async with made() as passwords:
        for _ in range(10):
            await wrong(passwords.guess_again(login("stolen")))
        await right(passwords.guess_again(login("own")))


async def test_where_no_thread_can_be_started_it_is_unavailable() -> None:
    passwords = Passwords(Prices(Limits(), time.monotonic))

    class NoThreads:
        def submit(self, *_: object) -> None:
            raise RuntimeError("can't start new thread")

    passwords._threads = NoThreads()  # type: ignore[assignment]
    with pytest.raises(Unavailable):
        await passwords.hash("correct horse", "here")
    with pytest.raises(Unavailable):
        await passwords.matches("correct horse", None, "here")


async def test_where_there_is_no_memory_for_a_hash_it_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Or deleting an account, changing a password and signing in answered 500; and nobody is counted as having guessed."""

    def starved(*_: str) -> str:
        raise MemoryError

    monkeypatch.setattr(keys, "hash_password", starved)
    monkeypatch.setattr(keys, "password_matches", starved)
    async with made() as passwords:
        for _ in range(10):
            with pytest.raises(Unavailable):
                await passwords.hash("correct horse", "here")
            with pytest.raises(Unavailable):
                async with passwords.guess(ANN, "here", None):
                    await passwords.matches("correct horse", None, "here")
        await right(passwords.guess(ANN, "here", None))


async def test_a_sign_in_is_hashed_before_registrations_that_came_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Six hundred from one address, and one more from there; then somebody signs in from elsewhere."""
    done: list[str] = []
    signed_in = threading.Event()

    def hash_after_the_sign_in(password: str) -> str:
        if password == "sign-in":
            signed_in.set()
        assert signed_in.wait(30), "a registration keeps it waiting"
        done.append(password)
        return password

    monkeypatch.setattr(keys, "hash_password", hash_after_the_sign_in)
    async with made(clock_s=time.monotonic) as passwords:
        crowd = [
            asyncio.create_task(passwords.hash(f"r{n}", "crowd", REGISTRATION)) for n in range(600)
        ]
        others = [
            asyncio.create_task(passwords.hash("neighbour", "next door", REGISTRATION)),
            asyncio.create_task(passwords.hash("sign-in", "elsewhere", SIGN_IN)),
        ]
        await asyncio.gather(*others)
        ends = await asyncio.gather(*crowd, return_exceptions=True)
        assert {type(end) for end in ends} == {str, RateLimited}, "no registration kept it waiting"
        assert done.index("neighbour") <= 4, "addresses take turns"
        refused = [end for end in ends if isinstance(end, RateLimited)]
        assert len(refused) >= 600 - Limits().hashing_per_address - 10, "a share is bounded"
