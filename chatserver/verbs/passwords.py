"""Passwords: the threads that hash them, and the counting of guesses and of registrations.

Failures are counted by account and by address before the password is looked at, so that many guesses at once are
not cheaper than one after another. The hashing itself is in `chatserver.verbs.keys`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from chatserver.core.errors import Forbidden, RateLimited, Unauthenticated, Unavailable
from chatserver.core.limits import Limits
from chatserver.core.prices import Buckets
from chatserver.verbs import keys

V = TypeVar("V")

HASHING_WAIT_MAX = 2048
"""Passwords that may wait for a thread: above the burst of registrations that one address may send."""


class Passwords:
    """Hashes, compares, and counts who guesses. `clock_s` is monotonic seconds."""

    def __init__(self, limits: Limits, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        by_account = limits.sign_in_failures_per_account
        by_address = limits.sign_in_failures_per_address
        self._account_failures = Buckets(by_account / 60, by_account)
        self._address_failures = Buckets(by_address / 60, by_address)
        self._registrations = Buckets(limits.register_rate, limits.register_burst)
        self._threads = ThreadPoolExecutor(2, "password")
        self._hashing = 0

    async def hash(self, password: str) -> str:
        """The PHC string to keep. Raises `Unavailable` where too many wait."""
        return await self._in_thread(keys.hash_password, password)

    async def matches(self, password: str, phc: str | None) -> bool:
        """Whether `phc` was made of `password`; without `phc` the same work, and False."""
        matches = await self._in_thread(keys.password_matches, password, phc or keys.NOBODY)
        return matches and phc is not None

    async def _in_thread(self, work: Callable[..., V], *arguments: str) -> V:
        if self._hashing >= HASHING_WAIT_MAX:
            raise Unavailable("Too many people are signing in at once.", 10)
        self._hashing += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, work, *arguments)
        finally:
            self._hashing -= 1

    def guess(self, email: str, address: str | None) -> Guess:
        """What a guess at the password of this account is to be wrapped in; `address` is the guesser's."""
        counts = [(self._account_failures, account_key(email))]
        if address is not None:
            counts.append((self._address_failures, address))
        return Guess(counts, self._clock_s)

    def pay_registration(self, address: str) -> None:
        """Count a registration from this address. Raises `RateLimited`."""
        wait_s = self._registrations.take(address, self._clock_s())
        if wait_s:
            raise RateLimited("Too many registrations from this address.", wait_s)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Guess:
    """One guess at a password: counted as a failure from its beginning, until it turns out right.

    Ends uncounted too where it could not be looked at, for want of the store.
    """

    def __init__(self, counts: list[tuple[Buckets, str]], clock_s: Callable[[], float]) -> None:
        self._counts = counts
        self._clock_s = clock_s

    async def __aenter__(self) -> Guess:
        now_s = self._clock_s()
        wait_s = max(bucket.wait_s(key, now_s) for bucket, key in self._counts)
        if wait_s:
            raise RateLimited("Too many failed attempts: try again later.", wait_s)
        for bucket, key in self._counts:
            bucket.take(key, now_s)
        return self

    def right(self) -> None:
        """The guess was right: it does not count."""
        for bucket, key in self._counts:
            bucket.give_back(key)

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None and not issubclass(kind, (Unauthenticated, Forbidden)):
            self.right()


def account_key(email: str) -> str:
    """What stands for an email address in counts and logs: not the address itself."""
    return hashlib.sha256(email.casefold().encode()).hexdigest()
