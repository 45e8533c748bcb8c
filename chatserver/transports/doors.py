"""What the two handlers share behind which a connection leaves Tornado: refusals, told as problems."""

from __future__ import annotations

from typing import Any, ClassVar

from tornado.web import RequestHandler

from chatserver.core.errors import BadRequest, ChatError, MethodNotAllowed
from chatserver.delivery.delivery import Delivery
from chatserver.http.handlers import as_chat_error, log_unexpected
from chatserver.transports.reader import Gate


class Door(RequestHandler):
    """A GET that becomes a stream, or is refused in JSON."""

    methods: ClassVar[str] = "GET"

    def initialize(self, gate: Gate, delivery: Delivery) -> None:
        self.gate = gate
        self.delivery = delivery

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.clear_header("Content-Type")

    def compute_etag(self) -> str | None:
        """None: there is nothing here that could be revalidated."""
        return None

    def refuse(self, error: ChatError) -> None:
        """Answer with a problem."""
        status, headers, body = self.gate.problem(error)
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


class PollDoor(Door):
    """What asks for `/poll` and is no poll: another method, or a GET with a body."""

    methods = "GET, HEAD"

    def get(self) -> None:
        """Only what the front did not take comes here."""
        raise BadRequest("A poll has no body.")

    def head(self) -> None:
        """As `get`."""
        self.get()
