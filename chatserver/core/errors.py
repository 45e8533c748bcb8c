"""Every refusal that a client may be told, and every way a connection may end.

ChatError (code, HTTP status)
├── BadRequest          bad_request             400
├── Unauthenticated     unauthenticated         401
├── Forbidden           forbidden               403
├── NotFound            not_found               404
├── MethodNotAllowed    method_not_allowed      405
├── Conflict            conflict                409
├── AnotherAccount      another_account         409
├── TooLarge            too_large               413
├── UnsupportedMedia    unsupported_media_type  415
├── InvalidField        invalid_field           422   + field
├── UpgradeRequired     upgrade_required        426
├── HeaderTooLarge      header_too_large        431
├── RateLimited         rate_limited            429   + retry_after_s
└── Unavailable         unavailable             503   + retry_after_s

A peer is told the code and the detail; causes go to the log. `Ending` says how a live connection ends:
its WebSocket close code, and whether the client should come back (4001-4499 yes, 4000 and 4500-4999 no).
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar


class ChatError(Exception):
    """A refusal with a code that clients can rely on.

    `detail` is one sentence for the person at the other end; it never holds a secret or a cause
    that is only of interest to the operator.
    """

    code: ClassVar[str] = "unavailable"
    status: ClassVar[int] = 500

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    @property
    def title(self) -> str:
        """The status in words (RFC 9110, section 15)."""
        return HTTPStatus(self.status).phrase

    def extras(self) -> dict[str, Any]:
        """Members that this kind of problem adds to its JSON (RFC 9457, section 3.2)."""
        return {}

    def problem(self) -> dict[str, Any]:
        """The RFC 9457 problem object."""
        return {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            **self.extras(),
        }


class BadRequest(ChatError):
    code = "bad_request"
    status = 400


class Unauthenticated(ChatError):
    code = "unauthenticated"
    status = 401


class Forbidden(ChatError):
    code = "forbidden"
    status = 403


class NotFound(ChatError):
    code = "not_found"
    status = 404


class MethodNotAllowed(ChatError):
    code = "method_not_allowed"
    status = 405


class Conflict(ChatError):
    code = "conflict"
    status = 409


class AnotherAccount(ChatError):
    """The page that asks belongs to another account than the login that it brings."""

    code = "another_account"
    status = 409


class TooLarge(ChatError):
    code = "too_large"
    status = 413


class UnsupportedMedia(ChatError):
    code = "unsupported_media_type"
    status = 415


class InvalidField(ChatError):
    """A field of the request breaks a rule; `field` is its name on the wire."""

    code = "invalid_field"
    status = 422

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(detail)
        self.field = field

    def extras(self) -> dict[str, Any]:
        return {"field": self.field}


class UpgradeRequired(ChatError):
    code = "upgrade_required"
    status = 426


class HeaderTooLarge(ChatError):
    code = "header_too_large"
    status = 431


class _Later(ChatError):
    """A refusal that ends by itself: try again after `retry_after_s` seconds."""

    def __init__(self, detail: str, retry_after_s: float) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s

    def extras(self) -> dict[str, Any]:
        return {"retryAfter": max(1, -int(-self.retry_after_s // 1))}


class RateLimited(_Later):
    code = "rate_limited"
    status = 429


class Unavailable(_Later):
    code = "unavailable"
    status = 503

    def __init__(self, detail: str, retry_after_s: float = 1.0) -> None:
        super().__init__(detail, retry_after_s)


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a live connection ends: a WebSocket close code (RFC 6455, section 7.4) and a word for `bye`."""

    close_code: int
    reason: str
    retry: bool


RESTARTING = Ending(1012, "restarting", True)
CUT_OFF = Ending(1012, "cut off", True)
"""The node that ends it hears no other any more."""
SUPERSEDED = Ending(4000, "superseded", False)
TOO_SLOW = Ending(4008, "too slow", True)
TOO_MANY = Ending(4029, "too many connections", True)
BAD_FRAMES = Ending(4500, "bad frames", False)
SIGNED_OUT = Ending(4501, "signed out", False)
SESSION_EXPIRED = Ending(4502, "session expired", False)
ANOTHER_ACCOUNT = Ending(4503, "another account", False)
