"""A stranger chooses the address of a push service: only the internet is asked, whatever a name says."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from chatserver.core.alerts import Subscription
from chatserver.site.pushing import PublicResolver, Pushing
from chatserver.verbs.alerts import Outcome, is_public
from chatserver.verbs.webpush import PushKey
from tests.support.pushservice import PushBrowser, PushService

INSIDE = (
    *("127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "100.64.0.1"),
    *("0.0.0.0", "224.0.0.1", "::1", "::", "fe80::1", "fd00::1", "::ffff:127.0.0.1", "ff02::1"),
)


def found(*addresses: str) -> Any:
    """What `getaddrinfo` says."""
    return [
        (socket.AF_INET6 if ":" in each else socket.AF_INET, 1, 6, "", (each, 443))
        for each in addresses
    ]


@pytest.mark.parametrize("address", INSIDE)
async def test_a_name_that_leads_inside_is_not_asked(address: str) -> None:
    resolver = PublicResolver()
    resolver._resolve = lambda *_: found(address)
    with pytest.raises(OSError, match="no address of the internet"):
        await resolver.resolve("push.example.com", 443)
    resolver._resolve = lambda *_: found(address, "93.184.216.34")
    assert [where for _, where in await resolver.resolve("push.example.com", 443)] == [
        ("93.184.216.34", 443)
    ]


@pytest.mark.parametrize(
    "host", [*INSIDE, "localhost", "printer", "printer.local", "a.localhost.", ""]
)
def test_a_host_that_is_written_as_one_inside_is_refused(host: str) -> None:
    assert not is_public(host)


@pytest.mark.parametrize("host", ["fcm.googleapis.com", "93.184.216.34", "2606:2800:220:1::1"])
def test_a_host_of_the_internet_is_none_of_them(host: str) -> None:
    assert is_public(host)


async def test_an_address_that_was_kept_earlier_is_looked_at_when_it_is_asked(
    tmp_path: Path,
) -> None:
    """A server that was for its machine alone, and is not any more."""
    with PushService() as service:
        keys = PushBrowser().keys()
        kept = Subscription(service.url, "ann", "c", keys["p256dh"], keys["auth"], 1)
        pushing = Pushing(PushKey.load(tmp_path / "data"), local=False, retry_s=0)
        assert await pushing.send(kept, b"x", "topic") is Outcome.GONE
        assert service.calls == []
        local = Pushing(PushKey.load(tmp_path / "data"), local=True, retry_s=0)
        service.answers = [500, 429, 201]
        assert await local.send(kept, b"x", "topic") is Outcome.SENT
        service.answers = [500]
        assert await local.send(kept, b"x", "topic") is Outcome.FAILED
        service.answers = [400]
        assert await local.send(kept, b"x", "topic") is Outcome.FAILED
        service.answers = [302]
        assert await local.send(kept, b"x", "topic") is Outcome.FAILED
        assert len(service.calls) == 3 + 3 + 1 + 1
