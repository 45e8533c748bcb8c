"""Registering, signing in and out, profile, password, tokens, devices, leaving."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from chatserver.core.fields import contrast_on_white
from tests.site.conftest import PASSWORD, Browser, problem
from tests.support.process import ServerProcess


def sign_in(http: httpx.Client, email: str, password: str = PASSWORD) -> httpx.Response:
    return http.post("/api/login", json={"email": email, "password": password})


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_registering_signs_in_and_gives_a_readable_colour(browser: Callable[..., Browser]) -> None:
    one = browser("<b>Eve</b>")
    assert one.user["name"] == f"<b>Eve</b> {one.user['lastName']}"
    assert contrast_on_white(one.user["color"]) >= 4.5
    assert one.http.get("/api/me").json() == {"user": one.user}
    assert one.user["email"] == one.email


def test_an_email_address_is_taken_whatever_its_case(
    browser: Callable[..., Browser], http: httpx.Client
) -> None:
    one = browser()
    again = {"email": one.email.upper(), "password": PASSWORD, "firstName": "A", "lastName": ""}
    problem(http.post("/api/register", json=again), 409, "conflict")
    assert sign_in(http, one.email.upper()).json()["user"]["id"] == one.id


def test_a_wrong_password_and_an_unknown_account_are_answered_alike(
    browser: Callable[..., Browser], http: httpx.Client
) -> None:
    one = browser()
    wrong = sign_in(http, one.email, "not this one")
    unknown = sign_in(http, "nobody@example.com", "not this one")
    problem(wrong, 401, "unauthenticated")
    assert wrong.content == unknown.content
    assert "set-cookie" not in wrong.headers


def test_signing_out_ends_this_session_only(
    browser: Callable[..., Browser], http: httpx.Client
) -> None:
    one = browser()
    sign_in(http, one.email)
    cookie = one.http.headers["Cookie"] = f"chatserver={one.http.cookies['chatserver']}"
    answer = one.http.post("/api/logout", json={})
    assert answer.status_code == 204 and "Max-Age=0" in answer.headers["set-cookie"]
    problem(one.http.get("/api/me", headers={"Cookie": cookie}), 401, "unauthenticated")
    assert http.get("/api/me").status_code == 200


def test_a_changed_profile_is_told_to_oneself_and_to_friends(
    browser: Callable[..., Browser],
) -> None:
    one, friend, stranger = browser(), browser(), browser()
    one.befriend(friend)
    change = {"firstName": "Zo\u00eb", "lastName": "", "color": "#aa0000"}
    changed = one.http.patch("/api/me", json=change).json()["user"]
    assert changed == {**one.user, **change, "name": "Zo\u00eb"}
    public = {name: value for name, value in changed.items() if name not in ("email", "zone")}
    for told in (one, friend):
        assert [e["user"] for e in told.events() if e["type"] == "profile"] == [public]
    assert [e for e in stranger.events() if e["type"] == "profile"] == []
    one.http.post("/api/messages", json={"text": "hi"})
    assert friend.events()[-1]["from"] == {"id": one.id, "name": "Zo\u00eb", "color": "#aa0000"}


def test_a_change_that_is_partly_wrong_changes_nothing(browser: Callable[..., Browser]) -> None:
    one = browser()
    answer = one.http.patch("/api/me", json={"firstName": "New", "color": "#ffffff"})
    problem(answer, 422, "invalid_field")
    wrong = {"firstName": "New", "password": "another one", "currentPassword": "not this one"}
    problem(one.http.patch("/api/me", json=wrong), 403, "forbidden")
    problem(one.http.patch("/api/me", json={}), 400, "bad_request")
    assert one.http.get("/api/me").json() == {"user": one.user}
    assert one.events() == []


def test_a_new_password_ends_other_sessions_and_all_tokens(
    browser: Callable[..., Browser], http: httpx.Client
) -> None:
    one = browser()
    sign_in(http, one.email)
    token = one.http.post("/api/tokens", json={"label": "a"}).json()["token"]
    change = {"password": "a better horse", "currentPassword": PASSWORD}
    assert one.http.patch("/api/me", json=change).status_code == 200
    assert one.http.get("/api/me").status_code == 200
    problem(http.get("/api/me"), 401, "unauthenticated")
    problem(http.get("/api/me", headers=bearer(token)), 401, "unauthenticated")
    problem(sign_in(http, one.email), 401, "unauthenticated")
    assert sign_in(http, one.email, "a better horse").status_code == 200


def test_a_token_signs_in_until_it_is_deleted(
    browser: Callable[..., Browser], http: httpx.Client
) -> None:
    one = browser()
    made = one.http.post("/api/tokens", json={"label": "script", "expiresIn": 3600})
    assert made.status_code == 201
    token = made.json()
    assert token.keys() == {"id", "token", "label", "expiresAt"}
    assert 3_500_000 < token["expiresAt"] - time.time() * 1000 <= 3_600_000
    listed = one.http.get("/api/tokens").json()["tokens"]
    assert [row["id"] for row in listed] == [token["id"]]
    assert token["token"] not in str(listed)
    assert http.get("/api/me", headers=bearer(token["token"])).status_code == 200
    assert one.http.delete(f"/api/tokens/{token['id']}").status_code == 204
    problem(http.get("/api/me", headers=bearer(token["token"])), 401, "unauthenticated")
    problem(one.http.delete(f"/api/tokens/{token['id']}"), 404, "not_found")


def test_signing_out_with_a_token_revokes_the_token(
    browser: Callable[..., Browser], http: httpx.Client
) -> None:
    one = browser()
    token = one.http.post("/api/tokens", json={"label": "a"}).json()["token"]
    assert http.post("/api/logout", headers=bearer(token)).status_code == 204
    problem(http.get("/api/me", headers=bearer(token)), 401, "unauthenticated")
    assert one.http.get("/api/me").status_code == 200


def test_devices_are_listed_and_can_be_signed_out(
    browser: Callable[..., Browser], http: httpx.Client
) -> None:
    one = browser("Test", **{"User-Agent": "First/1"})
    http.headers["User-Agent"] = "Second/2"
    sign_in(http, one.email)
    rows = {row["userAgent"]: row for row in one.http.get("/api/sessions").json()["sessions"]}
    assert rows.keys() == {"First/1", "Second/2"}
    assert (rows["First/1"]["current"], rows["Second/2"]["current"]) == (True, False)
    assert one.http.delete(f"/api/sessions/{rows['Second/2']['id']}").status_code == 204
    problem(http.get("/api/me"), 401, "unauthenticated")
    problem(browser().http.delete(f"/api/sessions/{rows['First/1']['id']}"), 404, "not_found")
    assert one.http.get("/api/me").status_code == 200


def test_a_deleted_account_is_gone_with_what_it_wrote(
    browser: Callable[..., Browser], http: httpx.Client
) -> None:
    one, friend, asked = browser(), browser(), browser()
    one.befriend(friend)
    one.http.put(f"/api/friends/{asked.id}")
    one.http.post("/api/messages", json={"text": "remember me"})
    problem(one.http.request("DELETE", "/api/me", json={"password": "no no no"}), 403, "forbidden")
    gone = one.http.request("DELETE", "/api/me", json={"password": PASSWORD})
    assert gone.status_code == 204
    problem(one.http.get("/api/me"), 401, "unauthenticated")
    problem(sign_in(http, one.email), 401, "unauthenticated")
    assert friend.http.get("/api/messages").json()["messages"] == []
    assert friend.http.get("/api/friends").json()["friends"] == []
    assert asked.http.get("/api/friends").json()["incoming"] == []
    told = [event for event in friend.events() if event["type"] == "friend"]
    assert told[-1]["user"]["id"] == one.id and told[-1]["relation"] == "none"
    problem(friend.http.put(f"/api/friends/{one.id}"), 404, "not_found")


@pytest.fixture
def strict(data: Path) -> Iterator[ServerProcess]:
    """A server of one's own, where few mistakes are allowed."""
    sign_in = ("--sign-in-failures-per-account", "2", "--sign-in-failures-per-address", "4")
    register = ("--register-burst", "3", "--register-rate", "0.001")
    with ServerProcess(data, *sign_in, *register) as running:
        yield running


def test_failed_sign_ins_and_registrations_are_limited(strict: ServerProcess) -> None:
    one, other, third = (Browser(strict.url) for _ in range(3))
    with (
        httpx.Client(base_url=strict.url) as http,
        closing(other.http),
        closing(third.http),
        closing(one.http),
    ):
        again = {"email": "d@example.com", "password": PASSWORD, "firstName": "D"}
        refused = http.post("/api/register", json=again)
        problem(refused, 429, "rate_limited")
        assert refused.headers["retry-after"] == str(refused.json()["retryAfter"])
        for _ in range(5):
            assert sign_in(http, one.email).status_code == 200
        http.cookies.clear()
        for _ in range(2):
            problem(sign_in(http, one.email, "not this"), 401, "unauthenticated")
        # Counted for the account: the right password does not help now, another account is free.
        problem(sign_in(http, one.email), 429, "rate_limited")
        assert sign_in(http, other.email).status_code == 200
        http.cookies.clear()
        for _ in range(2):
            problem(sign_in(http, "x@example.com", "not this"), 401, "unauthenticated")
        problem(sign_in(http, other.email), 429, "rate_limited")
        # The owner's browser goes on: it signs in again, and changes the password.
        assert sign_in(one.http, one.email).status_code == 200
        change = {"password": "a better horse", "currentPassword": PASSWORD}
        assert one.http.patch("/api/me", json=change).status_code == 200
        # A guess at the password inside a session counts for that session.
        wrong = {"password": "a better horse", "currentPassword": "not this"}
        for _ in range(2):
            problem(other.http.patch("/api/me", json=wrong), 403, "forbidden")
        problem(other.http.patch("/api/me", json=wrong), 429, "rate_limited")
    log = "\n".join(strict.log)
    assert "failed sign-in" in log and one.email not in log and PASSWORD not in log


def test_signing_out_without_an_origin_is_json(browser: Callable[..., Browser]) -> None:
    """An old browser lets a foreign page's script send an empty POST with the cookie, and says no `Origin` with it."""
    one = browser()
    for headers in ({}, {"Content-Type": "text/plain"}, {"Sec-Fetch-Site": "same-site"}):
        answer = one.http.post("/api/logout", headers=headers)
        problem(answer, 415, "unsupported_media_type")
    assert one.http.get("/api/me").status_code == 200
    own = {"Origin": str(one.http.base_url).rstrip("/")}
    assert one.http.post("/api/logout", headers=own).status_code == 204


def test_who_signs_in_again_leaves_no_session_behind(
    browser: Callable[..., Browser], server: ServerProcess
) -> None:
    """Whoever it was before: nobody could sign that login out any more from this browser."""
    one, other = browser(), browser()
    before = one.http.cookies["chatserver"]
    sign_in(one.http, one.email)
    again = one.http.cookies["chatserver"]
    sign_in(one.http, other.email)
    for cookie, status in ((before, 401), (again, 401), (one.http.cookies["chatserver"], 200)):
        answer = httpx.get(f"{server.url}/api/me", headers={"Cookie": f"chatserver={cookie}"})
        assert answer.status_code == status
    # What somebody else's browser has stays.
    assert other.http.get("/api/me").json()["user"]["id"] == other.id
    forged = {"Cookie": f"chatserver={again}x; __Host-chatserver=x"}
    body = {"email": one.email, "password": PASSWORD}
    assert httpx.post(f"{server.url}/api/login", headers=forged, json=body).status_code == 200


def test_a_time_zone_is_kept_for_oneself_alone_and_told_to_nobody(
    browser: Callable[..., Browser],
) -> None:
    one, friend = browser(), browser()
    one.befriend(friend)
    before = len(friend.events())
    assert one.user["zone"] == ""
    changed = one.http.patch("/api/me", json={"zone": "Asia/Kathmandu"}).json()["user"]
    assert changed["zone"] == "Asia/Kathmandu"
    assert one.http.get("/api/me").json()["user"]["zone"] == "Asia/Kathmandu"
    for wrong in ("Mars/Olympus", "../../etc/passwd", "Asia", "Asia/", "x" * 65, "/etc/localtime"):
        problem(one.http.patch("/api/me", json={"zone": wrong}), 422, "invalid_field")
    problem(one.http.patch("/api/me", json={"zone": 5}), 422, "invalid_field")
    assert one.http.get("/api/me").json()["user"]["zone"] == "Asia/Kathmandu"
    assert one.http.patch("/api/me", json={"zone": ""}).json()["user"]["zone"] == ""
    assert len(friend.events()) == before


def test_signing_out_everywhere_else_leaves_the_one_that_asks(
    browser: Callable[..., Browser], server: ServerProcess
) -> None:
    one, stranger = browser(), browser()
    elsewhere = [httpx.Client(base_url=server.url) for _ in range(2)]
    for client in elsewhere:
        sign_in(client, one.email)
    assert len(one.http.get("/api/sessions").json()["sessions"]) == 3
    assert one.http.delete("/api/sessions").status_code == 204
    (left,) = one.http.get("/api/sessions").json()["sessions"]
    assert left["current"] is True
    for client in elsewhere:
        problem(client.get("/api/me"), 401, "unauthenticated")
        client.close()
    assert stranger.http.get("/api/me").status_code == 200
