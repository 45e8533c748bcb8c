"""What every handler of ours shares: bounded bodies, our headers, who asks, and refusals in the form of the address."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, ClassVar

from tornado.web import RequestHandler, stream_request_body

from chatserver.core.errors import ChatError, MethodNotAllowed, NotFound, TooLarge, Unavailable
from chatserver.core.events import encode_json
from chatserver.core.people import Login
from chatserver.delivery.seats import sign_in
from chatserver.http.admission import Admission, Arrival, Ask
from chatserver.http.cors import NO_SUCH_METHOD, answer_preflight, set_all
from chatserver.http.house import House
from chatserver.http.policy import page_policy, say_https_only
from chatserver.http.problems import (
    ALL_HEADERS,
    as_chat_error,
    log_unexpected,
    problem_response,
)
from chatserver.http.requests import (
    argument,
    cookie_header,
    declared_bytes,
    parse_json,
    parse_query,
)
from chatserver.http.words import COOKIE as LANGUAGE_COOKIE
from chatserver.http.words import Language
from chatserver.verbs.cookies import cookie_named, name_for, port_of

log = logging.getLogger(__name__)

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")

DISCARD_BYTES = 1024 * 1024
"""So much of a body that is too large is read and thrown away, so that the client sees the answer and not
a cut connection (RFC 9110, section 15.5.14); more, and the connection is closed."""


def allowed_methods(handler: type[RequestHandler]) -> str:
    """The methods that a handler answers, for `Allow`: whatever answers GET answers HEAD."""
    nothing = RequestHandler._unimplemented_method
    found = [m for m in METHODS if getattr(handler, m.lower()) is not nothing]
    return ", ".join(m for m in found if m != "HEAD" or "GET" in found)


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

    @property
    def abroad(self) -> bool:
        """Whether a page of a named origin of another site asks, which needs a cookie of its own kind."""
        return self.house.admission.cors.is_abroad(self.request.headers)

    async def give_cookie(self, login: Login) -> None:
        """Have the browser remember its login, in the place of the one that it had."""
        with contextlib.suppress(Unavailable):
            # The new one is made already; the old one ends by itself some day.
            await self.house.sessions.end_replaced(cookie_header(self.request.headers), login)
        sessions, headers = self.house.sessions, self.request.headers
        cookies, port = cookie_header(headers), port_of(headers.get("Host", ""))
        name = name_for(cookies, self.https, port, sessions.is_ours)
        self.add_header("Set-Cookie", sessions.cookie(login, self.https, self.abroad, name))

    def take_cookies_away(self) -> None:
        """Have the browser forget its login; a cookie that was set or renewed just now too."""
        self.clear_header("Set-Cookie")
        headers, sessions = self.request.headers, self.house.sessions
        for cookie in sessions.away(cookie_header(headers), headers.get("Host", ""), self.abroad):
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
        renewed = sessions.renewed_cookie(
            ask.cookie, arrival.login, self.https, self.abroad, ask.port
        )
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
    shared = True
    """Whether pages of the named origins may use it."""
    _ask: Ask

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Cache-Control", "no-store")

    def set_house_headers(self) -> None:
        super().set_house_headers()
        if self.shared:
            set_all(self, self.house.admission.cors.headers(self.request.headers))

    def options(self, *_: str) -> None:
        """What a browser asks before it lets a page of another origin ask. Raises `MethodNotAllowed` where it is not that."""
        if not self.shared:
            raise MethodNotAllowed(NO_SUCH_METHOD)
        answer_preflight(self, self.house.admission.cors, self.allowed())

    def admit(self) -> None:
        if self.drained and self.request.method != "OPTIONS":
            headers = self.request.headers
            self._ask = self.house.admission.ask(headers, sets_cookie=self.sets_cookie)

    async def login(self) -> Login:
        """The login of whoever asks. Raises `Unauthenticated` and `AnotherAccount`."""
        return (await self.arrive(self._ask)).login

    def fields(self) -> dict[str, object]:
        """The JSON object in the body; empty where there is none."""
        return parse_json(str(self.request.method), self.request.headers, self.taken_body())

    def no_fields(self) -> None:
        """For a request whose body says nothing: still none that a form, or an old browser's script, could send."""
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
        self._set_cors()

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
        if hasattr(self, "_admission"):
            self._set_cors()

    def _set_cors(self) -> None:
        # Tornado makes the other headers before `initialize`, and all anew for an error.
        set_all(self, self._admission.cors.headers(self.request.headers))

    def options(self) -> None:
        """A preflight, as of the API."""
        answer_preflight(self, self._admission.cors, self.methods)

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
