"""The page's files, their headers, and the addresses for operators."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.site.conftest import Browser, problem
from tests.support.process import ServerProcess

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self' ws: wss:; manifest-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)


@pytest.mark.parametrize("path", ["/", "/classic", "/nothing", "/static/nothing"])
def test_every_page_keeps_foreign_script_out(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert answer.headers["content-security-policy"] == CSP
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


def test_metrics_are_for_this_machine_and_not_for_what_a_proxy_passes_on(
    http: httpx.Client,
) -> None:
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
    problem(http.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}), 403, "forbidden")


@pytest.fixture
def behind_proxy(data: Path) -> Iterator[ServerProcess]:
    """A server that believes the proxy on this machine, and has a metrics token."""
    token = ("--metrics-token", "a-long-metrics-token")
    limits = ("--register-burst", "1", "--register-rate", "0.001")
    origin = ("--origin", "https://app.example.org")
    options = ("--trusted-proxy", "127.0.0.0/8", *token, *limits, *origin)
    with ServerProcess(data, *options) as running:
        yield running


def test_a_trusted_proxy_says_who_asks_and_how(behind_proxy: ServerProcess) -> None:
    def register(email: str, *hops: str, proto: str = "https") -> httpx.Response:
        body = {"email": email, "password": "correct horse", "firstName": "A"}
        headers = {"X-Forwarded-For": ", ".join(hops), "X-Forwarded-Proto": proto}
        return httpx.post(f"{behind_proxy.url}/api/register", json=body, headers=headers)

    first = register("a@example.com", "203.0.113.5", "127.0.0.9")
    assert first.headers["set-cookie"].startswith("__Host-chatserver=")
    assert "; Secure" in first.headers["set-cookie"]
    # What stands left of the first address that is no proxy of ours, anybody can have written.
    problem(register("b@example.com", "198.51.100.1", "203.0.113.5"), 429, "rate_limited")
    plain = register("b@example.com", "203.0.113.5", "198.51.100.1", proto="http")
    assert plain.headers["set-cookie"].startswith("chatserver=")
    assert register("c@example.com", "2001:db8::1").status_code == 201
    problem(register("d@example.com", "2001:db8::2"), 429, "rate_limited")


def test_metrics_with_a_token_need_the_token(behind_proxy: ServerProcess) -> None:
    url = f"{behind_proxy.url}/metrics"
    problem(httpx.get(url), 401, "unauthenticated")
    right = {"Authorization": "Bearer a-long-metrics-token", "X-Forwarded-For": "203.0.113.5"}
    assert httpx.get(url, headers=right).status_code == 200
    problem(httpx.get(url, headers={"Authorization": "Bearer x"}), 401, "unauthenticated")


def test_an_origin_that_was_allowed_may_use_the_cookie(behind_proxy: ServerProcess) -> None:
    one = Browser(behind_proxy.url)
    headers = {"Origin": "https://app.example.org", "Sec-Fetch-Site": "cross-site"}
    assert one.http.post("/api/typing", json={}, headers=headers).status_code == 204
    headers["Origin"] = "http://app.example.org"
    problem(one.http.post("/api/typing", json={}, headers=headers), 403, "forbidden")
    one.http.close()
