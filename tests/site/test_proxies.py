"""Behind a proxy: whose limits, whose cookie, whose origin, whose metrics."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.site.conftest import PASSWORD, Browser, problem
from tests.support.process import ServerProcess

HTTPS = {"X-Forwarded-For": "203.0.113.77", "X-Forwarded-Proto": "https"}
HTTP = HTTPS | {"X-Forwarded-Proto": "http"}
ORIGIN = "https://app.example.org"


@pytest.fixture(scope="module")
def behind_proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that believes the proxy on this machine, and has a metrics token."""
    data = tmp_path_factory.mktemp("data")
    token = ("--metrics-token", "a-long-metrics-token")
    limits = ("--register-burst", "1", "--register-rate", "0.001")
    origin = ("--origin", ORIGIN, "--hsts-s", "1000")
    # As somebody writes it whose sockets take both families.
    options = ("--trusted-proxy", "::ffff:127.0.0.0/104", *token, *limits, *origin)
    with ServerProcess(data, *options) as running:
        yield running
        assert running.stop() == 0
    assert running.complaints() == []


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


def register(server: ServerProcess, headers: dict[str, str]) -> httpx.Response:
    email = f"{uuid.uuid4().hex[:12]}@example.com"
    body = {"email": email, "password": PASSWORD, "firstName": "A"}
    return httpx.post(f"{server.url}/api/register", json=body, headers=headers)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("203.0.113.21", "::ffff:203.0.113.21"),
        ("203.0.113.22:1111", "203.0.113.22:2222"),
        ("[2001:db8:7::1]:80", "2001:db8:7::2"),
        ("1.1.1.1, 203.0.113.23", "2.2.2.2, 203.0.113.23, ::ffff:127.0.0.2"),
    ],
)
def test_one_client_is_one_client_however_the_proxy_writes_it(
    behind_proxy: ServerProcess, one: str, other: str
) -> None:
    assert register(behind_proxy, HTTPS | {"X-Forwarded-For": one}).status_code == 201
    again = register(behind_proxy, HTTPS | {"X-Forwarded-For": other})
    problem(again, 429, "rate_limited")


def test_a_proxy_that_says_nothing_lets_nobody_lock_the_others_out(
    behind_proxy: ServerProcess,
) -> None:
    """The burst is one: with the proxy's own address as the key, the second would be refused."""
    answers = [
        httpx.post(
            f"{behind_proxy.url}/api/register",
            json={"email": f"silent{n}@example.com", "password": PASSWORD, "firstName": "A"},
        ).status_code
        for n in range(6)
    ]
    assert answers.count(201) >= 4
    warnings = [line for line in behind_proxy.log if "X-Forwarded-For" in line]
    assert len(warnings) == 1 and "WARNING" in warnings[0]


# Cookies.


def jar(answer: httpx.Response) -> dict[str, str]:
    lines = answer.headers.get_list("set-cookie")
    return dict(line.partition(";")[0].split("=", 1) for line in lines)


@pytest.fixture(scope="module")
def ann(behind_proxy: ServerProcess) -> Browser:
    """Somebody who has registered over https; whoever asks sends the cookie by hand."""
    one = Browser(behind_proxy.url, "Ann", **HTTPS)
    one.http.close()
    return one


def signed_in(server: ServerProcess, ann: Browser, headers: dict[str, str]) -> dict[str, str]:
    body = {"email": ann.email, "password": PASSWORD}
    answer = httpx.post(f"{server.url}/api/login", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return jar(answer)


def me(server: ServerProcess, headers: dict[str, str], path: str = "/api/me") -> int:
    return httpx.get(f"{server.url}{path}", headers=headers).status_code


def test_under_https_only_the_cookie_with_the_prefix_counts(
    behind_proxy: ServerProcess, ann: Browser
) -> None:
    """A sibling host can plant the one without: it would sign the victim in to the attacker's account."""
    planted = signed_in(behind_proxy, ann, HTTP)["chatserver"]
    secure = signed_in(behind_proxy, ann, HTTPS)["__Host-chatserver"]
    for path in ("/api/me", "/poll?wait=0", "/api/friends"):
        assert me(behind_proxy, HTTPS | {"Cookie": f"chatserver={planted}"}, path) == 401
        assert me(behind_proxy, {"Cookie": f"chatserver={planted}"}, path) == 401
        assert me(behind_proxy, HTTPS | {"Cookie": f"__Host-chatserver={secure}"}, path) == 200
        assert me(behind_proxy, HTTP | {"Cookie": f"chatserver={planted}"}, path) == 200
    stopped = httpx.get(
        f"{behind_proxy.url}/events", headers=HTTPS | {"Cookie": f"chatserver={planted}"}
    )
    assert stopped.status_code == 204


def test_an_https_origin_makes_cookies_secure_where_the_proxy_says_nothing(
    behind_proxy: ServerProcess, ann: Browser
) -> None:
    assert "__Host-chatserver" in signed_in(behind_proxy, ann, {"X-Forwarded-For": "203.0.113.78"})


def test_where_an_inner_proxy_says_http_of_an_https_site_cookies_are_secure_all_the_same(
    behind_proxy: ServerProcess, ann: Browser
) -> None:
    site = HTTP | {"Host": "app.example.org"}
    secure = signed_in(behind_proxy, ann, site)
    assert list(secure) == ["__Host-chatserver"]
    planted = signed_in(behind_proxy, ann, HTTP)["chatserver"]
    assert me(behind_proxy, site | {"Cookie": f"chatserver={planted}"}) == 401
    own = site | {"Cookie": f"__Host-chatserver={secure['__Host-chatserver']}"}
    for origin, status in (("https://app.example.org", 204), ("http://app.example.org", 403)):
        url, headers = f"{behind_proxy.url}/api/typing", own | {"Origin": origin}
        assert httpx.post(url, json={}, headers=headers).status_code == status


def test_signing_out_takes_both_cookies_away(behind_proxy: ServerProcess, ann: Browser) -> None:
    secure = signed_in(behind_proxy, ann, HTTPS)["__Host-chatserver"]
    cookie = f"__Host-chatserver={secure}; chatserver=planted"
    answer = httpx.post(
        f"{behind_proxy.url}/api/logout", json={}, headers=HTTPS | {"Cookie": cookie}
    )
    assert answer.status_code == 204
    assert jar(answer) == {"__Host-chatserver": "", "chatserver": ""}
    for host, count in (("chat.example.com", 2), ("chat.example.com:8443", 2)):
        secure = signed_in(behind_proxy, ann, HTTPS | {"Host": host})["__Host-chatserver"]
        own = HTTPS | {"Host": host, "Cookie": f"__Host-chatserver={secure}"}
        again = httpx.post(f"{behind_proxy.url}/api/logout", json={}, headers=own)
        assert len(again.headers.get_list("set-cookie")) == count, "each is taken away once"


def test_the_cookie_of_forms_has_the_prefix_too(behind_proxy: ServerProcess, ann: Browser) -> None:
    url = f"{behind_proxy.url}/classic/login"
    page = httpx.get(url, headers=HTTPS)
    ((name, subject),) = jar(page).items()
    assert name == "__Host-chatserver_form" and "; Secure" in page.headers["set-cookie"]
    field = re.search(r'name="_xsrf" value="([^"]+)"', page.text)
    assert field is not None
    form = {"email": ann.email, "password": PASSWORD, "_xsrf": field.group(1)}
    # Under the other name it may be a sibling host's.
    planted = HTTPS | {"Cookie": f"chatserver_form={subject}"}
    assert httpx.post(url, data=form, headers=planted).status_code == 403
    own = HTTPS | {"Cookie": f"{name}={subject}"}
    assert httpx.post(url, data=form, headers=own).status_code == 303


def test_two_cookie_headers_are_read(behind_proxy: ServerProcess, ann: Browser) -> None:
    secure = signed_in(behind_proxy, ann, HTTPS)["__Host-chatserver"]
    for path in ("/api/me", "/poll?wait=0"):
        for cookies in (
            ["other=1", f"__Host-chatserver={secure}"],
            [f"__Host-chatserver={secure}", "b=2"],
        ):
            headers = [*HTTPS.items(), *(("Cookie", cookie) for cookie in cookies)]
            assert httpx.get(f"{behind_proxy.url}{path}", headers=headers).status_code == 200


# Origins.


def test_a_page_of_the_same_host_over_http_is_foreign_to_an_https_site(
    behind_proxy: ServerProcess, ann: Browser
) -> None:
    cookie = f"__Host-chatserver={signed_in(behind_proxy, ann, HTTPS)['__Host-chatserver']}"
    own = {"Host": "chat.example.com", "Cookie": cookie} | HTTPS
    for origin, status in (("https://chat.example.com", 204), ("http://chat.example.com", 403)):
        headers = own | {"Origin": origin}
        answer = httpx.post(f"{behind_proxy.url}/api/typing", json={}, headers=headers)
        assert answer.status_code == status


def test_an_origin_that_was_allowed_may_use_the_cookie(
    behind_proxy: ServerProcess, ann: Browser
) -> None:
    cookie = f"__Host-chatserver={signed_in(behind_proxy, ann, HTTPS)['__Host-chatserver']}"
    headers = HTTPS | {"Cookie": cookie, "Origin": ORIGIN, "Sec-Fetch-Site": "cross-site"}
    url = f"{behind_proxy.url}/api/typing"
    assert httpx.post(url, json={}, headers=headers).status_code == 204
    headers["Origin"] = "http://app.example.org"
    problem(httpx.post(url, json={}, headers=headers), 403, "forbidden")


# HSTS and the policy.


def test_hsts_is_said_by_https_alone(behind_proxy: ServerProcess) -> None:
    for path in ("/", "/api/me", "/classic", "/nothing", "/healthz", "/poll", "/events"):
        answer = httpx.get(f"{behind_proxy.url}{path}", headers=HTTPS)
        if path not in ("/poll", "/events"):
            assert answer.headers["strict-transport-security"] == "max-age=1000", path
        plain = httpx.get(f"{behind_proxy.url}{path}", headers=HTTP)
        assert "strict-transport-security" not in plain.headers


def test_under_https_a_page_may_connect_to_its_own_host_by_wss_only(
    behind_proxy: ServerProcess,
) -> None:
    answer = httpx.get(behind_proxy.url, headers=HTTPS | {"Host": "chat.example.com"})
    policy = answer.headers["content-security-policy"]
    assert "connect-src 'self' wss://chat.example.com;" in policy


def test_a_trusted_proxy_or_an_origin_ends_metrics_without_a_token(data: Path) -> None:
    for option in (("--trusted-proxy", "192.0.2.1"), ("--origin", "http://localhost:1")):
        with ServerProcess(data, *option) as running:
            problem(httpx.get(f"{running.url}/metrics"), 403, "forbidden")
            running.stop()
