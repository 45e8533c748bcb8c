"""What a request says: JSON, queries, seconds."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from tornado.httputil import HTTPHeaders

from chatserver.core.errors import BadRequest, UnsupportedMedia
from chatserver.http.requests import (
    QUERY_CHARS,
    argument,
    cookie_header,
    escapes,
    http_date,
    parse_form,
    parse_json,
    parse_query,
    parse_seconds,
)

JSON = HTTPHeaders({"Content-Type": "application/json; charset=utf-8"})


def test_a_body_is_an_object_or_nothing() -> None:
    assert parse_json("POST", JSON, b'{"a": 1}') == {"a": 1}
    assert parse_json("POST", JSON, b"") == {} == parse_json("PUT", HTTPHeaders(), b"")
    for bad in (b"\xff", b"[]", b"{"):
        with pytest.raises(BadRequest):
            parse_json("POST", JSON, bad)
    for kind in ("text/plain", ""):
        with pytest.raises(UnsupportedMedia):
            parse_json("PUT", HTTPHeaders({"Content-Type": kind}), b"{}")


def test_of_an_argument_the_last_value_counts_and_it_is_utf8() -> None:
    asked: Any = SimpleNamespace(query_arguments={"q": [b"one", b"two"], "bad": [b"\xff"]})
    assert argument(asked, "q") == "two" and argument(asked, "none") is None
    with pytest.raises(BadRequest):
        argument(asked, "bad")


def test_a_query_is_read_the_same_the_short_and_the_general_way() -> None:
    assert parse_query("a=1&b=&a=2&&c") == {"a": "2", "b": "", "c": ""}
    assert parse_query("a=%31&b=x+y") == {"a": "1", "b": "x y"}
    for bad in ("a=%ff", "&".join(f"a{n}=%31" for n in range(21)), "a=" + QUERY_CHARS * "1"):
        with pytest.raises(BadRequest):
            parse_query(bad)


def test_the_longest_arguments_of_a_transport_fit_into_its_query() -> None:
    longest = quote("\U0001f600" * 64)
    found = parse_query(f"after={2**53}&wait=55.000&client={longest}&user={longest}")
    assert found["client"] == found["user"] == "\U0001f600" * 64


def test_of_a_form_the_last_value_counts_and_what_is_no_form_is_refused() -> None:
    assert parse_form(b"a=1&b=x+y&a=%C3%A9&c=") == {"a": "é", "b": "x y", "c": ""}
    for bad in (b"a=%ff", b"a=\xff", b"&".join(b"a%d=1" % n for n in range(21))):
        with pytest.raises(BadRequest):
            parse_form(bad)
    assert escapes(b"a=100%") == 1 and escapes(b"%41" * 20_000) == 20_000
    with pytest.raises(BadRequest):
        escapes(b"%" * 60_000)


def test_seconds_are_a_number_from_zero_on() -> None:
    assert parse_seconds(None, "wait", 5.0) == 5.0 == parse_seconds("", "wait", 5.0)
    assert parse_seconds("0.5", "wait", 5.0) == 0.5
    for bad in ("x", "-1", "nan", "inf"):
        with pytest.raises(BadRequest):
            parse_seconds(bad, "wait", 5.0)


def test_several_cookie_headers_are_read_as_one() -> None:
    """RFC 9113, section 8.2.3: HTTP/2 splits them, and a comma between them would be part of a value."""
    given = HTTPHeaders()
    assert cookie_header(given) is None
    for line in ("a=1", "b=2; c=3", "d=4"):
        given.add("Cookie", line)
    assert cookie_header(given) == "a=1; b=2; c=3; d=4"


def test_the_date_is_that_of_rfc_9110() -> None:
    assert http_date().endswith(" GMT") and len(http_date()) == 29
