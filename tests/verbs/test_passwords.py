"""Passwords: equal work whether or not there is such an account; failures count before the look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from chatserver.core.errors import Forbidden, RateLimited
from chatserver.core.limits import Limits
from chatserver.verbs.passwords import Passwords


async def test_an_unknown_account_costs_the_work_of_a_known_one() -> None:
    passwords = Passwords(Limits(), time.monotonic)
    phc = await passwords.hash("correct horse")
    worked: list[str] = []
    original = passwords._in_thread

    async def count(work: Callable[..., Any], *arguments: str) -> Any:
        worked.append(arguments[1].split("$")[3])
        return await original(work, *arguments)

    passwords._in_thread = count  # type: ignore[method-assign]
    assert await passwords.matches("correct horse", phc)
    assert not await passwords.matches("correct horse", None)
    assert worked == ["m=19456,t=2,p=1"] * 2
    passwords.close()


async def test_guesses_at_once_are_no_cheaper_than_one_after_another() -> None:
    passwords = Passwords(Limits(sign_in_failures_per_account=3), lambda: 0.0)
    begun = asyncio.Event()

    async def guess() -> None:
        async with passwords.guess("ann@example.com", "::1"):
            await begun.wait()
            raise Forbidden("The password is wrong.")

    guesses = [asyncio.create_task(guess()) for _ in range(10)]
    await asyncio.sleep(0)
    begun.set()
    ends = await asyncio.gather(*guesses, return_exceptions=True)
    assert [type(end) for end in ends] == [Forbidden] * 3 + [RateLimited] * 7
    with pytest.raises(RateLimited):
        async with passwords.guess("ANN@example.com", "::2"):
            raise AssertionError("it was let in")
    passwords.close()


async def test_a_right_guess_and_one_that_could_not_be_looked_at_do_not_count() -> None:
    passwords = Passwords(Limits(sign_in_failures_per_account=1), lambda: 0.0)
    async with passwords.guess("ann@example.com", None) as guess:
        guess.right()
    with pytest.raises(OSError):
        async with passwords.guess("ann@example.com", None):
            raise OSError
    async with passwords.guess("ann@example.com", None):
        pass
    passwords.close()
