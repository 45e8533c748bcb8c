"""How a refusal looks on HTTP, and what of a failure is logged. Functions, so that what is no handler uses them too."""

from __future__ import annotations

import logging
from collections.abc import Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler

from chatserver.core.errors import (
    BadRequest,
    ChatError,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    Unauthenticated,
)
from chatserver.core.events import encode_json

log = logging.getLogger(__name__)

ALL_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # Not `no-referrer`: under that, browsers send `Origin: null` with our own forms (Fetch, section 3.2).
    "Referrer-Policy": "same-origin",
}


def json_answer(value: Any) -> tuple[HTTPHeaders, bytes]:
    """Headers and body of an answer that is JSON and is not to be kept."""
    body = encode_json(value)
    headers = HTTPHeaders(ALL_HEADERS)
    headers["Content-Type"] = "application/json"
    headers["Cache-Control"] = "no-store"
    headers["Content-Length"] = str(len(body))
    return headers, body


def problem_response(error: ChatError) -> tuple[int, HTTPHeaders, bytes]:
    """Status, headers and body of the answer that refuses with `error` (RFC 9457)."""
    problem = error.problem()
    headers, body = json_answer(problem)
    headers["Content-Type"] = "application/problem+json"
    if "retryAfter" in problem:
        headers["Retry-After"] = str(problem["retryAfter"])
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = "Bearer"
    return error.status, headers, body


def log_unexpected(
    request: HTTPServerRequest,
    typ: type[BaseException] | None,
    value: BaseException | None,
    tb: TracebackType | None,
) -> None:
    """Log what nobody expected: refusals are the client's business, and it is told them."""
    if isinstance(value, (ChatError, HTTPError, StreamClosedError)):
        return
    log.error("%s %s failed", request.method, request.path, exc_info=(typ, value, tb))  # type: ignore[arg-type]


def as_chat_error(raised: BaseException | None, status: int) -> ChatError:
    """What a client hears of an exception: never its text, unless that was meant for it."""
    if isinstance(raised, ChatError):
        return raised
    by_status: dict[int, Callable[[], ChatError]] = {
        404: lambda: NotFound("There is nothing at this address."),
        405: lambda: MethodNotAllowed("This address does not answer this method."),
        413: lambda: TooLarge("The body is too large."),
    }
    if isinstance(raised, HTTPError) and raised.status_code in by_status:
        return by_status[raised.status_code]()
    if isinstance(raised, HTTPError) and 400 <= raised.status_code < 500:
        return BadRequest("The request makes no sense.")
    if raised is None and status in by_status:
        return by_status[status]()
    return ChatError("Something went wrong here; it has been noted.")


def log_request(handler: RequestHandler) -> None:
    """One line a request: no query, no headers, nothing that could be a secret."""
    status = handler.get_status()
    level = logging.WARNING if status >= HTTPStatus.INTERNAL_SERVER_ERROR else logging.DEBUG
    request = handler.request
    ms = 1000 * request.request_time()
    log.log(level, "%s %s %d %.1f ms", request.method, request.path, status, ms)
