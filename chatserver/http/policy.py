"""What browsers are told for our safety: where a page's content may come from, and that they are to come by https."""

from __future__ import annotations

import re

from tornado.web import RequestHandler

from chatserver.http.requests import HttpSettings

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


def say_https_only(handler: RequestHandler, settings: HttpSettings) -> None:
    """HSTS, where the settings ask for it: by https alone (RFC 6797, section 7.2)."""
    if settings.hsts_s and settings.proxies.https(handler.request.headers):
        handler.set_header("Strict-Transport-Security", f"max-age={settings.hsts_s}")
