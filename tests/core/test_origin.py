"""A request may use the cookie when it comes from a page of ours, and then only."""

from __future__ import annotations

import pytest

from chatserver.core.origin import normal_origin, origin_allowed, written_origin

ALLOWED = {"https://app.example.org:443"}


@pytest.mark.parametrize(
    ("origin", "site", "host", "expected"),
    [
        (None, None, "chat.example.com", True),
        (None, "same-origin", "chat.example.com", True),
        (None, "none", "chat.example.com", True),
        (None, "cross-site", "chat.example.com", False),
        ("http://chat.example.com:8888", None, "chat.example.com:8888", True),
        ("https://chat.example.com", "same-origin", "chat.example.com", True),
        ("https://chat.example.com", None, "chat.example.com:443", True),
        ("HTTPS://Chat.Example.com", None, "chat.example.com", True),
        ("http://[::1]:8888", None, "[::1]:8888", True),
        ("http://chat.example.com:8889", None, "chat.example.com:8888", False),
        ("http://evil.example", None, "chat.example.com", False),
        ("http://chat.example.com.evil.example", None, "chat.example.com", False),
        ("http://chat.example.com@evil.example", None, "chat.example.com", False),
        ("https://app.example.org", "cross-site", "chat.example.com", True),
        ("http://app.example.org", None, "chat.example.com", False),
        ("null", None, "chat.example.com", False),
        ("null", None, "null", False),
        ("", None, "", False),
        ("file://", None, "", False),
        ("http://", None, "", False),
        ("http://chat.example.com:x", None, "chat.example.com:x", False),
        ("http://xn--bcher-kva.example", None, "xn--bcher-kva.example", True),
        ("http://b\u00fccher.example", None, "b\u00fccher.example", False),
        ("http://" + "a" * 16_000, None, "a" * 16_000, False),
    ],
)
def test_only_our_own_and_allowed_origins_pass(
    origin: str | None, site: str | None, host: str, expected: bool
) -> None:
    assert origin_allowed(origin, site, host, ALLOWED, https=False) is expected


def test_an_origin_is_written_in_one_way() -> None:
    assert normal_origin("HTTPS://Example.com/") == "https://example.com:443"
    assert normal_origin("http://example.com:80") == "http://example.com:80"
    for bad in ("example.com", "ftp://example.com", "http://example.com/path", "http://a:b@c"):
        assert normal_origin(bad) is None
    assert normal_origin("http://example.com:0") == "http://example.com:0"
    assert normal_origin("http://example.com.:80") == "http://example.com.:80"


@pytest.mark.parametrize(
    "written",
    ["[::1]", "[0:0:0:0:0:0:0:1]", "[::0001]", "[0::1]"],
)
def test_an_ipv6_address_is_one_host_however_it_is_written(written: str) -> None:
    """Browsers write it in its short form, people and other clients in any."""
    assert normal_origin(f"http://{written}:8888") == "http://[::1]:8888"
    assert origin_allowed("http://[::1]:8888", None, f"{written}:8888", (), https=False)


def test_an_ipv4_address_in_ipv6_is_written_as_browsers_do() -> None:
    for written in ("[::ffff:1.2.3.4]", "[::FFFF:102:304]", "[0:0:0:0:0:ffff:1.2.3.4]"):
        assert normal_origin(f"http://{written}") == "http://[::ffff:102:304]:80"


@pytest.mark.parametrize(
    "never",
    [
        "https://*.example.com",
        "https://*",
        "http://127.1",
        "http://0x7f.0.0.1",
        "http://2130706433",
        "http://1.2.3.4.",
        "http://256.1.1.1",
        "http://01.2.3.4",
        "http://ex%61mple.com",
        "http://a b",
        "http://a,b",
        "http://a?",
        "http://a#",
        "http://a\tb",
        "http://a\\b",
        "https://[fe80::1%25eth0]",
        "https://[::1",
        "https://example..com",
        "http://a:65536",
        "http://a:000080",
    ],
)
def test_what_no_browser_sends_is_no_origin_and_nobody_is_told_to_wait_for_it(never: str) -> None:
    assert normal_origin(never) is None and written_origin(never) is None
    assert not origin_allowed(never, None, never.partition("//")[2], (), https=False)


@pytest.mark.parametrize(
    ("origin", "host", "expected"),
    [
        ("https://chat.example.com", "chat.example.com", True),
        ("https://chat.example.com:8443", "chat.example.com:8443", True),
        ("http://chat.example.com", "chat.example.com", False),
        ("http://chat.example.com:443", "chat.example.com:443", False),
        ("http://chat.example.com:443", "chat.example.com", False),
        ("https://app.example.org", "chat.example.com", True),
    ],
)
def test_under_https_a_page_of_the_same_host_over_http_is_foreign(
    origin: str, host: str, expected: bool
) -> None:
    assert origin_allowed(origin, None, host, ALLOWED, https=True) is expected


def test_an_origin_that_a_person_writes_is_kept_as_browsers_send_it() -> None:
    written = written_origin("https://B\u00fccher.Example:8443/")
    assert written == "https://xn--bcher-kva.example:8443"
    assert written_origin("https://\u043f\u0440\u0438\u043c\u0435\u0440.example") == (
        "https://xn--e1afmkfd.example:443"
    )
    assert written_origin("http://[::1]:8888") == "http://[::1]:8888"
    assert written_origin("https://xn--bcher-kva.example") == "https://xn--bcher-kva.example:443"


@pytest.mark.parametrize(
    "bad",
    # What browsers send for the first two is not what Python's codec makes of them.
    ["https://stra\u00dfe.example", "https://a\u200cb.example", "https://" + "\u00fc" * 300]
    + ["https://\u00fc..example", "\u00fc", "ftp://\u00fc.example"],
)
def test_an_origin_that_cannot_be_put_as_browsers_send_it_is_refused(bad: str) -> None:
    assert written_origin(bad) is None
