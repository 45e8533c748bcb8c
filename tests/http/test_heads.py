"""The grammar of heads: what a plain poll is, and what of Tornado's reading is refused."""

from __future__ import annotations

import pytest
from tornado.httputil import HTTPHeaders, HTTPInputError, RequestStartLine

from chatserver.http.heads import (
    check_head,
    has_bare_line_end,
    is_plain,
    is_poll,
    plain_fields,
    poll_line,
    says_close,
)


def headers(**given: str) -> HTTPHeaders:
    return HTTPHeaders({name.replace("_", "-"): value for name, value in given.items()})


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        (b"GET /poll HTTP/1.1", ("GET", "/poll")),
        (b"HEAD /poll?after=1&wait=0 HTTP/1.1", ("HEAD", "/poll?after=1&wait=0")),
        (b"POST /poll HTTP/1.1", None),
        (b"GET /pollen HTTP/1.1", None),
        (b"GET /poll HTTP/1.0", None),
        (b"GET  /poll HTTP/1.1", None),
        (b"GET /poll?a=\x00 HTTP/1.1", None),
        (b"GET /poll?a#b HTTP/1.1", None),
    ],
)
def test_a_plain_poll_has_a_line_of_one_form(line: bytes, asked: tuple[str, str] | None) -> None:
    assert poll_line(line) == asked


@pytest.mark.parametrize(
    "fields",
    [
        b"",
        b"Host: a\nX: b\r\n",
        b"Host: a\r\n folded\r\n",
        b"Host : a\r\n",
        b"Host: a\r\nhost: b\r\n",
        b"Host: a\r\nContent-Length: 0\r\n",
        b"Host: a\r\nTransfer-Encoding: chunked\r\n",
        b"Host: a\r\nExpect: 100-continue\r\n",
        b"Host: a\r\nUpgrade: websocket\r\n",
        b"X: without a host\r\n",
        b"Host: a b\r\n",
        b"Host: a:123456\r\n",
        b"Host: " + b"a" * 301 + b"\r\n",
        b"Host: a\r\nConnection: keep-alive, close\r\n",
        b"Host: a\r\nX: \xff\r\n",
    ],
)
def test_what_is_not_plain_is_tornados_to_judge(fields: bytes) -> None:
    assert plain_fields(fields) is None


def test_plain_fields_are_read() -> None:
    found = plain_fields(b"Host: a:1\r\nConnection: Close\r\nCookie: x=y\r\n")
    assert found is not None
    assert (found["host"], found["connection"], found["cookie"]) == ("a:1", "Close", "x=y")


def test_a_bare_line_end_is_found_also_where_the_pieces_meet() -> None:
    assert has_bare_line_end(b"a\nb", 0) and not has_bare_line_end(b"a\r\nb", 0)
    assert not has_bare_line_end(b"a\r\nb", 2), "its CR came in the piece before"


def test_a_poll_is_of_this_path_and_these_methods_and_has_nothing_behind_it() -> None:
    assert is_poll("GET", "/poll") and is_poll("HEAD", "/poll?x")
    assert not is_poll("POST", "/poll") and not is_poll("GET", "/polls")
    assert is_plain(headers(Host="a")) and is_plain(headers(Content_Length="0"))
    for more in ({"Content_Length": "1"}, {"Transfer_Encoding": "chunked"}, {"Expect": "x"}):
        assert not is_plain(headers(**more))


def test_the_last_request_of_a_connection_says_so() -> None:
    assert says_close("HTTP/1.1", headers(Connection="Keep-Alive, Close"))
    assert not says_close("HTTP/1.1", headers())
    assert says_close("HTTP/1.0", headers()) and says_close("HTTP/1.0", headers(Connection="te"))
    assert not says_close("HTTP/1.0", headers(Connection="Keep-Alive"))


def line(path: str = "/x", version: str = "HTTP/1.1", method: str = "GET") -> RequestStartLine:
    return RequestStartLine(method, path, version)


@pytest.mark.parametrize(
    ("start", "given"),
    [
        (line(), headers()),
        (line(), headers(Host="a b")),
        (line("http://a b/"), headers(Host="a")),
        (line("/poll?\x7f"), headers(Host="a")),
        (line(), headers(Host="a", Content_Length="\u00b2")),
        (line(), headers(Host="a", Content_Length="1" * 5000)),
        (line(), headers(Host="a", Content_Length="-1")),
        (line(version="HTTP/1.0"), headers(Transfer_Encoding="chunked")),
    ],
)
def test_what_tornado_takes_too_easily_is_refused(
    start: RequestStartLine, given: HTTPHeaders
) -> None:
    with pytest.raises(HTTPInputError):
        check_head(start, given)


def test_two_hosts_are_refused() -> None:
    two = headers(Host="a")
    two.add("Host", "b")
    with pytest.raises(HTTPInputError):
        check_head(line(), two)


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        ("http://there/x?y", "/x?y", "there"),
        ("HTTPS://there:1", "/", "there:1"),
        ("http://there?y", "/?y", "there"),
        ("/x", "/x", "here"),
    ],
)
def test_an_absolute_target_is_its_own_host(target: str, path: str, host: str) -> None:
    given = headers(Host="here")
    assert check_head(line(target), given).path == path
    assert given["Host"] == host


def test_http_1_0_needs_no_host() -> None:
    assert check_head(line(version="HTTP/1.0"), headers()).path == "/x"
