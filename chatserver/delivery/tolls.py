"""What a request costs before anything is done for it, and whose bucket pays: the user's where the login is known, else the
address's.

A login that turns out to be good only while the request is answered has its user pay then, and the address gets back what
it paid: thousands behind one address who come back after a restart do not use it up. The unit is a request that a handler
answers, some 0.7 ms.
"""

from __future__ import annotations

from collections.abc import Callable

from chatserver.core.errors import RateLimited
from chatserver.core.limits import Limits
from chatserver.core.prices import AddressBuckets, Buckets

REQUEST = 1.0
FILE = 0.5
"""A file of the page: a page asks for some fifty of them at once."""
POLL = 0.1
"""Answered past the handlers."""

PATIENCE_S = 5.0
"""So long a page or a file is held back until it can be paid, rather than refused: a page without one of its files does
not run, and no browser asks for a file again."""

REST_S = 1.0
"""A connection whose request was refused is not read for so long: a refusal costs nearly as much as an answer. One of a trusted
proxy ends instead, since it brings what others ask as well."""

IN_DEBT_S = 60.0
"""So far a user may owe for logins that were not known: far less than may be signed in."""


OF_ADDRESS = "Too many requests come from this address."


class Tolls:
    """The buckets of users and addresses. `clock_s` is monotonic seconds."""

    def __init__(self, limits: Limits, clock_s: Callable[[], float]) -> None:
        metered, of_address = limits.meter, limits.http_burst_per_address
        # Whoever may have more connections may ask over each of them.
        of_user = max(limits.http_burst, 2 * limits.connections_per_user)
        self._users = Buckets(limits.http_rate, of_user, metered=metered)
        self._addresses = AddressBuckets(limits.http_rate_per_address, of_address, metered=metered)
        self._clock_s = clock_s
        self.metered = metered
        """Whether anything costs anything."""
        self.held = 0
        """Requests that were held back until they could be paid."""
        self.refused = 0

    def shared(self) -> dict[str, Buckets]:
        """The buckets that count for all nodes together, by name."""
        return {"requests of users": self._users, "requests of addresses": self._addresses}

    def user_pays(self, user_id: str, cost: float, patience_s: float = 0.0) -> float:
        """The seconds to hold the request back, up to `patience_s`. Raises `RateLimited`, and nothing is taken then."""
        wait_s = self._users.borrow(user_id, self._clock_s(), cost, patience_s)
        return self._judge(wait_s, patience_s, "You are asking too fast.")

    def address_pays(self, address: str, cost: float, patience_s: float = 0.0) -> float:
        """As `user_pays`, for somebody who is not known to be signed in."""
        wait_s = self._addresses.borrow(address, self._clock_s(), cost, patience_s)
        return self._judge(wait_s, patience_s, OF_ADDRESS)

    def address_must_have(self, address: str, cost: float, patience_s: float = 0.0) -> None:
        """As `address_pays`, and nothing is taken."""
        wait_s = self._addresses.wait_s(address, self._clock_s(), cost)
        if patience_s < wait_s:
            self._judge(wait_s, patience_s, OF_ADDRESS)

    def user_pays_instead(self, address: str, cost: float, user_id: str) -> None:
        """It was a user whose login was not known. What has been done cannot be refused: it is owed, where need be."""
        self._addresses.give_back(address, cost)
        self._users.borrow(user_id, self._clock_s(), cost, IN_DEBT_S)

    def _judge(self, wait_s: float, patience_s: float, refusal: str) -> float:
        if wait_s > patience_s:
            self.refused += 1
            raise RateLimited(refusal, wait_s)
        self.held += wait_s > 0
        return wait_s
