"""The first look at a request: a poll's connection is taken over, everything else is the application's.

A poll answered by a `RequestHandler` costs many times one that is answered on its own connection, and polls are
what legacy clients do all day.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable
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

from chatserver.http.heads import check_head, is_plain, is_poll, says_close
from chatserver.http.house import House
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
        self._chosen = self._dispatch.application.start_request(self._server_conn, connection)
        return self._chosen.headers_received(line, headers)

    def _poll(self, stream: IOStream, line: RequestStartLine, headers: HTTPHeaders) -> None:
        dispatch, house = self._dispatch, self._dispatch.house
        with contextlib.suppress(StreamClosedError):
            polls = PollConnection(stream, house.admission, house.delivery, dispatch.hand_back)
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
