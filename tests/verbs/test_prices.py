"""Which rates hold for all nodes together."""

from __future__ import annotations

from chatserver.core.limits import Limits
from chatserver.core.prices import Till
from chatserver.verbs.passwords import Passwords
from chatserver.verbs.prices import Prices


def test_every_rate_counts_at_all_nodes_but_that_of_messages_which_are_followed() -> None:
    prices = Prices(Limits(), lambda: 0.0)
    tills = {name: till for name, till in vars(prices).items() if isinstance(till, Till)}
    shared = prices.shared()
    del tills["sending"]
    expected = {
        f"{name} {n}": b for name, till in tills.items() for n, b in enumerate(till.buckets)
    }
    assert shared == expected and len({id(bucket) for bucket in shared.values()}) == len(shared)


async def test_a_guess_counts_at_all_nodes_whoever_it_is_counted_for() -> None:
    passwords = Passwords(Prices(Limits(), lambda: 0.0))
    try:
        shared = passwords.shared()
        passwords.remember_place("bob@example.com", "home")
        strangers = {"strangers", "one place", "fresh", "guessers"}
        for email, names in (("ann", strangers), ("bob", {"own", "guessers"})):
            guess = passwords.guess(f"{email}@example.com", "home", None)
            counted = {id(bucket) for bucket, *_ in guess._counts}
            assert {name for name, bucket in shared.items() if id(bucket) in counted} == names
    finally:
        passwords.close()
