"""How a refusal looks on HTTP: what a client must know of it stands in its headers too."""

from __future__ import annotations

import json
import logging

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError

from chatserver.core.errors import (
    BadRequest,
    ChatError,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from chatserver.http.problems import as_chat_error, log_unexpected, problem_response


@pytest.mark.parametrize(
    "error", [RateLimited("Too fast.", 2.2), Unavailable("Not now.", 5)], ids=["429", "503"]
)
def test_when_to_come_back_stands_in_the_header_as_in_the_body(error: ChatError) -> None:
    status, headers, body = problem_response(error)
    assert status == error.status
    assert int(headers["Retry-After"]) == json.loads(body)["retryAfter"] >= 2


def test_who_is_not_signed_in_is_told_how_to() -> None:
    _, headers, body = problem_response(Unauthenticated("Sign in first."))
    assert headers["WWW-Authenticate"] == "Bearer" and "Retry-After" not in headers
    assert headers["Content-Length"] == str(len(body))
    assert headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("raised", "status", "kind"),
    [
        (BadRequest("as it is"), 500, BadRequest),
        (HTTPError(404, "a secret"), 404, NotFound),
        (HTTPError(405, "a secret"), 405, MethodNotAllowed),
        (HTTPError(413, "a secret"), 413, TooLarge),
        (HTTPError(411, "a secret"), 411, BadRequest),
        (HTTPError(418, "a secret"), 418, BadRequest),
        (HTTPError(503, "a secret"), 503, ChatError),
        (None, 404, NotFound),
        (None, 500, ChatError),
        (KeyError("a secret"), 500, ChatError),
    ],
)
def test_what_a_client_hears_of_an_exception_is_never_its_text(
    raised: BaseException | None, status: int, kind: type[ChatError]
) -> None:
    error = as_chat_error(raised, status)
    assert type(error) is kind and "secret" not in error.detail


def test_only_what_nobody_expected_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    request = HTTPServerRequest(
        start_line=RequestStartLine("GET", "/x?secret", "HTTP/1.0"), headers=HTTPHeaders()
    )
    for expected in (BadRequest("no"), HTTPError(404), StreamClosedError()):
        log_unexpected(request, type(expected), expected, None)
    assert caplog.records == []
    with caplog.at_level(logging.ERROR):
        log_unexpected(request, KeyError, KeyError("x"), None)
    assert [record.message for record in caplog.records] == ["GET /x failed"]
