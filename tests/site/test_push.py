"""Being called, against a push service that decrypts: who is, when, with what, and how it ends."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.site.conftest import PASSWORD, Browser, problem
from tests.support.pushservice import Call, PushBrowser, PushService, verified


@pytest.fixture
def service() -> Iterator[PushService]:
    with PushService() as running:
        yield running


def subscribe(who: Browser, service: PushService, name: str = "a") -> PushBrowser:
    browser = PushBrowser()
    body = {"endpoint": f"{service.url}/{name}", **browser.keys()}
    assert who.http.put("/api/push", json=body).status_code == 204
    return browser


def wish(who: Browser, **wishes: Any) -> dict[str, Any]:
    answer = who.http.put("/api/alerts", json=wishes)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def say(who: Browser, text: str, to: Browser | None = None) -> int:
    body = {"text": text, **({"to": to.id} if to else {})}
    return int(who.http.post("/api/messages", json=body).json()["seq"])


def read(browser: PushBrowser, call: Call) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(browser.decrypt(call.body))
    return found


def two(browser: Callable[..., Browser]) -> tuple[Browser, Browser]:
    ann, bob = browser("Ann"), browser("Bob")
    ann.befriend(bob)
    return ann, bob


def test_who_is_away_is_called_once_for_a_burst_and_without_the_text(
    browser: Callable[..., Browser], service: PushService
) -> None:
    ann, bob = two(browser)
    phone = subscribe(bob, service)
    say(ann, "secret one", bob)
    seq = say(ann, "secret two", bob)
    (call,) = service.wait(1)
    told = read(phone, call)
    assert told.pop("at") > 0
    assert told == {"user": bob.id, "with": ann.id, "name": ann.user["name"], "seq": seq}
    headers = call.headers
    assert headers["content-encoding"] == "aes128gcm" and headers["ttl"] == "86400"
    assert len(headers["topic"]) == 32 and headers["urgency"] == "high"
    claims, key = verified(headers["authorization"])
    assert claims["aud"] == service.url and 0 < claims["exp"] - time.time() < 86400
    assert key == bob.http.get("/api/alerts").json()["key"]


def test_the_text_comes_where_the_account_says_so_and_broadcasts_call_all_friends(
    browser: Callable[..., Browser], service: PushService
) -> None:
    ann, bob = two(browser)
    cho = browser("Cho")
    ann.befriend(cho)
    phones = [subscribe(who, service, who.id) for who in (ann, bob, cho)]
    assert wish(bob, text=True)["text"] is True
    say(ann, "x" * 300)
    calls = {call.path: call for call in service.wait(2)}
    assert set(calls) == {f"/{bob.id}", f"/{cho.id}"}
    assert read(phones[1], calls[f"/{bob.id}"])["text"] == "x" * 200
    assert "text" not in read(phones[2], calls[f"/{cho.id}"])
    assert read(phones[2], calls[f"/{cho.id}"])["with"] is None


def test_muted_conversations_and_quiet_hours_are_quiet(
    browser: Callable[..., Browser], service: PushService
) -> None:
    ann, bob = two(browser)
    cho = browser("Cho")
    bob.befriend(cho)
    subscribe(bob, service)
    wish(bob, muted=[ann.id])
    say(ann, "not heard", bob)
    say(cho, "heard", bob)
    service.wait(1)
    hour = time.gmtime().tm_hour
    begins, ends = (hour - 1) % 24 * 60, (hour + 2) % 24 * 60
    wish(bob, quietFrom=begins, quietTo=ends, zone="UTC", muted=[])
    say(cho, "not heard", bob)
    say(ann, "not heard", bob)
    dee = browser("Dee")
    dee.befriend(cho)
    subscribe(dee, service, "dee")
    say(cho, "heard last", dee)
    assert [call.path for call in service.wait(2)] == ["/a", "/dee"]
    assert bob.http.get("/api/alerts").json()["quietFrom"] == begins


def test_a_service_that_knows_it_no_more_ends_the_subscription_and_a_busy_one_is_asked_again(
    browser: Callable[..., Browser], service: PushService
) -> None:
    ann, bob = two(browser)
    subscribe(bob, service)
    service.answers = [503, 201, 410]
    say(ann, "one", bob)
    service.wait(2)
    say(ann, "two", bob)
    service.wait(3)
    say(ann, "three", bob)
    cho = browser("Cho")
    ann.befriend(cho)
    subscribe(cho, service, "cho")
    say(ann, "four", cho)
    assert [call.path for call in service.wait(4)] == ["/a", "/a", "/a", "/cho"]


@pytest.mark.parametrize("end", ["logout", "session", "password", "unsubscribe"])
def test_a_subscription_ends_with_its_login(
    browser: Callable[..., Browser], service: PushService, end: str
) -> None:
    ann, bob = two(browser)
    subscribe(bob, service)
    other = browser("Other")
    other.http.post("/api/login", json={"email": bob.email, "password": PASSWORD})
    if end == "logout":
        assert bob.http.post("/api/logout", json={}).status_code == 204
    elif end == "session":
        (first,) = [
            one for one in other.http.get("/api/sessions").json()["sessions"] if not one["current"]
        ]
        other.http.delete(f"/api/sessions/{first['id']}")
    elif end == "password":
        body = {"password": PASSWORD + "!", "currentPassword": PASSWORD}
        assert other.http.patch("/api/me", json=body).status_code == 200
    else:
        bob.http.request("DELETE", "/api/push", json={"endpoint": f"{service.url}/a"})
    cho = browser("Cho")
    ann.befriend(cho)
    subscribe(cho, service, "cho")
    say(ann, "nobody but Cho hears this")
    assert [call.path for call in service.wait(1)] == ["/cho"]


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "push",
        "ftp://push.example/a",
        "https://u:p@push.example/a",
        "https://x/#f",
        "https://é/",
    ],
)
def test_what_is_no_address_of_a_push_service_is_refused(
    browser: Callable[..., Browser], endpoint: str
) -> None:
    body = {"endpoint": endpoint, **PushBrowser().keys()}
    answer = browser().http.put("/api/push", json=body)
    assert problem(answer, 422, "invalid_field")["field"] == "endpoint"
