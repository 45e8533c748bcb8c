"""What a page of another origin may read and send: CORS with credentials (Fetch, section 3.3), for exactly the named origins.

Whether its requests count is `core.origin`'s and admission's; here is only what its browser is told. Everybody else is told
nothing: the answer then is as if there were no CORS. Functions of headers, so that what is no handler uses them too.
"""

from __future__ import annotations

from collections.abc import Mapping

from tornado.httputil import HTTPHeaders
from tornado.web import RequestHandler

from chatserver.core.errors import MethodNotAllowed
from chatserver.core.origin import normal_origin

MAX_AGE_S = 7200
"""How long a browser may remember a preflight; Chromium takes no more."""

REQUEST_HEADERS = "Authorization, Content-Type, Last-Event-ID, X-Chat-User"
"""What a client of ours may send beside what is always allowed."""

EXPOSED = "Allow, Date, Retry-After"
"""What script may read of an answer beside what it always may."""

_PREFLIGHT_VARY = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers"

_NOTHING: Mapping[str, str] = {}


NO_SUCH_METHOD = "This address does not answer this method."


class Cors:
    """`origins` as `core.origin.normal_origin` writes them."""

    def __init__(self, origins: frozenset[str]) -> None:
        self._origins = origins

    def headers(self, request: HTTPHeaders) -> Mapping[str, str]:
        """What an answer says, refusals included. `null`, the origin of sandboxes and files, is nobody's."""
        if not self._origins:
            return _NOTHING
        if not self._named(request):
            # A cache must not give somebody's answer without these headers to a named origin.
            return {"Vary": "Origin"}
        return {
            "Vary": "Origin",
            "Access-Control-Allow-Origin": request["Origin"],
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Expose-Headers": EXPOSED,
        }

    def lines(self, request: HTTPHeaders) -> str:
        """The same as lines of a head, for whoever writes one by hand."""
        if not self._origins:
            return ""
        return "".join(f"{name}: {value}\r\n" for name, value in self.headers(request).items())

    def preflight(self, request: HTTPHeaders, methods: str) -> Mapping[str, str] | None:
        """What the answer to a preflight says; None where it is none, or of no named origin."""
        if "Access-Control-Request-Method" not in request or not self._named(request):
            return None
        return {
            "Vary": _PREFLIGHT_VARY,
            "Access-Control-Allow-Origin": request["Origin"],
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Allow-Methods": methods,
            "Access-Control-Allow-Headers": REQUEST_HEADERS,
            "Access-Control-Max-Age": str(MAX_AGE_S),
        }

    def is_abroad(self, request: HTTPHeaders) -> bool:
        """Whether a named origin of another *site* asks: its browser keeps no cookie that is `SameSite=Lax`.

        Said by `Sec-Fetch-Site`, which browsers send over https and to loopback; elsewhere such a cookie, which has to
        be `Secure`, would not be kept anyway.
        """
        return request.get("Sec-Fetch-Site") == "cross-site" and self._named(request)

    def _named(self, request: HTTPHeaders) -> bool:
        origins = request.get_list("Origin") if self._origins else []
        return len(origins) == 1 and normal_origin(origins[0]) in self._origins


def set_all(handler: RequestHandler, headers: Mapping[str, str]) -> None:
    """Set these headers."""
    for name, value in headers.items():
        handler.set_header(name, value)


def answer_preflight(handler: RequestHandler, cors: Cors, methods: str) -> None:
    """Answer 204 to a preflight of a named origin. Raises `MethodNotAllowed` for any other OPTIONS."""
    answer = cors.preflight(handler.request.headers, methods)
    if answer is None:
        raise MethodNotAllowed(NO_SUCH_METHOD)
    handler.clear_header("Access-Control-Expose-Headers")
    set_all(handler, answer)
    handler.set_status(204)
    handler.finish()
