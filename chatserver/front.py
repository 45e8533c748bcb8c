"""The first look at a request: polls go past the application, everything else into it.

A poll answered by a `RequestHandler` costs three times one answered by a message delegate, and polls are what
legacy clients do all day.
"""

from __future__ import annotations

from collections.abc import Awaitable

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.web import Application

from chatserver.delivery import Delivery
from chatserver.transports.base import Gate
from chatserver.transports.longpoll import PollRequest


class Front(HTTPServerConnectionDelegate):
    """What Tornado's HTTP server hands every request to."""

    def __init__(self, application: Application, gate: Gate, delivery: Delivery) -> None:
        self.application = application
        self.gate = gate
        self.delivery = delivery

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """A delegate that makes its choice when the request line is there."""
        return _Choice(self, server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        self.application.on_close(server_conn)


class _Choice(HTTPMessageDelegate):
    def __init__(self, front: Front, server_conn: object, request_conn: HTTPConnection) -> None:
        self._front = front
        self._server_conn = server_conn
        self._request_conn = request_conn
        self._chosen: HTTPMessageDelegate | None = None

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        assert isinstance(start_line, RequestStartLine)
        front, path = self._front, start_line.path
        if path.startswith("/poll") and path[5:6] in ("", "?"):
            self._chosen = PollRequest(
                self._request_conn, start_line, headers, front.gate, front.delivery
            )
            return None
        self._chosen = front.application.start_request(self._server_conn, self._request_conn)
        return self._chosen.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        assert self._chosen is not None
        return self._chosen.data_received(chunk)

    def finish(self) -> None:
        assert self._chosen is not None
        self._chosen.finish()

    def on_connection_close(self) -> None:
        if self._chosen is not None:
            self._chosen.on_connection_close()
