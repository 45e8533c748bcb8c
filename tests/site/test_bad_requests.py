"""Bad input gets the documented error, and the server goes on with a clean log (the fixture looks)."""

from __future__ import annotations

import socket
from collections.abc import Callable

import httpx
import pytest

from chatserver.site.api.table import TABLE
from tests.site.conftest import Browser, problem
from tests.support.process import ServerProcess

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"text": NaN}',
        b'{"text": Infinity}',
        b'{"text": "\xff"}',
        b"\xef\xbb\xbf{}",
        b'"text"',
        b"[]",
        b"null",
        b"[" * 60_000,
        b'{"a":' * 12_000,
    ],
)
def test_a_body_that_is_no_json_object_is_a_bad_request(
    browser: Callable[[], Browser], body: bytes
) -> None:
    problem(browser().http.post("/api/messages", content=body, headers=JSON), 400, "bad_request")


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("login", {"email": {"$gt": ""}, "password": "x"}, "email"),
        ("login", {"email": "a@example.com", "password": {"$ne": 1}}, "password"),
        ("login", {}, "email"),
        ("register", {"email": "a@b.c", "password": "short", "firstName": "A"}, "password"),
        (
            "register",
            {"email": "a@b.c", "password": "long enough", "firstName": "A\r\nB"},
            "firstName",
        ),
        (
            "register",
            {"email": "a@b.c", "password": "long enough", "firstName": ["A"]},
            "firstName",
        ),
    ],
)
def test_a_field_of_the_wrong_kind_is_named_signed_out(
    http: httpx.Client, path: str, body: object, field: str
) -> None:
    assert problem(http.post(f"/api/{path}", json=body), 422, "invalid_field")["field"] == field


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "messages", {}, "text"),
        ("POST", "messages", {"text": "  "}, "text"),
        ("POST", "messages", {"text": "x" * 4001}, "text"),
        ("POST", "messages", {"text": "a", "to": 7}, "to"),
        ("POST", "messages", {"text": "a", "clientId": ""}, "clientId"),
        ("POST", "tokens", {"label": "a", "expiresIn": 0}, "expiresIn"),
        ("POST", "tokens", {"label": "a", "expiresIn": True}, "expiresIn"),
        ("POST", "read", {"upTo": -1}, "upTo"),
        ("POST", "read", {"upTo": "7"}, "upTo"),
        ("POST", "typing", {"to": []}, "to"),
        ("PATCH", "me", {"color": "#ffff00"}, "color"),
        ("PATCH", "me", {"password": "another one"}, "currentPassword"),
        ("DELETE", "me", {}, "password"),
        ("GET", "messages?limit=201", None, "limit"),
        ("GET", "messages?before=x", None, "before"),
        ("GET", "users?q=" + "x" * 101, None, "q"),
    ],
)
def test_a_field_of_the_wrong_kind_is_named(
    browser: Callable[[], Browser], method: str, path: str, body: object, field: str
) -> None:
    answer = browser().http.request(method, f"/api/{path}", json=body)
    assert problem(answer, 422, "invalid_field")["field"] == field


@pytest.mark.parametrize("size_bytes", [65_537, 200_000, 1_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused_and_the_connection_lives(
    browser: Callable[[], Browser], size_bytes: int, chunked: bool
) -> None:
    one = browser()
    body = b"x" * size_bytes
    answer = one.http.post("/api/messages", content=iter([body]) if chunked else body, headers=JSON)
    problem(answer, 413, "too_large")
    assert one.http.get("/api/me").status_code == 200


def test_a_body_of_the_largest_size_is_read(browser: Callable[[], Browser]) -> None:
    body = b'{"text": "hello"' + b" " * (65_536 - 17) + b"}"
    assert browser().http.post("/api/messages", content=body, headers=JSON).status_code == 201


def test_a_huge_announced_body_is_refused_before_it_is_sent(server: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wire:
        wire.sendall(
            b"POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 99999999999\r\n\r\n"
        )
        answer = b""
        while part := wire.recv(4096):
            answer += part
    assert answer.startswith(b"HTTP/1.1 413 ") and b'"too_large"' in answer


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_body_of_another_media_type_is_refused(
    browser: Callable[[], Browser], media_type: str
) -> None:
    """Without an Origin this is all that keeps another site's form out."""
    headers = {"Content-Type": media_type} if media_type else {}
    answer = browser().http.post("/api/messages", content=b'{"text": "hi"}', headers=headers)
    problem(answer, 415, "unsupported_media_type")


FORMS = ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"]
"""What a form of another site can have sent."""


WRITING = [row for row in TABLE if row.method != "GET"]
"""Every address that changes something, method by method."""


def test_what_a_foreign_page_could_have_sent_unasked_changes_nothing_anywhere(
    browser: Callable[[], Browser], server: ServerProcess
) -> None:
    """With a cookie, without a body and without a word of whose page it was: an old browser's form or `sendBeacon`."""
    one = browser()
    assert len(WRITING) > 15
    for row in WRITING:
        path = row.path.replace("{id}", "x")
        unasked = [{"Content-Type": each} for each in FORMS] + [{}] * (row.method == "POST")
        for headers in [*unasked, *({**each, "Sec-Fetch-Site": "same-site"} for each in unasked)]:
            answer = one.http.request(row.method, f"{server.url}{path}", headers=headers)
            problem(answer, 415, "unsupported_media_type")
    assert one.http.get("/api/me").status_code == 200


@pytest.mark.parametrize("media_type", [*FORMS, None])
def test_our_own_page_and_a_script_with_json_need_no_body_anywhere(
    browser: Callable[[], Browser], server: ServerProcess, media_type: str | None
) -> None:
    one = browser()
    said = {} if media_type is None else {"Content-Type": media_type}
    for headers in (
        {**said, "Origin": server.url},
        {**said, "Sec-Fetch-Site": "same-origin"},
        JSON,
    ):
        for row in WRITING:
            path = row.path.replace("{id}", "x")
            answer = one.http.request(row.method, f"{server.url}{path}", headers=headers)
            assert answer.status_code not in (403, 415), (row.method, path, answer.text)


@pytest.mark.parametrize("media_type", [*FORMS, "application/octet-stream", "image/png"])
def test_where_a_token_is_brought_a_request_without_a_body_may_have_any_media_type(
    browser: Callable[[], Browser], http: httpx.Client, media_type: str
) -> None:
    """As aiohttp's `put`, `curl -d ''` and urllib's `data=b""` send it."""
    one, other = browser(), browser()
    token = one.http.post("/api/tokens", json={"label": "a"}).json()["token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": media_type}
    for method, path in (
        ("PUT", f"friends/{other.id}"),
        ("DELETE", f"friends/{other.id}"),
        ("POST", "logout"),
    ):
        answer = http.request(method, f"/api/{path}", headers=headers, content=b"")
        assert answer.status_code in (200, 204), answer.text
    problem(http.get("/api/me", headers=headers), 401, "unauthenticated")


def test_with_a_cookie_it_may_have_one_that_no_form_has_or_an_origin_of_ours(
    browser: Callable[[], Browser], server: ServerProcess
) -> None:
    one, other = browser(), browser()
    for headers in (
        {"Content-Type": "application/octet-stream"},
        {"Content-Type": FORMS[0], "Origin": server.url},
        {},
    ):
        answer = one.http.put(f"/api/friends/{other.id}", headers=headers, content=b"")
        assert answer.status_code == 200, answer.text
    foreign = {"Content-Type": "application/octet-stream", "Origin": "http://evil.example"}
    answer = one.http.put(f"/api/friends/{other.id}", headers=foreign, content=b"")
    problem(answer, 403, "forbidden")


def test_a_body_of_another_media_type_is_refused_with_a_token_too(
    browser: Callable[[], Browser], http: httpx.Client
) -> None:
    token = browser().http.post("/api/tokens", json={"label": "a"}).json()["token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": FORMS[0]}
    answer = http.post("/api/messages", content=b'{"text": "hi"}', headers=headers)
    problem(answer, 415, "unsupported_media_type")


@pytest.mark.parametrize(
    "length", ["\u00b2".encode("latin1"), b"9" * 5000, b"-1", b"+1", b"1_0", b"0x1"]
)
def test_a_length_that_is_no_number_is_a_bad_request(server: ServerProcess, length: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as wire:
        wire.sendall(
            b"POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: " + length + b"\r\n\r\n"
        )
        answer = b""
        while part := wire.recv(4096):
            answer += part
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize(
    "wait", ["nan", "inf", "-1", "1_0", "\u0661", "1e1", "9" * 5000, "1" + "0" * 9]
)
def test_seconds_are_written_in_plain_digits(browser: Callable[[], Browser], wait: str) -> None:
    problem(browser().http.get("/poll", params={"wait": wait}), 400, "bad_request")


def test_a_foreign_page_begins_no_websocket(browser: Callable[[], Browser]) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "Origin": "http://evil.example",
    }
    problem(browser().http.get("/ws", headers=upgrade), 403, "forbidden")


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
)
def test_a_foreign_page_is_refused_wherever_a_cookie_counts_or_is_set(
    browser: Callable[[], Browser], headers: dict[str, str]
) -> None:
    one = browser()
    for method, path in (
        ("POST", "/api/messages"),
        ("POST", "/api/login"),
        ("POST", "/api/register"),
        ("POST", "/api/logout"),
        ("DELETE", "/api/me"),
        ("GET", "/api/me"),
        ("GET", "/poll"),
        ("GET", "/events"),
        ("GET", "/ws"),
    ):
        body: dict[str, str] | None = None if method == "GET" else {}
        answer = one.http.request(method, path, headers=headers, json=body)
        problem(answer, 403, "forbidden")
    answer = one.http.post("/classic/messages", headers=headers, data={"text": "hi"})
    assert answer.status_code == 403
    assert one.http.get("/api/me").status_code == 200


def test_a_token_is_not_the_cookie_of_a_page_so_its_origin_does_not_matter(
    browser: Callable[[], Browser], http: httpx.Client
) -> None:
    token = browser().http.post("/api/tokens", json={"label": "a"}).json()["token"]
    headers = {"Authorization": f"Bearer {token}", "Origin": "http://elsewhere.example"}
    assert http.get("/api/me", headers=headers).status_code == 200
    body = {"email": "ann@example.com", "password": "demo-password"}
    problem(http.post("/api/login", headers=headers, json=body), 403, "forbidden")


def test_our_own_page_is_welcome(browser: Callable[[], Browser], server: ServerProcess) -> None:
    headers = {"Origin": server.url, "Sec-Fetch-Site": "same-origin"}
    assert browser().http.post("/api/typing", json={}, headers=headers).status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/api/messages", "GET, HEAD, POST"),
        ("OPTIONS", "/api/me", "GET, HEAD, PATCH, DELETE"),
        ("BREW", "/api/login", "POST"),
        ("POST", "/healthz", "GET, HEAD"),
    ],
)
def test_another_method_is_told_which_ones_there_are(
    http: httpx.Client, method: str, path: str, allow: str
) -> None:
    answer = http.request(method, path)
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == allow


def test_half_a_surrogate_pair_is_no_text(browser: Callable[[], Browser]) -> None:
    one = browser()
    answer = one.http.post("/api/messages", content=b'{"text": "\\ud800"}', headers=JSON)
    assert problem(answer, 422, "invalid_field")["field"] == "text"


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/nothing", "/api/me/", "/poll/x", "/ws/x"])
def test_an_unknown_address_of_the_api_is_a_problem(http: httpx.Client, path: str) -> None:
    problem(http.get(path), 404, "not_found")
    problem(http.post(path, content=b"<x>"), 404, "not_found")


@pytest.mark.parametrize(
    "path",
    ["/api/me", "/api/friends", "/api/users", "/api/messages", "/api/tokens", "/api/sessions"]
    + ["/api/blocks", "/api/read", "/poll"],
)
def test_signed_out_is_told_so(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    problem(answer, 401, "unauthenticated")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_bad_token_is_refused_even_beside_a_good_cookie(browser: Callable[[], Browser]) -> None:
    one = browser()
    for path in ("/api/me", "/poll", "/events"):
        answer = one.http.get(path, headers={"Authorization": "Bearer cst_bad"})
        problem(answer, 401, "unauthenticated")
