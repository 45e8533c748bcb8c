"""Subscriptions to Web Push and wishes (chatserver/store/contract.py, `Alerts`), on each backend."""

from __future__ import annotations

from chatserver.core.alerts import Subscription
from tests.store.kit import Home, World, login, opened


def subscription(n: int, user: str = "ann", of: str = "c1") -> Subscription:
    return Subscription(f"https://push.example/{n}", user, of, f"key{n}", "auth", n)


async def _sign_in(world: World, *login_ids: str, user: str = "ann", generation: int = 0) -> None:
    for each in login_ids:
        assert await world.store.add_login(login(each, user, generation=generation))


async def _endpoints(world: World, user: str = "ann") -> list[str]:
    return [one.endpoint[-1] for one in await world.store.subscriptions(user)]


async def test_a_subscription_is_kept_once_and_the_newest_stay(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        await _sign_in(world, "c1")
        await _sign_in(world, "c2", user="bob")
        for n in (1, 2, 3, 2):
            assert await world.store.add_subscription(subscription(n), 2)
        assert await world.store.subscriptions("ann") == [subscription(2), subscription(3)]
        # The same browser, signed in as another: the older account hears nothing there any more.
        assert await world.store.add_subscription(subscription(3, "bob", "c2"), 2)
        assert await _endpoints(world) == ["2"] and await _endpoints(world, "bob") == ["3"]
        assert await world.store.subscribers() == {"ann", "bob"}
        await world.store.drop_subscription("ann", subscription(3).endpoint)
        await world.store.drop_subscription("bob", subscription(3).endpoint)
        assert await world.store.subscribers() == {"ann"}
    async with opened(home) as world:
        assert await world.store.subscriptions("ann") == [subscription(2)]


async def test_a_subscription_ends_with_its_login(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann")
        await _sign_in(world, "c1", "c2", "c3")
        for n in (1, 2, 3):
            await world.store.add_subscription(subscription(n, of=f"c{n}"), 20)
        await world.end_logins("ann", "c2")
        assert await _endpoints(world) == ["1", "3"]
        assert not await world.store.add_subscription(subscription(4, of="c2"), 20)
        await world.change_password("ann", "x", "c3")
        assert await _endpoints(world) == ["3"]
        await world.change_password("ann", "y", None)
        assert await _endpoints(world) == [] and await world.store.subscribers() == set()


async def test_an_account_that_ends_leaves_nothing_to_call(home: Home) -> None:
    async with opened(home) as world:
        await world.join("ann", "bob")
        await world.befriend("ann", "bob")
        await _sign_in(world, "c1")
        await world.store.add_subscription(subscription(1), 20)
        assert await world.store.wishes("ann") is None
        for wishes in ('{"text":true}', '{"text":false}'):
            await world.store.set_wishes("ann", wishes)
            assert await world.store.wishes("ann") == wishes
        await world.end("ann", "bob")
        assert await _endpoints(world) == [] and await world.store.wishes("ann") is None
        await world.store.set_wishes("ann", "{}")
        assert await world.store.wishes("ann") is None
