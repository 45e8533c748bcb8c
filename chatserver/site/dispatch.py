"""The first look at a request: a poll's connection is taken over, everything else is the application's.

A poll answered by a `RequestHandler` costs many times one that is answered on its own connection, and polls are
what legacy clients do all day.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Mapping
from typing import Any

from tornado.http1connection import HTTP1Connection
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import IOStream, StreamClosedError
from tornado.web import Application

from chatserver.core.errors import ChatError, RateLimited
from chatserver.delivery.seats import seat_of
from chatserver.delivery.tolls import REST_S
from chatserver.http.heads import check_head, is_plain, is_poll, says_close
from chatserver.http.house import House
from chatserver.http.problems import problem_response
from chatserver.http.requests import http_date
from chatserver.site.turnstile import price_of
from chatserver.transports.connection import Connection
from chatserver.transports.pollconnection import HandBack, PollConnection
from chatserver.transports.watched import WatchedStream


class Dispatch(HTTPServerConnectionDelegate):
    """What Tornado's HTTP server hands every request to.

    `hand_back` is where a connection goes on that was taken over and then asked for something else.
    """

    def __init__(self, application: Application, house: House) -> None:
        self.application = application
        self.house = house
        self.hand_back: HandBack = _nowhere

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """A delegate that makes its choice when the request line is there."""
        return _Choice(self, server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        self.application.on_close(server_conn)


def _nowhere(stream: IOStream, address: Any) -> None:
    stream.close()


class _Choice(HTTPMessageDelegate):
    def __init__(
        self, dispatch: Dispatch, server_conn: object, request_conn: HTTPConnection
    ) -> None:
        self._dispatch = dispatch
        self._server_conn = server_conn
        self._request_conn = request_conn
        self._chosen: HTTPMessageDelegate | None = None

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine)
        connection = self._request_conn
        if isinstance(connection, HTTP1Connection) and isinstance(connection.stream, WatchedStream):
            connection.stream.head_came()
        line = check_head(start_line, headers)
        if isinstance(connection, HTTP1Connection):
            if is_poll(line.method, line.path) and is_plain(headers):
                self._poll(connection.detach(), line, headers)
                return None
            stream = connection.stream
            if isinstance(stream, WatchedStream) and says_close(line.version, headers):
                stream.had_last()
        try:
            wait_s = self._charge(line, headers)
        except RateLimited as error:
            refused = _Refused(connection, line.method, error)
            refused.headers = dict(self._dispatch.house.admission.cors.headers(headers))
            if isinstance(connection, HTTP1Connection) and self._ends(connection.stream):
                refused.headers["Connection"] = "close"
            self._chosen = refused
            return None
        self._chosen = self._dispatch.application.start_request(self._server_conn, connection)
        if wait_s:
            return self._hold_back(wait_s, line, headers)
        return self._chosen.headers_received(line, headers)

    def _charge(self, line: RequestStartLine, headers: HTTPHeaders) -> float:
        """Have whoever asks pay; the seconds for which the request has to wait. Raises `RateLimited`."""
        connection = self._request_conn
        if not isinstance(connection, HTTP1Connection):
            return 0.0
        stream, admission = connection.stream, self._dispatch.house.admission
        seat = seat_of(stream.socket)
        cost, patience_s, bucket = price_of(line.path)
        return admission.charge(headers, cost, self._peer, seat, patience_s, bucket)

    def _ends(self, stream: IOStream) -> bool:
        """Have a connection on which a request was not paid for rest for a while; True where it ends instead (`is_shared`)."""
        ends = self._dispatch.house.admission.is_shared(self._peer())
        if isinstance(stream, WatchedStream):
            if ends:
                stream.had_last()
            else:
                stream.rest(REST_S)
        return ends

    def _peer(self) -> str:
        context = getattr(self._request_conn, "context", None)
        return getattr(context, "remote_ip", None) or ""

    async def _hold_back(self, wait_s: float, line: RequestStartLine, headers: HTTPHeaders) -> None:
        await asyncio.sleep(wait_s)
        assert self._chosen is not None
        going_on = self._chosen.headers_received(line, headers)
        if going_on is not None:
            await going_on

    def _poll(self, stream: IOStream, line: RequestStartLine, headers: HTTPHeaders) -> None:
        dispatch, house = self._dispatch, self._dispatch.house
        with contextlib.suppress(StreamClosedError):
            polls = PollConnection(
                lambda owner: Connection.of_stream(stream, owner, house.delivery.connections),
                house.admission,
                house.delivery,
                dispatch.hand_back,
            )
            polls.start(line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        assert self._chosen is not None
        return self._chosen.data_received(chunk)

    def finish(self) -> None:
        assert self._chosen is not None
        self._chosen.finish()

    def on_connection_close(self) -> None:
        if self._chosen is not None:
            self._chosen.on_connection_close()


class _Refused(HTTPMessageDelegate):
    """A request that was not paid for: no handler sees it. Answered behind its body, so that the answer is heard."""

    def __init__(self, connection: HTTPConnection, method: str, error: ChatError) -> None:
        self._connection = connection
        self._method = method
        self._error = error
        self.headers: Mapping[str, str] = {}
        """More that is said, beside the problem."""

    def finish(self) -> None:
        status, headers, body = problem_response(self._error)
        headers["Date"] = http_date()
        headers.update(self.headers)
        start = ResponseStartLine("HTTP/1.1", status, self._error.title)
        self._connection.write_headers(start, headers, b"" if self._method == "HEAD" else body)
        self._connection.finish()
