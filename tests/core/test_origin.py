"""A request may use the cookie when it comes from a page of ours, and then only."""

from __future__ import annotations

import pytest

from chatserver.core.origin import normal_origin, origin_allowed

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
    ],
)
def test_only_our_own_and_allowed_origins_pass(
    origin: str | None, site: str | None, host: str, expected: bool
) -> None:
    assert origin_allowed(origin, site, host, ALLOWED) is expected


def test_an_origin_is_written_in_one_way() -> None:
    assert normal_origin("HTTPS://Example.com/") == "https://example.com:443"
    assert normal_origin("http://example.com:80") == "http://example.com:80"
    for bad in ("example.com", "ftp://example.com", "http://example.com/path", "http://a:b@c"):
        assert normal_origin(bad) is None
