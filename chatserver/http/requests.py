"""What a request says: its JSON, its arguments, its cookies. Where it comes from is `http.proxies`'."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from time import time
from urllib.parse import parse_qs, parse_qsl

from tornado.httputil import HTTPHeaders, HTTPServerRequest, format_timestamp

from chatserver.core.errors import BadRequest, UnsupportedMedia
from chatserver.core.fields import json_object, written_number
from chatserver.core.limits import Limits
from chatserver.http.proxies import Proxies

UNASKED = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
"""What a page of another site can send without asking by CORS first (Fetch, "CORS-safelisted request-header")."""

QUERY_CHARS = 2048
"""Of a transport's query, more than its arguments can have. 16 KB of them took 5 ms, for which a poll does not pay."""

FORM_FIELDS_MAX = 20

ESCAPES_A_REQUEST = 2000
"""So many escapes of a form take as long to be read as a request takes that a handler answers."""

_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """What handlers need to know of the settings."""

    limits: Limits
    proxies: Proxies = field(default_factory=Proxies)
    metrics_token: str | None = None
    hsts_s: int = 0
    """For how long browsers are to come by https only; 0: nothing is said of it."""
    published: bool = False
    """Whether others than this machine's own users are to be expected: a proxy or an origin is set."""
    socketio: bool = False
    """Whether Socket.IO clients are answered."""


def parse_json(method: str, headers: HTTPHeaders, body: bytes) -> dict[str, object]:
    """The object in a request's body; empty where there is no body.

    A body is JSON: a page of another site cannot send this media type without being asked by CORS first, which is
    what guards requests without an `Origin`. Where there is no body, the media type says nothing, and many clients
    set one all the same (aiohttp, `curl -d ''`, urllib). It is passed over where a foreign page cannot have sent the
    request (`_may_be_foreign`).

    Raises `UnsupportedMedia` and `BadRequest`.
    """
    media_type = headers.get("Content-Type", "").partition(";")[0].strip(" \t").lower()
    if media_type != "application/json" and (body or _may_be_foreign(method, media_type, headers)):
        raise UnsupportedMedia("Send the body as application/json.")
    if not body:
        return {}
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("The body is not UTF-8.") from None
    return json_object(text, "The body")


def _may_be_foreign(method: str, media_type: str, headers: HTTPHeaders) -> bool:
    """Whether a page of another site could have sent a request without a body, with somebody's cookie and unasked.

    Not where it brings a token, which a browser attaches to nothing by itself; nor where it says from which page it
    comes, which admission has compared. What is left is a script, or an old browser that says nothing. A page of
    another site makes the latter send a POST without any media type: `sendBeacon`, or `fetch` without a body (Fetch,
    "CORS-safelisted method"). So a POST has to be JSON. For any other method a browser asks by CORS first, whatever its
    media type: those that a form has are refused besides, since some frameworks let a form's POST pass as a PUT.
    """
    if "Authorization" in headers or "Origin" in headers:
        return False
    if headers.get("Sec-Fetch-Site") in ("same-origin", "none"):
        return False
    return method == "POST" or media_type in UNASKED


def cookie_header(headers: HTTPHeaders) -> str | None:
    """All cookies of a request, in one line; None where there are none.

    HTTP/2 splits them, and proxies may leave it so (RFC 9113, section 8.2.3). Joined by a comma, as lists are, they
    could not be told apart.
    """
    if "Cookie" not in headers:
        return None
    lines = headers.get_list("Cookie")
    return lines[0] if len(lines) == 1 else "; ".join(lines)


def argument(request: HTTPServerRequest, name: str) -> str | None:
    """The last value of a query argument; None where it is absent. Raises `BadRequest`."""
    values = request.query_arguments.get(name)
    if not values:
        return None
    try:
        return values[-1].decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest(f"The argument {name} is not UTF-8.") from None


_date_s = 0
_date = ""


def http_date() -> str:
    """The `Date` of an answer (RFC 9110, section 6.6.1), made once a second."""
    global _date_s, _date
    now_s = int(time())
    if now_s != _date_s:
        _date_s, _date = now_s, format_timestamp(now_s)
    return _date


def declared_bytes(headers: HTTPHeaders) -> int:
    """What a request says of the length of its body; 0 where it says nothing that can be read."""
    return written_number(headers.get("Content-Length", "0")) or 0


def escapes(body: bytes) -> int:
    """How many bytes of a form are escaped. Raises `BadRequest` where it cannot be one: 60,000 percent signs took 35 ms to be read."""
    found = body.count(b"%")
    if 3 * found > len(body):
        raise BadRequest("The form makes no sense.")
    return found


def parse_form(body: bytes) -> dict[str, str]:
    """The last value of each field (`application/x-www-form-urlencoded`). Raises `BadRequest`."""
    try:
        text = body.decode("ascii")
        return dict(parse_qsl(text, True, errors="strict", max_num_fields=FORM_FIELDS_MAX))
    except ValueError:
        raise BadRequest("The form makes no sense.") from None


def parse_query(query: str) -> dict[str, str]:
    """The last value of each argument. Raises `BadRequest`."""
    if len(query) > QUERY_CHARS:
        raise BadRequest("The query cannot be read.")
    if "%" not in query and "+" not in query and ";" not in query:
        # What our own clients send; the general way takes ten times as long.
        found = {}
        for part in query.split("&"):
            if part:
                name, _, value = part.partition("=")
                found[name] = value
        return found
    try:
        arguments = parse_qs(query, True, errors="strict", max_num_fields=20)
    except ValueError:
        raise BadRequest("The query cannot be read.") from None
    return {name: values[-1] for name, values in arguments.items()}


def parse_seconds(text: str | None, name: str, default_s: float) -> float:
    """Seconds from a query, from 0 on. Raises `BadRequest`."""
    if text is None or text == "":
        return default_s
    if _SECONDS.fullmatch(text) is None:
        raise BadRequest(f"{name} is seconds: a number from 0 on.")
    return float(text)
