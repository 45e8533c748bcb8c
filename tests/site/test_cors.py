"""CORS with credentials for exactly the named origins: on every address of the API and the streams, and on every answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from chatserver.core.limits import Limits
from chatserver.http.handlers import METHODS
from chatserver.site.api.rows import Entrance
from chatserver.site.api.table import TABLE
from tests.site.conftest import PASSWORD, Browser
from tests.support.inprocess import heard, inside
from tests.support.process import ServerProcess

NAMED = "https://www.example.com"
ALLOW = "access-control-allow-origin"
FOREIGN = (
    "null",
    "https://www.example.com.evil.example",
    "https://evil.example",
    "http://www.example.com",
    "https://www.example.com:8443",
    "https://example.com",
    "https://www.example.com, https://evil.example",
    "https://www.example.com/x",
    "file://",
    "*",
)
SHARED = sorted(
    {row.path for row in TABLE if row.path.startswith(("/api/", "/poll", "/events", "/ws"))}
)


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    data = tmp_path_factory.mktemp("data")
    options = ("--origin", NAMED, "--origin", "http://localhost:5000", "--meter", "off")
    with ServerProcess(data, *options) as running:
        yield running
        assert running.stop() == 0
    assert running.complaints() == []


def told(answer: httpx.Response) -> dict[str, str]:
    """Everything that CORS knows of, and `Vary`."""
    return {
        name: value for name, value in answer.headers.items() if name.startswith("access-control-")
    } | ({"vary": "Origin"} if "Origin" in answer.headers.get("vary", "") else {})


ANSWER = {
    "vary": "Origin",
    ALLOW: NAMED,
    "access-control-allow-credentials": "true",
    "access-control-expose-headers": "Allow, Date, Retry-After",
}


@pytest.mark.parametrize(
    "path", [*SHARED, "/api/nothing", "/poll/x", "/static/js/client.js", "/static/js/no.js"]
)
def test_every_answer_tells_a_named_origin_that_it_may_read(
    named: ServerProcess, path: str
) -> None:
    """Signed out, so nearly all are refusals: 401, 404, 405, 422, 426, and 204 of the event stream."""
    with httpx.Client(base_url=named.url) as http:
        for method in ("GET", "POST", "DELETE"):
            if path.startswith("/static") and method != "GET":
                continue
            answer = http.request(
                method, path, headers={"Origin": NAMED}, json={} if method != "GET" else None
            )
            assert told(answer) == ANSWER, (method, answer.status_code)


@pytest.mark.parametrize("origin", FOREIGN)
def test_any_other_origin_is_told_nothing(named: ServerProcess, origin: str) -> None:
    with httpx.Client(base_url=named.url) as http:
        for path in ("/api/visitor", "/poll?wait=0", "/events", "/ws", "/static/js/client.js"):
            answer = http.get(path, headers={"Origin": origin})
            assert told(answer) == {"vary": "Origin"}, path
            assert answer.status_code == (200 if path.startswith("/static") else 403)
            ask = {"Origin": origin, "Access-Control-Request-Method": "GET"}
            asked = http.options(path, headers=ask)
            assert asked.status_code == 405 and ALLOW not in asked.headers


def test_a_preflight_is_told_what_the_address_takes(named: ServerProcess) -> None:
    methods: dict[str, set[str]] = {}
    for row in TABLE:
        methods.setdefault(row.path, set()).add(row.method)
    for path in SHARED:
        ask = {"Origin": NAMED, "Access-Control-Request-Method": sorted(methods[path])[0]}
        ask["Access-Control-Request-Headers"] = "content-type,x-chat-user"
        answer = httpx.options(named.url + path.replace("{id}", "x"), headers=ask)
        assert (answer.status_code, answer.content) == (204, b""), path
        allowed = set(answer.headers["access-control-allow-methods"].split(", "))
        assert allowed - {"HEAD"} == methods[path] and allowed <= set(METHODS)
        names = answer.headers["access-control-allow-headers"].lower()
        assert {"content-type", "x-chat-user", "authorization"} <= set(names.split(", "))
        assert answer.headers[ALLOW] == NAMED
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert int(answer.headers["access-control-max-age"]) >= 600
        assert "Origin" in answer.headers["vary"]


def test_what_is_no_preflight_and_what_operators_ask_is_as_before(named: ServerProcess) -> None:
    plain = httpx.options(f"{named.url}/api/me", headers={"Origin": NAMED})
    assert plain.status_code == 405 and plain.json()["code"] == "method_not_allowed"
    for row in TABLE:
        if row.entrance is Entrance.OPERATOR and not row.path.startswith("/api/"):
            ask = {"Origin": NAMED, "Access-Control-Request-Method": "GET"}
            assert httpx.options(named.url + row.path, headers=ask).status_code == 405
            assert told(httpx.get(named.url + row.path, headers=ask)) == {}
    for path in ("/", "/classic", "/lab"):
        assert told(httpx.get(named.url + path, headers={"Origin": NAMED})) == {}


def test_without_named_origins_there_is_no_word_of_it(http: httpx.Client) -> None:
    origin = str(http.base_url).rstrip("/")
    for path in ("/api/visitor", "/poll?wait=0", "/events", "/static/js/client.js"):
        assert told(http.get(path, headers={"Origin": origin})) == {}


def test_a_page_of_another_site_gets_a_cookie_that_its_browser_keeps(named: ServerProcess) -> None:
    """And no other site's page does; signing out takes away the same cookie."""
    somebody = Browser(named.url)
    body = {"email": somebody.email, "password": PASSWORD}
    somebody.http.close()

    def sign_in(**headers: str) -> httpx.Response:
        dressed = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(f"{named.url}/api/login", json=body, headers=dressed)

    abroad = sign_in(Origin=NAMED, Sec_Fetch_Site="cross-site")
    assert abroad.headers["set-cookie"].endswith("; SameSite=None; Secure; Partitioned")
    cookie = abroad.headers["set-cookie"].partition(";")[0]
    at_home = sign_in(Origin=NAMED, Sec_Fetch_Site="same-site")
    assert (
        "SameSite=Lax" in at_home.headers["set-cookie"]
        and "None" not in at_home.headers["set-cookie"]
    )
    assert sign_in(Origin="https://evil.example", Sec_Fetch_Site="cross-site").status_code == 403
    ask = {"Cookie": cookie, "Origin": NAMED, "Sec-Fetch-Site": "cross-site"}
    out = httpx.post(f"{named.url}/api/logout", headers=ask)
    assert out.status_code == 204
    for gone in out.headers.get_list("set-cookie"):
        assert "Max-Age=0" in gone and gone.endswith("; SameSite=None; Secure; Partitioned")


async def test_a_poll_on_the_fast_path_says_the_same_as_one_that_tornado_read(
    tmp_path: Path,
) -> None:
    """Over one connection: the first is Tornado's, the second our grammar's, with other headers each time."""
    names = (b"access-control-", b"vary")
    async with inside(tmp_path, origin=("https://www.example.com:443",), limits=Limits()) as it:

        def ask(origin: str, *more: str) -> bytes:
            lines = ["GET /poll?wait=0 HTTP/1.1", "Host: localhost", f"Origin: {origin}", *more]
            lines.append(f"Authorization: Bearer {it.token}")
            return ("\r\n".join(lines) + "\r\n\r\n").encode()

        end = it.pair()
        asked = (
            ask(NAMED),
            ask(NAMED),
            ask("https://evil.example"),
            ask("null"),
            ask(NAMED, "Connection: close"),
        )
        end.sendall(b"".join(asked))
        answers = (await heard(end)).split(b"HTTP/1.1 ")[1:]
        said = [
            sorted(line for line in each.lower().split(b"\r\n") if line.startswith(names))
            for each in answers
        ]
        assert [each[:3] for each in answers] == [b"200"] * 5
        assert said[0] == said[1] == said[4] and len(said[0]) == 4
        assert said[2] == said[3] == [b"vary: origin"]
        end.close()


@pytest.mark.parametrize(
    ("headers", "hint"),
    [
        ({"Origin": "http://chat.example.com:8888", "Host": "chat.example.com"}, True),
        ({"Origin": "https://chat.example.com", "Host": "chat.example.com:8888"}, True),
        ({"Origin": "http://[::1]:8888", "Host": "[::1]"}, True),
        (
            {
                "Origin": "https://chat.example.com",
                "Host": "backend:8888",
                "Sec-Fetch-Site": "same-origin",
            },
            True,
        ),
        ({"Origin": "https://evil.example", "Host": "chat.example.com"}, False),
        ({"Origin": "null", "Host": "chat.example.com"}, False),
    ],
)
def test_where_a_proxy_has_changed_the_host_the_refusal_says_what_to_set(
    http: httpx.Client, headers: dict[str, str], hint: bool
) -> None:
    answer = http.post("/api/login", json={}, headers=headers)
    assert answer.status_code == 403
    detail = answer.json()["detail"]
    assert (f"--origin {headers['Origin']}" in detail and "Host" in detail) is hint
