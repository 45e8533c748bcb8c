"""What a request says: its JSON, where it comes from, whether it came by https."""

from __future__ import annotations

import ipaddress
import time
from dataclasses import dataclass
from urllib.parse import parse_qs

from tornado.httputil import HTTPHeaders, HTTPServerRequest, format_timestamp

from chatserver.core.errors import BadRequest, UnsupportedMedia
from chatserver.core.fields import json_object
from chatserver.core.limits import Limits

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """What handlers need to know of the settings."""

    limits: Limits
    trusted_proxy: tuple[Network, ...] = ()
    metrics_token: str | None = None


def parse_json(headers: HTTPHeaders, body: bytes) -> dict[str, object]:
    """The object in a request's body; empty where there is no body.

    A page of another site cannot send this media type without being asked by CORS first, which is
    what guards requests without an `Origin`. Raises `UnsupportedMedia` and `BadRequest`.
    """
    media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type != "application/json" and (body or media_type):
        raise UnsupportedMedia("Send the body as application/json.")
    if not body:
        return {}
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("The body is not UTF-8.") from None
    return json_object(text, "The body")


def _is_trusted(address: str, settings: HttpSettings) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in settings.trusted_proxy)


def client_address(request: HTTPServerRequest, settings: HttpSettings) -> str:
    """Where the request comes from: the peer, or what a trusted proxy says of it.

    From the right of `X-Forwarded-For`, the first that is no trusted proxy: what stands further left
    anybody can have written. IPv6 is cut to /64, which is what one customer gets.
    """
    address = request.remote_ip or ""
    if settings.trusted_proxy and _is_trusted(address, settings):
        for hop in reversed(request.headers.get("X-Forwarded-For", "").split(",")):
            try:
                address = str(ipaddress.ip_address(hop.strip()))
            except ValueError:
                break
            if not _is_trusted(address, settings):
                break
    if ":" in address:
        network = ipaddress.ip_network(f"{address.partition('%')[0]}/64", strict=False)
        return str(network.network_address) if address != "::1" else address
    return address


def is_https(request: HTTPServerRequest, settings: HttpSettings) -> bool:
    """Whether the client speaks https, as far as the server or a trusted proxy can say."""
    if settings.trusted_proxy and _is_trusted(request.remote_ip or "", settings):
        proto = request.headers.get("X-Forwarded-Proto")
        if proto is not None:
            return proto.strip().lower() == "https"
    return request.protocol == "https"


def argument(request: HTTPServerRequest, name: str) -> str | None:
    """The last value of a query argument; None where it is absent. Raises `BadRequest`."""
    values = request.query_arguments.get(name)
    if not values:
        return None
    try:
        return values[-1].decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest(f"The argument {name} is not UTF-8.") from None


_date = (0, "")


def http_date() -> str:
    """The `Date` of an answer (RFC 9110, section 6.6.1), made once a second."""
    global _date
    now_s = int(time.time())
    if _date[0] != now_s:
        _date = (now_s, format_timestamp(now_s))
    return _date[1]


def parse_query(query: str) -> dict[str, str]:
    """The last value of each argument. Raises `BadRequest`."""
    if "%" not in query and "+" not in query and ";" not in query:
        # What our own clients send; the general way takes ten times as long.
        return dict(part.partition("=")[::2] for part in query.split("&") if part)
    try:
        arguments = parse_qs(query, True, errors="strict", max_num_fields=20)
    except ValueError:
        raise BadRequest("The query cannot be read.") from None
    return {name: values[-1] for name, values in arguments.items()}


def parse_seconds(text: str | None, name: str, default_s: float) -> float:
    """Seconds from a query, from 0 on. Raises `BadRequest`."""
    if text is None or text == "":
        return default_s
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise BadRequest(f"{name} is seconds: a number from 0 on.")
    return seconds
