"""Where a request comes from is what trusted proxies say, hop by hop; their silence locks nobody out."""

from __future__ import annotations

import logging
import time

import pytest
from tornado.httputil import HTTPHeaders

from chatserver.core.addresses import network
from chatserver.http.proxies import SHARES, Proxies, is_forwarded

TRUSTED = [network("10.0.0.0/8"), network("::ffff:192.0.2.1"), network("2001:db8:1::/48")]
PROXY = "10.0.0.1"


def headers(*hops: str, proto: str | list[str] = ()) -> HTTPHeaders:  # type: ignore[assignment]
    made = HTTPHeaders()
    for line in hops:
        made.add("X-Forwarded-For", line)
    for line in [proto] if isinstance(proto, str) else proto:
        made.add("X-Forwarded-Proto", line)
    return made


@pytest.mark.parametrize(
    ("peer", "hops", "key"),
    [
        ("203.0.113.5", (), "203.0.113.5"),
        ("203.0.113.5", ("198.51.100.1",), "203.0.113.5"),
        ("::ffff:203.0.113.5", (), "203.0.113.5"),
        (PROXY, ("203.0.113.5",), "203.0.113.5"),
        ("::ffff:10.0.0.1", ("203.0.113.5",), "203.0.113.5"),
        ("192.0.2.1", ("::ffff:203.0.113.5",), "203.0.113.5"),
        ("::ffff:192.0.2.1", ("203.0.113.5:4711",), "203.0.113.5"),
        ("2001:db8:1::7", ('"[2001:db8:2::9]:443"',), "2001:db8:2::/48/0"),
        (PROXY, ("198.51.100.1, 203.0.113.5",), "203.0.113.5"),
        (PROXY, ("198.51.100.1", "203.0.113.5"), "203.0.113.5"),
        (PROXY, ("203.0.113.5, 10.0.0.2, ::ffff:10.0.0.3",), "203.0.113.5"),
        (PROXY, ("nonsense, 203.0.113.5, 10.0.0.2",), "203.0.113.5"),
        (PROXY, (", 203.0.113.5, ,",), "203.0.113.5"),
        (PROXY, ("10.0.0.7, 10.0.0.2",), "10.0.0.7"),
    ],
)
def test_the_first_from_the_right_that_is_no_proxy_is_the_client(
    peer: str, hops: tuple[str, ...], key: str
) -> None:
    assert Proxies(TRUSTED).client(peer, headers(*hops)) == key


@pytest.mark.parametrize(
    "hops", [(), ("",), ("unknown",), ("203.0.113.5, unknown, 10.0.0.2",), (",",)]
)
@pytest.mark.parametrize("peer", [PROXY, "::ffff:10.0.0.1"])
def test_a_proxy_that_says_nothing_usable_is_no_key_and_is_warned_of_once(
    peer: str, hops: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    proxies = Proxies(TRUSTED)
    with caplog.at_level(logging.WARNING):
        keys = {proxies.client(peer, headers(*hops)) for _ in range(5 * SHARES)}
    # So many buckets that one attacker fills none of them, and still a number of them.
    assert 0.9 * SHARES < len(keys) <= SHARES
    assert not any(key in ("10.0.0.1", "10.0.0.2", "203.0.113.5") for key in keys)
    assert len(caplog.records) == 1 and "10.0.0.1" in caplog.text


@pytest.mark.parametrize(
    ("hops", "proto", "https"),
    [
        (("203.0.113.5",), "https", True),
        (("203.0.113.5",), "HTTPS", True),
        (("203.0.113.5",), "wss", True),
        (("203.0.113.5",), "http", False),
        # The client wrote the first entry, the proxy that it came to the second.
        (("203.0.113.5",), "https, http", False),
        (("203.0.113.5",), ["https", "http"], False),
        (("203.0.113.5",), "http, https", True),
        # Fewer entries than proxies: the oldest that there is.
        (("203.0.113.5, 10.0.0.2, 10.0.0.3, 10.0.0.4",), "https, http", True),
        (("203.0.113.5, 10.0.0.2, 10.0.0.3, 10.0.0.4",), "http, https", False),
        # By https to the outer proxy, by http from there to the inner one.
        (("203.0.113.5, 10.0.0.2",), "https, http", True),
        (("203.0.113.5, 10.0.0.2",), "http, https", False),
        (("198.51.100.1, 203.0.113.5, 10.0.0.2",), "https, http, http", False),
        # The inner one overwrites, or passes on.
        (("203.0.113.5, 10.0.0.2",), "https", True),
        ((), "https", True),
        ((), "ftp", False),
        (("203.0.113.5",), ",", False),
    ],
)
def test_the_scheme_is_that_of_the_same_hop(
    hops: tuple[str, ...], proto: str | list[str], https: bool
) -> None:
    assert Proxies(TRUSTED).https(headers(*hops, proto=proto)) is https


def test_an_https_origin_says_how_people_come_where_no_proxy_does() -> None:
    origins = ("http://localhost:8888", "https://chat.example.com:443")
    for trusted in ((), TRUSTED):
        assert Proxies(trusted, origins).https(headers("203.0.113.5"))
        assert not Proxies(trusted, origins[:1]).https(headers("203.0.113.5"))
    assert not Proxies(TRUSTED, origins).https(headers("203.0.113.5", proto="http"))
    assert not Proxies((), ()).https(headers(proto="https"))


@pytest.mark.parametrize(
    ("host", "https"),
    [
        ("chat.example.com", True),
        ("Chat.Example.com:443", True),
        ("chat.example.com:8443", False),
        ("both.example.com", False),
        ("another.example.com", False),
        ("", False),
    ],
)
def test_a_host_that_is_named_by_https_alone_is_https_whatever_a_proxy_says(
    host: str, https: bool
) -> None:
    """Of two in a row the inner one says `http`, of the way between them."""
    origins = (
        "https://chat.example.com:443",
        "https://both.example.com:443",
        "http://both.example.com:80",
    )
    given = headers("203.0.113.5", proto="http")
    given["Host"] = host
    assert Proxies(TRUSTED, origins).https(given) is https
    assert not Proxies(TRUSTED, origins[2:]).https(given)


def test_a_long_list_of_proxies_is_not_walked_to_its_end() -> None:
    many = headers("203.0.113.5" + ", 10.0.0.2" * 1500, proto="https" + ", http" * 1500)
    proxies = Proxies(TRUSTED)
    began_s = time.thread_time()
    for _ in range(20):
        assert proxies.client(PROXY, many) == "10.0.0.2"
        assert not proxies.https(many)
    assert (time.thread_time() - began_s) / 20 < 0.005


@pytest.mark.parametrize(
    "name",
    ["X-Forwarded-For", "x-forwarded-host", "X-Forwarded", "X-Forwarded-Anything", "Forwarded"]
    + ["Via", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP", "X-Client-IP"],
)
def test_every_header_of_a_proxy_is_known(name: str) -> None:
    assert is_forwarded(HTTPHeaders({"Host": "a", name: "127.0.0.1"}))
    assert not is_forwarded(HTTPHeaders({"Host": "a", "User-Agent": "Prometheus"}))
