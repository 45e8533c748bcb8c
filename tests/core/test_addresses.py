"""An address is one address, however it is written."""

from __future__ import annotations

import pytest

from chatserver.core.addresses import (
    AddressCounts,
    address,
    bucket_key,
    network,
    site_of,
    site_or_itself,
)


@pytest.mark.parametrize(
    ("written", "plain"),
    [
        ("1.2.3.4", "1.2.3.4"),
        (" 1.2.3.4\t", "1.2.3.4"),
        ("1.2.3.4:5678", "1.2.3.4"),
        ('"1.2.3.4:5678"', "1.2.3.4"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("::FFFF:102:304", "1.2.3.4"),
        ("[::ffff:1.2.3.4]:80", "1.2.3.4"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ('"[2001:db8::1]:443"', "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("[fe80::1%25eth0]:80", "fe80::1"),
        ("::1", "::1"),
    ],
)
def test_what_proxies_write_is_read(written: str, plain: str) -> None:
    found = address(written)
    assert str(found) == plain


@pytest.mark.parametrize(
    "written",
    ["", " ", "unknown", "_hidden", "1.2.3", "1.2.3.4:", "1.2.3.4:123456", "1.2.3.4.5", "256.1.1.1"]
    + ["1.2.3.4, 5.6.7.8", "[::1", "::1]", "[1.2.3.4", ":::", "\u0661.2.3.4", "1.2.3.4:\u0661"]
    + [
        "for=1.2.3.4",
        "example.com",
        "1.2.3.4 5",
        '"',
        '""',
        "1" * 70_000,
        "[" * 70_000,
        ":" * 70_000,
    ],
)
def test_what_is_no_address_is_none(written: str) -> None:
    assert address(written) is None


def test_a_network_of_mapped_addresses_holds_the_plain_ones() -> None:
    for written in ("::ffff:10.0.0.0/104", "10.0.0.0/8", "10.1.2.3/8"):
        assert address("::ffff:10.9.9.9") in network(written)
    assert address("10.9.9.9") not in network("::/0")
    assert str(network("2001:db8::/32")) == "2001:db8::/32"
    with pytest.raises(ValueError):
        network("proxy")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("1.2.3.4", "::ffff:1.2.3.4", True),
        ("1.2.3.4", "1.2.3.5", False),
        ("::ffff:1.2.3.4", "::ffff:1.2.3.5", False),
        ("::1", "::2", False),
        # A translator's, 6to4's and Teredo's: what stands for one IPv4 address.
        ("64:ff9b::1.2.3.4", "64:ff9b::1.2.3.5", False),
        ("64:ff9b::1.2.3.4", "64:ff9b::102:304", True),
        ("64:ff9b::127.0.0.1", "127.0.0.1", False),
        ("2002:102:304::1", "2002:102:304:ffff::1", True),
        ("2002:102:304::1", "2002:102:305::1", False),
        ("2001:0:102:304:0:1:fefe:fefe", "2001:0:506:708:8000:2:fefe:fefe", True),
        ("2001:0:102:304:0:1:fefe:fefe", "2001:0:102:304:0:1:fefe:fefd", False),
        ("2001:0:102:304:0:1:80ff:fffe", "127.0.0.1", False),
    ],
)
def test_a_customer_pays_from_one_bucket(one: str, other: str, same: bool) -> None:
    first, second = address(one), address(other)
    assert first is not None and second is not None
    assert (bucket_key(first) == bucket_key(second)) is same


@pytest.mark.parametrize(
    ("where", "site"),
    [
        ("2001:db8:1:2::1", "2001:db8:1::"),
        ("2001:db8:1:ffff::1", "2001:db8:1::"),
        ("2001:db8:2:2::1", "2001:db8:2::"),
        # Each of these stands for one host, and for nobody beside it.
        ("1.2.3.4", None),
        ("::1", None),
        ("64:ff9b::1.2.3.4", None),
        ("2002:102:304::1", None),
        ("2001:0:102:304:0:1:fefe:fefe", None),
    ],
)
def test_a_customer_lies_in_a_site(where: str, site: str | None) -> None:
    plain = address(where)
    assert plain is not None
    key = bucket_key(plain)
    assert site_of(key) == site and site_or_itself(key) == (site or key)
    assert site_of(f"health{key}") == (site and f"health{site}")


def test_whoever_has_gone_counts_no_more_neither_alone_nor_in_their_site() -> None:
    """Or a site that has come often enough would be kept out for good."""
    counts, keys = AddressCounts(), ("203.0.113.5", "2001:db8:1::/48/1", "2001:db8:1::/48/2")
    for _ in range(10):
        for key in (*keys, keys[1]):
            counts.add(key)
        assert [counts.of(key) for key in keys] == [1, 2, 1]
        assert counts.of("2001:db8:1::") == 3
        assert counts.has_enough(keys[1], 2) and not counts.has_enough(keys[2], 2)
        for key in (*keys, keys[1]):
            counts.remove(key)
        assert not len(counts)
