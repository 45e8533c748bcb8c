"""Passwords: the threads that hash them, whose turn it is, and the counting of guesses.

Failures are counted before the password is looked at, so that many guesses at once are not cheaper than one after
another. The hashing itself is in `chatserver.verbs.keys`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from chatserver.core.addresses import site_or_itself
from chatserver.core.bounded import Bounded
from chatserver.core.errors import Forbidden, RateLimited, Unauthenticated, Unavailable
from chatserver.core.people import Login
from chatserver.core.prices import AddressBuckets, Buckets
from chatserver.verbs import keys
from chatserver.verbs.prices import Prices
from chatserver.verbs.turns import WAITING_MAX, Line, Turns

V = TypeVar("V")

THREADS = 2
"""Each hash takes 35 ms of a core and 19 MiB."""
SIGN_IN, REGISTRATION = 0, 1
"""The lines before the threads: who has an account goes first."""
REGISTERING_MAX = THREADS - 1
"""Registrations hashed at once: the other thread is there for whoever signs in."""

ONE_PLACE = 0.6
"""Of the guesses at an account that strangers have in a minute, so many may come from one address, beyond the first burst:
with all of them one address kept its owner out of every new device for as long as it went on."""

NEWCOMERS = 0.4
"""Of an account's guesses, so many wait for whoever has guessed little at it: or the two addresses that guess all day take each
one as it comes back, and the owner, who has not guessed at all, is kept out of every new device. To take these as well
somebody needs a new address for each five guesses: one is worth a minute a day."""

DAY_S = 86_400

OPERATOR = "operator"
"""Who pays for what is done on the command line."""

_NOT_NOW = "Passwords cannot be looked at for the moment."

PLACES_REMEMBERED = 50_000
"""Pairs of account and address that knew the password."""


class Passwords:
    """Hashes, compares, and counts who guesses."""

    def __init__(self, prices: Prices) -> None:
        self.prices = prices
        self._clock_s = prices.clock_s
        limits = prices.limits
        by_account = limits.sign_in_failures_per_account
        by_address = limits.sign_in_failures_per_address
        self._strangers = Buckets(by_account / 60, by_account, metered=limits.meter)
        """By account, from wherever."""
        self._one_place = Buckets(ONE_PLACE * by_account / 60, by_account, metered=limits.meter)
        """By account and address (or site)."""
        self._fresh = Buckets(by_account / DAY_S, by_account, metered=limits.meter)
        """By account and address (or site): whose guesses are few enough to be a newcomer's."""
        self._kept = int(NEWCOMERS * by_account)
        self._own = Buckets(by_account / 60, by_account, metered=limits.meter)
        """Of logins, of browsers that had one, of places that knew the password: out of a stranger's reach."""
        self._addresses = AddressBuckets(by_address / 60, by_address, metered=limits.meter)
        self.announce: Callable[[str], object] = _nobody
        """Tells the other nodes of a place (`note_place`); they know it by itself where there are none."""
        self._places: Bounded[str, bool] = Bounded(PLACES_REMEMBERED)
        waiting = limits.hashing_per_address if limits.meter else WAITING_MAX
        self._turns = Turns(
            THREADS,
            Line(THREADS, THREADS, waiting, "Too many sign-ins come from this address."),
            Line(REGISTERING_MAX, 1, waiting, "Too many registrations come from this address."),
        )
        self._threads = ThreadPoolExecutor(THREADS, "password")

    async def hash(self, password: str, payer: str, line: int = SIGN_IN) -> str:
        """The PHC string to keep. `payer` is the address, or the user, whose turn it takes; all addresses of a site take one.

        Raises `RateLimited` or `Unavailable` where too many wait.
        """
        async with self._turns.turn(site_or_itself(payer), line):
            return await self._in_thread(keys.hash_password, password)

    async def matches(self, password: str, phc: str | None, payer: str) -> bool:
        """Whether `phc` was made of `password`; without `phc` the same work, and False. Raises as `hash`."""
        async with self._turns.turn(site_or_itself(payer), SIGN_IN):
            matches = await self._in_thread(keys.password_matches, password, phc or keys.NOBODY)
        return matches and phc is not None

    async def _in_thread(self, work: Callable[..., V], *arguments: str) -> V:
        try:
            hashing = asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
        except RuntimeError as error:  # a thread could not be started, or none is any more
            raise Unavailable(_NOT_NOW) from error
        try:
            return await hashing
        except MemoryError as error:  # a hash takes 19 MiB
            raise Unavailable(_NOT_NOW) from error

    # Guesses.

    def guess(self, email: str, address: str, device: str | None) -> Guess:
        """What a guess at the password of this account is to be wrapped in.

        `device` is the id of an earlier login to this very account whose cookie the browser holds: then the guess counts
        in that browser's own bucket alone. Any other counts for the address, and for the two together; and for the
        account, unless somebody has signed in to it from this address before. Some of the account's are for newcomers alone.
        """
        if device is not None:
            return Guess([(self._own, f"device {device}", 0)], self._clock_s)
        place = _place(email, address)
        counts: list[tuple[Buckets, str, int]] = [(self._addresses, address, 0)]
        if self._places.get(place) is not None:
            counts.append((self._own, place, 0))
            return Guess(counts, self._clock_s)
        place = _place(email, site_or_itself(address))
        is_fresh = not self._fresh.wait_s(place, self._clock_s())
        if is_fresh:
            counts.append((self._fresh, place, 0))
        kept = 0 if is_fresh else self._kept
        counts += [(self._strangers, account_key(email), kept), (self._one_place, place, 0)]
        return Guess(counts, self._clock_s)

    def guess_again(self, login: Login) -> Guess:
        """As `guess`, where somebody who is signed in is asked for the password again: counted for their login.

        All tokens of a user count as one, since whoever has a login can make many.
        """
        key = login.id if login.kind == "cookie" else f"tokens of {login.user_id}"
        return Guess([(self._own, f"login {key}", 0)], self._clock_s)

    def remember_place(self, email: str, address: str) -> None:
        """Somebody at this address knew the password."""
        self.note_place(_place(email, address))
        self.announce(_place(email, address))

    def note_place(self, place: str) -> None:
        """Another node says that somebody there knew the password."""
        self._places.put(place, True)

    def shared(self) -> dict[str, Buckets]:
        """The buckets that count for all nodes together, by name."""
        return {
            "strangers": self._strangers,
            "one place": self._one_place,
            "fresh": self._fresh,
            "own": self._own,
            "guessers": self._addresses,
        }

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class Guess:
    """One guess at a password: counted as a failure from its beginning, until it turns out right.

    Ends uncounted too where it could not be looked at, for want of the store. `counts` are buckets, their keys, and how much
    has to be left in each.
    """

    def __init__(
        self, counts: list[tuple[Buckets, str, int]], clock_s: Callable[[], float]
    ) -> None:
        self._counts = counts
        self._clock_s = clock_s

    async def __aenter__(self) -> Guess:
        now_s = self._clock_s()
        wait_s = max(bucket.wait_s(key, now_s, 1 + left) for bucket, key, left in self._counts)
        if wait_s:
            raise RateLimited("Too many failed attempts: try again later.", wait_s)
        for bucket, key, _ in self._counts:
            bucket.take(key, now_s)
        return self

    def right(self) -> None:
        """The guess was right: it does not count."""
        for bucket, key, _ in self._counts:
            bucket.give_back(key)

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None and not issubclass(kind, (Unauthenticated, Forbidden)):
            self.right()


def _nobody(place: str) -> None:
    """Whom a node tells that knows no other."""


def account_key(email: str) -> str:
    """What stands for an email address in counts and logs: not the address itself."""
    return hashlib.sha256(email.casefold().encode()).hexdigest()


def _place(email: str, address: str) -> str:
    return f"{account_key(email)} {address}"
