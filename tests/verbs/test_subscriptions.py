"""Where a browser may be called: what is an address of a push service, and for how long it is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chatserver.core.errors import InvalidField, RateLimited, Unauthenticated
from chatserver.core.limits import Limits
from chatserver.core.people import Login
from chatserver.verbs import alerts
from chatserver.verbs.alerts import ENDPOINT_CHARS, Alerts
from tests.support.pushservice import PushBrowser
from tests.verbs.test_accounts import opened, person

ENDPOINT = "https://push.example.com/1"


def browser(endpoint: object = ENDPOINT, **more: object) -> dict[str, Any]:
    return {"endpoint": endpoint, **PushBrowser().keys(), **more}


async def test_a_subscription_stands_until_its_browser_takes_it_back(data: Path) -> None:
    async with opened(data) as house:
        ann = await person(house, "ann")
        login = await house.sessions.begin(ann.id, 0, "")
        announced: list[str] = []
        house.alerts.announce = announced.append
        fields = browser()
        await house.alerts.subscribe(login, fields)
        (kept,) = await house.store.subscriptions(ann.id)
        assert (kept.endpoint, kept.login_id) == (ENDPOINT, login.id)
        assert (kept.p256dh, kept.auth) == (fields["p256dh"], fields["auth"])
        assert announced == [ann.id] and house.alerts._subscribers == {ann.id}
        await house.alerts.unsubscribe(ann.id, {"endpoint": ENDPOINT})
        assert await house.store.subscriptions(ann.id) == []


async def test_a_login_that_has_ended_gets_no_subscription(data: Path) -> None:
    async with opened(data) as house:
        ann = await person(house, "ann")
        login = await house.sessions.begin(ann.id, 0, "")
        await house.sessions.end(login)
        with pytest.raises(Unauthenticated):
            await house.alerts.subscribe(login, browser())
        assert await house.store.subscriptions(ann.id) == []


async def test_one_subscription_too_many_ends_the_oldest(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "SUBSCRIPTIONS_MAX", 2)
    async with opened(data) as house:
        login = await house.sessions.begin((await person(house, "ann")).id, 0, "")
        for n in range(3):
            house.alerts._clock_ms = lambda at_ms=n: at_ms  # type: ignore[misc]
            await house.alerts.subscribe(login, browser(f"https://push.example.com/{n}"))
        kept = await house.store.subscriptions(login.user_id)
        assert {each.endpoint[-1] for each in kept} == {"1", "2"}


ANYWHERE = [
    *(None, 1, "", "push", "ftp://push.example.com/a", "https://u:p@push.example.com/a"),
    *("https://push.example.com/#f", "https://\u00e9.example.com/", "https://a.example.com/\t"),
    *("https://[push.example.com/", "https://push.example.com:99999/", "https:///a"),
    f"https://push.example.com/{'a' * ENDPOINT_CHARS}",
]
FROM_AFAR = [
    *("http://push.example.com/a", "https://localhost/a", "https://push/a", "https://a.local/"),
    *("https://a.localhost./a", "https://127.0.0.1/a", "https://10.0.0.1/a", "https://[::1]/a"),
    *("https://169.254.169.254/latest", "https://224.0.0.251/a"),
]


FROM_HERE = ["https://push.example.com:8443/a?b", "https://8.8.8.8/a"]


async def refusal(alerts: Alerts, login: Login, endpoint: object) -> str | None:
    """The field for which this address is refused; None where it is taken."""
    try:
        await alerts.subscribe(login, browser(endpoint))
    except InvalidField as error:
        return error.field
    return None


async def test_a_server_for_others_asks_no_address_of_its_own_network(data: Path) -> None:
    async with opened(data, Limits(meter=False)) as house:
        login = await house.sessions.begin((await person(house, "ann")).id, 0, "")
        sender: Any = house.alerts._sender
        for sender.local, refused in ((False, [*ANYWHERE, *FROM_AFAR]), (True, ANYWHERE)):
            for endpoint in [*ANYWHERE, *FROM_AFAR, *FROM_HERE]:
                expected = "endpoint" if endpoint in refused else None
                assert await refusal(house.alerts, login, endpoint) == expected, endpoint
        kept = {one.endpoint for one in await house.store.subscriptions(login.user_id)}
        assert kept == {*FROM_AFAR, *FROM_HERE}


async def test_only_an_address_is_taken_back(data: Path) -> None:
    async with opened(data) as house:
        for endpoint in (None, 1, "", "a" * (ENDPOINT_CHARS + 1), "https://\u00e9/", "\ud800"):
            with pytest.raises(InvalidField) as refused:
                await house.alerts.unsubscribe("ann", {"endpoint": endpoint})
            assert refused.value.field == "endpoint"


async def test_taking_back_what_is_not_there_is_paid_for(data: Path) -> None:
    async with opened(data) as house:
        taken = 0
        with pytest.raises(RateLimited):
            for _ in range(1000):
                await house.alerts.unsubscribe("ann", {"endpoint": ENDPOINT})
                taken += 1
        assert taken >= 20, "all of one's browsers at once"


NO_KEYS: tuple[tuple[str, object], ...] = (
    *(("p256dh", None), ("p256dh", "A" * 87), ("p256dh", "!" * 87), ("auth", 1)),
    *(("auth", "A" * 20), ("auth", "A" * 5000)),
)


async def test_a_browser_that_could_not_decrypt_is_not_subscribed(data: Path) -> None:
    async with opened(data) as house:
        login = await house.sessions.begin((await person(house, "ann")).id, 0, "")
        for field, given in NO_KEYS:
            with pytest.raises(InvalidField) as refused:
                await house.alerts.subscribe(login, browser(**{field: given}))
            assert refused.value.field == field
        assert await house.store.subscriptions(login.user_id) == []


async def test_wishes_stay_until_they_are_changed_and_name_a_zone_that_there_is(data: Path) -> None:
    async with opened(data) as house:
        ann = await person(house, "ann")
        before = await house.alerts.wishes(ann.id)
        assert before["quietFrom"] == before["quietTo"] and before["key"]
        changed = await house.alerts.wish(ann.id, {"zone": "Asia/Kathmandu", "quietTo": 60})
        assert changed == {**before, "zone": "Asia/Kathmandu", "quietTo": 60}
        for zone in ("Asia/Nowhere", "/etc/passwd", "../UTC", "Asia"):
            with pytest.raises(InvalidField) as refused:
                await house.alerts.wish(ann.id, {"zone": zone, "text": True})
            assert refused.value.field == "zone"
        assert await house.alerts.wishes(ann.id) == changed


async def test_settings_are_not_changed_in_a_loop(data: Path) -> None:
    async with opened(data) as house:
        login = await house.sessions.begin((await person(house, "ann")).id, 0, "")
        with pytest.raises(RateLimited):
            for _ in range(40):
                await house.alerts.wish(login.user_id, {"text": True})
        with pytest.raises(RateLimited):
            await house.alerts.subscribe(login, browser())
