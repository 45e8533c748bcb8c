"""Floor 3: who may come in, and what a request's headers say. Functions over headers, so that handlers and
transports that are no `RequestHandler` use the same ones.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from tornado.httputil import HTTPHeaders, HTTPServerRequest

from chatserver.core.errors import (
    BadRequest,
    ChatError,
    Forbidden,
    Unauthenticated,
    UnsupportedMedia,
)
from chatserver.core.events import encode_json
from chatserver.core.fields import json_object
from chatserver.core.limits import Limits
from chatserver.core.origin import origin_allowed
from chatserver.core.people import Login, User
from chatserver.verbs.messages import Service
from chatserver.verbs.sessions import Sessions

ALL_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: under that, browsers send `Origin: null` with our own forms (Fetch, section 3.2).
    "Referrer-Policy": "same-origin",
}


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """What handlers need to know of the settings."""

    limits: Limits
    trusted_proxy: tuple[Network, ...] = ()
    metrics_token: str | None = None


def problem_response(error: ChatError) -> tuple[int, HTTPHeaders, bytes]:
    """Status, headers and body that tell `error` (RFC 9457)."""
    problem = error.problem()
    body = encode_json(problem)
    headers = HTTPHeaders(ALL_HEADERS)
    headers["Content-Type"] = "application/problem+json"
    headers["Cache-Control"] = "no-store"
    headers["Content-Length"] = str(len(body))
    if "retryAfter" in problem:
        headers["Retry-After"] = str(problem["retryAfter"])
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return error.status, headers, body


class HouseGate:
    """Who may come in, told from headers alone; `origins` as `core.origin.normal_origin` writes them."""

    def __init__(self, sessions: Sessions, service: Service, origins: frozenset[str]) -> None:
        self._sessions = sessions
        self._service = service
        self._origins = origins

    def check_origin(self, headers: HTTPHeaders, always: bool = False) -> None:
        """Raises `Forbidden` for a foreign page, unless a token is brought, which no page sends unasked.

        `always`: whatever is brought, because the answer sets a cookie.
        """
        origin, site = headers.get("Origin"), headers.get("Sec-Fetch-Site")
        if (origin is None and site is None) or ("Authorization" in headers and not always):
            return
        if not origin_allowed(origin, site, headers.get("Host", ""), self._origins):
            raise Forbidden("Requests from pages of another site are refused.")

    def known(self, headers: HTTPHeaders) -> Login | None:
        """The login, if it can be told without waiting."""
        return self._sessions.known(headers.get("Cookie"), headers.get("Authorization"))

    async def resolve(self, headers: HTTPHeaders) -> Login:
        """The login. Raises `Unauthenticated`."""
        return await self._sessions.resolve(headers.get("Cookie"), headers.get("Authorization"))

    def expires_at(self, login_id: str) -> int | None:
        """When the login ends by time (ms since 1970); 0 where it has ended, None for never."""
        return self._sessions.expires_at(login_id)

    async def user(self, user_id: str) -> User:
        """The user of a login. Raises `Unauthenticated` where there is none any more."""
        return self._service.known_user(user_id) or await self._service.user(user_id)

    def problem(self, error: ChatError) -> tuple[int, HTTPHeaders, bytes]:
        """Status, headers and body that tell `error`."""
        return problem_response(error)


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


def _trusted(address: str, settings: HttpSettings) -> bool:
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
    if settings.trusted_proxy and _trusted(address, settings):
        for hop in reversed(request.headers.get("X-Forwarded-For", "").split(",")):
            try:
                address = str(ipaddress.ip_address(hop.strip()))
            except ValueError:
                break
            if not _trusted(address, settings):
                break
    if ":" in address:
        network = ipaddress.ip_network(f"{address.partition('%')[0]}/64", strict=False)
        return str(network.network_address) if address != "::1" else address
    return address


def is_https(request: HTTPServerRequest, settings: HttpSettings) -> bool:
    """Whether the client speaks https, as far as the server or a trusted proxy can say."""
    if settings.trusted_proxy and _trusted(request.remote_ip or "", settings):
        proto = request.headers.get("X-Forwarded-Proto")
        if proto is not None:
            return proto.strip().lower() == "https"
    return request.protocol == "https"
