"""What every handler of ours shares: bounded bodies, our headers, who asks, and refusals in the form of the address."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any, ClassVar

from tornado.web import RequestHandler, stream_request_body

from chatserver.core.errors import ChatError, MethodNotAllowed, NotFound, TooLarge
from chatserver.core.events import encode_json
from chatserver.core.people import Login
from chatserver.delivery.seats import sign_in
from chatserver.http.admission import Admission, Arrival, Ask
from chatserver.http.house import House
from chatserver.http.problems import (
    ALL_HEADERS,
    as_chat_error,
    log_unexpected,
    problem_response,
)
from chatserver.http.requests import (
    HttpSettings,
    argument,
    cookie_header,
    declared_bytes,
    parse_json,
    parse_query,
)
from chatserver.http.words import COOKIE as LANGUAGE_COOKIE
from chatserver.http.words import Language
from chatserver.verbs.cookies import cookie_named

log = logging.getLogger(__name__)

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'%s; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
"""Nothing but our own files: a text that became markup by mistake could still do nothing."""

_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,300}")


def page_policy(host: str, https: bool) -> str:
    """The policy of a page that was asked for at `host`.

    Its WebSockets are named, because `'self'` does not cover them in browsers of before 2022 (Safari to 15.3); of
    this host alone, so that nothing can be carried off to another.
    """
    if not _HOST.fullmatch(host):
        return CSP % ""
    return CSP % (f" wss://{host}" if https else f" ws://{host} wss://{host}")


DISCARD_BYTES = 1024 * 1024
"""So much of a body that is too large is read and thrown away, so that the client sees the answer and not
a cut connection (RFC 9110, section 15.5.14); more, and the connection is closed."""


def allowed_methods(handler: type[RequestHandler]) -> str:
    """The methods that a handler answers, for `Allow`: whatever answers GET answers HEAD."""
    nothing = RequestHandler._unimplemented_method
    found = [m for m in METHODS if getattr(handler, m.lower()) is not nothing]
    return ", ".join(m for m in found if m != "HEAD" or "GET" in found)


def say_https_only(handler: RequestHandler, settings: HttpSettings) -> None:
    """HSTS, where the settings ask for it: by https alone (RFC 6797, section 7.2)."""
    if settings.hsts_s and settings.proxies.https(handler.request.headers):
        handler.set_header("Strict-Transport-Security", f"max-age={settings.hsts_s}")


@stream_request_body
class BaseHandler(RequestHandler):
    """A request with bounded body, our headers, and refusals as problems.

    The body is taken in by hand (Tornado's `stream_request_body`), because Tornado answers one that is
    too large with an empty 400, or reads it whole first.
    """

    house: House
    drained = True
    """Whether requests are refused while the server drains."""

    def initialize(self, house: House, **more: Any) -> None:
        self.house = house
        self._chunks: list[bytes] = []
        self._body_bytes = 0
        self._counted = False
        self._address: str | None = None
        self.set_house_headers()

    def set_default_headers(self) -> None:
        for name, value in ALL_HEADERS.items():
            self.set_header(name, value)
        self.clear_header("Server")
        if hasattr(self, "house"):
            self.set_house_headers()

    def set_house_headers(self) -> None:
        """Headers that depend on the settings. Tornado makes the others before `initialize`, and all anew for an error."""
        say_https_only(self, self.house.settings)

    def compute_etag(self) -> str | None:
        """None: what a POST or a poll of the state answers is not to become a 304."""
        return None

    def admit(self) -> None:
        """What can be refused for the headers alone. Raises `ChatError`."""
        if self.drained:
            self.house.delivery.readers.refuse_while_draining()

    def prepare(self) -> Awaitable[None] | None:
        self.house.active_requests += 1
        self._counted = True
        try:
            self.admit()
        except ChatError as error:
            self._refuse_after_body(error)
        # Our own bound counts, in `data_received`.
        self.request.connection.set_max_body_size(2**62)  # type: ignore[union-attr]
        if declared_bytes(self.request.headers) > DISCARD_BYTES:
            raise TooLarge(self._too_large())
        return None

    def head(self, *arguments: str) -> Awaitable[None] | None:
        """As GET, without the body, which Tornado leaves out (RFC 9110, section 9.3.2)."""
        get: Callable[..., Awaitable[None] | None] = self.get
        return get(*arguments)

    def _refuse_after_body(self, error: ChatError) -> None:
        # An answer before the body has been read closes the connection on what is still coming, and the
        # client may then see a reset instead of the answer. So the refusal takes the verb's place.
        def refuse(*_: str) -> None:
            raise error

        setattr(self, str(self.request.method).lower(), refuse)

    def on_finish(self) -> None:
        self._done()

    def on_connection_close(self) -> None:
        # Nobody is left to be answered; Tornado does not finish such a request.
        super().on_connection_close()
        self._done()

    def _done(self) -> None:
        if self._counted:
            self.house.active_requests -= 1
            self._counted = False
        self._chunks = []

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        self._body_bytes += len(chunk)
        if self._body_bytes <= self.house.settings.limits.body_bytes:
            self._chunks.append(chunk)
        elif self._body_bytes > DISCARD_BYTES and not self._finished:
            # An answer before the request's end closes the connection.
            self.refuse(TooLarge(self._too_large()))
        return None

    def _too_large(self) -> str:
        return f"A body has at most {self.house.settings.limits.body_bytes} bytes."

    def taken_body(self) -> bytes:
        """The whole body. Raises `TooLarge`."""
        if self._body_bytes > self.house.settings.limits.body_bytes:
            raise TooLarge(self._too_large())
        return b"".join(self._chunks)

    # Who asks.

    @property
    def address(self) -> str:
        """Whose bucket the request pays from: a key for limits."""
        if self._address is None:
            peer = self.request.remote_ip or ""
            self._address = self.house.settings.proxies.client(peer, self.request.headers)
        return self._address

    @property
    def https(self) -> bool:
        """Whether cookies are to be sent over https only."""
        return self.house.settings.proxies.https(self.request.headers)

    def take_cookies_away(self) -> None:
        """Have the browser forget its login; a cookie that was set or renewed just now too."""
        self.clear_header("Set-Cookie")
        for cookie in self.house.sessions.no_cookies():
            self.add_header("Set-Cookie", cookie)

    async def arrive(self, ask: Ask) -> Arrival:
        """Who asks; renews a cookie that is getting old. Raises as `Admission.admit`."""
        admission = self.house.admission
        arrival = admission.known(ask) or await admission.admit(ask)
        sign_in(
            getattr(getattr(self.request.connection, "stream", None), "socket", None),
            arrival.user.id,
        )
        sessions = self.house.sessions
        renewed = sessions.renewed_cookie(ask.cookie, arrival.login, self.https)
        if renewed is not None:
            self.add_header("Set-Cookie", renewed)
        return arrival

    def argument(self, name: str) -> str | None:
        """The last value of a query argument; None where it is absent. Raises `BadRequest`."""
        return argument(self.request, name)

    # Refusals.

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        log_unexpected(self.request, typ, value, tb)

    def allowed(self) -> str:
        """The methods that this address answers, for `Allow`."""
        return allowed_methods(type(self))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with a refusal; what it was is in `exc_info`."""
        raised = kwargs.get("exc_info", (None, None, None))[1]
        error = as_chat_error(raised, status_code)
        if isinstance(error, MethodNotAllowed):
            self.set_header("Allow", self.allowed())
        if isinstance(error, TooLarge) and self._body_bytes == 0:
            self.set_header("Connection", "close")
        self.refuse(error)

    def refuse(self, error: ChatError) -> None:
        """Answer with a problem."""
        status, headers, body = problem_response(error)
        self.set_status(status)
        for name, value in headers.get_all():
            self.set_header(name, value)
        self.finish(body)


class ApiHandler(BaseHandler):
    """A JSON request: whoever may come in asks, and the answer is not kept by anybody."""

    sets_cookie = False
    _ask: Ask

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")

    def admit(self) -> None:
        if self.drained:
            headers = self.request.headers
            self._ask = self.house.admission.ask(headers, sets_cookie=self.sets_cookie)

    async def login(self) -> Login:
        """The login of whoever asks. Raises `Unauthenticated` and `AnotherAccount`."""
        return (await self.arrive(self._ask)).login

    def fields(self) -> dict[str, object]:
        """The JSON object in the body; empty where there is none."""
        return parse_json(self.request.headers, self.taken_body())

    def no_fields(self) -> None:
        """For a request whose body says nothing: still none that a form could send."""
        self.fields()

    def answer(self, value: Any, status: int = 200) -> None:
        """Answer with JSON; `value` may be bytes that are JSON already."""
        body = value if isinstance(value, bytes) else encode_json(value)
        self.set_status(status)
        self.set_header("Content-Type", "application/json")
        self.finish(body)

    def done(self) -> None:
        """Answer 204: it is done, and there is nothing to say."""
        self.set_status(204)
        self.finish()


class PageHandler(BaseHandler):
    """An answer for people: HTML, with the policy that keeps foreign script out."""

    def set_default_headers(self) -> None:
        super().set_default_headers()
        # For browsers that do not know `frame-ancestors`.
        self.set_header("X-Frame-Options", "DENY")
        self.set_header("Content-Type", "text/html; charset=utf-8")

    def set_house_headers(self) -> None:
        super().set_house_headers()
        policy = page_policy(self.request.headers.get("Host", ""), self.https)
        self.set_header("Content-Security-Policy", policy)

    @property
    def language(self) -> Language:
        """The reader's: what was chosen in this browser, else what the browser asks for."""
        headers = self.request.headers
        chosen = cookie_named(cookie_header(headers), LANGUAGE_COOKIE)
        return self.house.words.choose(chosen, headers.get("Accept-Language", ""))

    def refuse(self, error: ChatError) -> None:
        """Answer with a page that says what is wrong. Its words are ours, and hold no markup."""
        problem = error.problem()
        self.set_status(error.status)
        self.set_header("Cache-Control", "no-store")
        if "retryAfter" in problem:
            self.set_header("Retry-After", str(problem["retryAfter"]))
        language = self.language
        title = language.refusal_title(problem["code"], problem["title"])
        detail = language.refusal(problem["code"], error.detail)
        self.finish(
            f'<!doctype html><html lang="{language.tag}" dir="{language.direction}"><meta charset="utf-8">'
            f"<title>{title}</title><h1>{title}</h1><p>{detail}</p>"
            f'<p><a href="/">{language.say("page.start")}</a></p></html>\n'
        )


class UnknownAddress(ApiHandler):
    """404 for every method, as a problem."""

    drained = False

    def admit(self) -> None:
        raise NotFound("There is nothing at this address.")


class StreamHandler(RequestHandler):
    """A GET whose connection then leaves Tornado, or that is refused as a problem.

    `initialize` is given the rooms that it may touch, by name.
    """

    methods: ClassVar[str] = "GET, HEAD"

    def initialize(self, **rooms: Any) -> None:
        self._admission: Admission = rooms["admission"]

    def ask(self, last_event_id: str | None = None) -> Ask:
        """What the request says of who asks. Raises as `Admission.ask`."""
        query = parse_query(self.request.query)
        return self._admission.ask(self.request.headers, query, last_event_id=last_event_id)

    async def arrive(self, last_event_id: str | None = None) -> Arrival:
        """Who asks. Raises as `Admission`."""
        ask = self.ask(last_event_id)
        return self._admission.known(ask) or await self._admission.admit(ask)

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.clear_header("Content-Type")

    def compute_etag(self) -> str | None:
        """None: there is nothing here that could be revalidated."""
        return None

    def refuse(self, error: ChatError) -> None:
        """Answer with a problem."""
        status, headers, body = problem_response(error)
        self.set_status(status)
        for name, value in headers.get_all():
            self.set_header(name, value)
        if isinstance(error, MethodNotAllowed):
            self.set_header("Allow", self.methods)
        self.finish(body)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.refuse(as_chat_error(kwargs.get("exc_info", (None, None, None))[1], status_code))

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        log_unexpected(self.request, typ, value, tb)


def log_request(handler: RequestHandler) -> None:
    """One line a request: no query, no headers, nothing that could be a secret."""
    status = handler.get_status()
    level = logging.WARNING if status >= HTTPStatus.INTERNAL_SERVER_ERROR else logging.DEBUG
    request = handler.request
    ms = 1000 * request.request_time()
    log.log(level, "%s %s %d %.1f ms", request.method, request.path, status, ms)
