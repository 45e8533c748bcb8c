"""The page's files, their headers, and the addresses for operators."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
import pytest

from tests.site.conftest import Browser, problem
from tests.support.process import ServerProcess

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self' ws://{host} wss://{host}; manifest-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@pytest.mark.parametrize("path", ["/", "/classic", "/nothing", "/static/nothing"])
def test_every_page_keeps_foreign_script_out(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert answer.headers["content-security-policy"] == CSP.format(
        host=http.base_url.netloc.decode()
    )
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert "server" not in answer.headers
    assert "<script>" not in answer.text and " style=" not in answer.text


def test_a_file_under_the_digest_is_kept_for_ever_and_elsewhere_asked_for_again(
    http: httpx.Client,
) -> None:
    page = http.get("/")
    assert page.headers["cache-control"] == "no-cache"
    versioned = re.search(r'"(/static/[0-9a-f]{16}/[^"]+)"', page.text)
    assert versioned is not None
    kept = http.get(versioned.group(1))
    assert kept.status_code == 200 and "immutable" in kept.headers["cache-control"]
    plain = http.get("/static/classic.css")
    assert plain.headers["cache-control"] == "no-cache"
    assert plain.headers["content-type"] == "text/css; charset=utf-8"
    headers = {"If-None-Match": plain.headers["etag"]}
    again = http.get("/static/classic.css", headers=headers)
    assert (again.status_code, again.content) == (304, b"")
    older = http.get("/static/0123456789abcdef/classic.css")
    assert (older.content, older.headers["cache-control"]) == (plain.content, "no-cache")
    assert http.head("/static/classic.css").status_code == 200


@pytest.mark.parametrize(
    "path",
    ["templates/base.html", "../setup.cfg", "..%2fsetup.cfg", "%2e%2e/setup.cfg", "/etc/passwd"]
    + ["jsconfig.json", ".", "js"],
)
def test_nothing_but_the_pages_files_is_served(server: ServerProcess, path: str) -> None:
    with httpx.Client() as http:
        answer = http.get(httpx.URL(server.url).copy_with(raw_path=b"/static/" + path.encode()))
    assert answer.status_code == 404


def test_alive_and_ready_are_told(http: httpx.Client) -> None:
    assert http.get("/healthz").json() == {"status": "ok"}
    assert http.get("/readyz").json() == {"status": "ready"}


@pytest.mark.parametrize(
    "host", ["evil.example; script-src *", "a b", "a,b", "\u00fc".encode(), "a'b"]
)
def test_no_host_that_a_client_makes_up_stands_in_the_policy(
    http: httpx.Client, host: str | bytes
) -> None:
    answer = http.get("/", headers=[(b"Host", host if isinstance(host, bytes) else host.encode())])
    assert answer.status_code in (200, 400)
    if answer.status_code == 200:
        assert "connect-src 'self'; manifest-src" in answer.headers["content-security-policy"]


# Whatever answers GET answers HEAD, with the same headers and no body.

VARYING = {"date", "connection", "set-cookie"}


@pytest.mark.parametrize(
    "path",
    ["/", "/lab", "/legacy", "/static/classic.css", "/nothing", "/healthz", "/readyz", "/api/me"]
    + ["/api/friends", "/api/users?q=a", "/api/messages", "/api/tokens", "/api/sessions"]
    + ["/api/blocks", "/api/read", "/api/lab/lanes", "/api/nothing", "/api/login", "/classic"]
    + ["/classic/friends", "/classic/login", "/classic/register", "/poll?wait=0", "/ws"],
)
@pytest.mark.parametrize("signed_in", [True, False])
def test_head_is_answered_as_get_is_without_a_body(
    browser: Callable[[], Browser], http: httpx.Client, path: str, signed_in: bool
) -> None:
    client = browser().http if signed_in else http
    got, head = client.get(path), client.head(path)
    assert head.status_code == got.status_code
    assert head.content == b""
    same = [{k: v for k, v in a.headers.items() if k not in VARYING} for a in (got, head)]
    assert same[0] == same[1]


def test_the_metrics_and_the_event_stream_answer_head(
    browser: Callable[[], Browser], http: httpx.Client
) -> None:
    for client, path, kind in (
        (http, "/metrics", "text/plain"),
        (browser().http, "/events", "text/event-stream"),
    ):
        head = client.head(path, timeout=10)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"].startswith(kind)
        # A length is that of GET (RFC 9110, section 8.6), and a stream has none.
        assert ("content-length" in head.headers) is (path == "/metrics")
    assert http.head("/events", timeout=10).status_code == 204


def test_looking_at_a_page_by_head_reads_no_message(browser: Callable[[], Browser]) -> None:
    one, friend = browser(), browser()
    one.befriend(friend)
    one.http.post("/api/messages", json={"text": "hello"})
    friend.http.head("/classic")
    assert friend.http.get("/api/read").json()["unread"] == [{"with": None, "count": 1}]
    friend.http.get("/classic")
    assert friend.http.get("/api/read").json()["unread"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Purpose": "prefetch"},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
        {"X-Moz": "prefetch"},
        {"X-Purpose": "preview"},
        {"Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Mode": "cors"},
    ],
)
def test_a_page_that_is_fetched_before_anybody_asks_for_it_reads_no_message(
    browser: Callable[[], Browser], headers: dict[str, str]
) -> None:
    one, friend = browser(), browser()
    one.befriend(friend)
    one.http.post("/api/messages", json={"text": "hello"})
    assert "hello" in friend.http.get("/classic", headers=headers).text
    assert friend.http.get("/api/read").json()["unread"] == [{"with": None, "count": 1}]
    friend.http.get("/classic", headers={"Sec-Fetch-Mode": "navigate"})
    assert friend.http.get("/api/read").json()["unread"] == []


def test_metrics_are_for_this_machine(http: httpx.Client) -> None:
    text = http.get("/metrics").text
    for name in (
        'chatserver_connections{transport="websocket"}',
        "chatserver_mailboxes ",
        "chatserver_deliveries_total",
        "chatserver_append_seconds_bucket",
        "chatserver_fanout_lag_seconds_bucket",
        "# TYPE chatserver_resets_total counter",
    ):
        assert name in text
    for host in ("localhost", "LOCALHOST:80", "127.9.9.9:1", "[::1]:8888"):
        assert http.get("/metrics", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-Host": "localhost"},
        {"X-Real-IP": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"Host": "chat.example.com"},
        {"Host": "localhost.example.com"},
        {"Host": "127.0.0.1.example.com"},
        {"Host": "10.0.0.1"},
    ],
)
def test_metrics_are_not_for_what_a_proxy_on_this_machine_passes_on(
    http: httpx.Client, headers: dict[str, str]
) -> None:
    problem(http.get("/metrics", headers=headers), 403, "forbidden")
