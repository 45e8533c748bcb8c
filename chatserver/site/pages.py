"""The page and its files (`site.files`): `/static/<digest>/…` may be kept for ever.

Relative imports inside ES modules stay under the digest, so a new version of one file is a new address for all
(`static_url` would miss the imports).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tornado.routing import URLSpec

from chatserver.core.errors import NotFound
from chatserver.http.cors import set_all
from chatserver.http.handlers import PageHandler
from chatserver.http.house import House
from chatserver.http.requests import cookie_header
from chatserver.site.files import DIGEST_CHARS, File, Web, takes_gzip
from chatserver.verbs.cookies import all_session_cookies

PAGES = {
    "/": "index.html",
    "/lab": "lab.html",
    "/legacy": "legacy.html",
    # Asked for by browsers unasked, where a page names no icon.
    "/favicon.ico": "icon.svg",
    # At the root, whose pages it serves.
    "/sw.js": "sw.js",
}


def web_folder() -> Path:
    """Where the page is: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "web"
    return inside if inside.is_dir() else package.parent / "web"


class FileHandler(PageHandler):
    """A page or one of its files."""

    drained = False

    def initialize(self, house: House, **more: Any) -> None:
        super().initialize(house)
        self._web: Web = more["web"]

    def set_house_headers(self) -> None:
        super().set_house_headers()
        if self.request.path.startswith("/static/"):
            # The client library, for pages of the named origins.
            set_all(self, self.house.admission.cors.headers(self.request.headers))

    async def get(self, path: str | None = None) -> None:
        if path is None:
            file, kept = self._named(PAGES[self.request.path]), False
        else:
            digest, _, rest = path.partition("/")
            # A page of an older version may still be open: it gets today's files, but does not keep them.
            versioned = re.fullmatch(f"[0-9a-f]{{{DIGEST_CHARS}}}", digest) is not None
            file = await self._web.any_file(rest if versioned else path)
            kept = digest == self._web.digest
        cache = "public, max-age=31536000, immutable" if kept else "no-cache"
        self.set_header("Cache-Control", cache)
        self.set_header("Content-Type", file.media_type)
        if not file.is_page:
            # What no browser shows by itself: three hundred bytes on each of forty files say nothing.
            self.clear_header("Content-Security-Policy")
            self.clear_header("X-Frame-Options")
        self._send(file)

    def _named(self, name: str) -> File:
        if not name.endswith(".html"):
            return self._web.file(name)
        self.set_header("Vary", "Accept-Language, Cookie")
        # Whoever brings a session is most likely signed in, and does not want to be welcomed first.
        visitor = not any(all_session_cookies(cookie_header(self.request.headers)))
        return self._web.page(name, self.language, self.house.words.names, visitor)

    def _send(self, file: File) -> None:
        body, etag = file.body, file.etag
        if file.packed is not None:
            self.add_header("Vary", "Accept-Encoding")
            if takes_gzip(self.request.headers.get("Accept-Encoding", "")):
                body, etag = file.packed, f'{etag[:-1]}-gzip"'
                self.set_header("Content-Encoding", "gzip")
        self.set_header("ETag", etag)
        if _names(self.request.headers.get("If-None-Match", ""), etag):
            self.clear_header("Content-Encoding")
            self.set_status(304)
            self.finish()
            return
        self.finish(body)


def _names(if_none_match: str, etag: str) -> bool:
    """Whether this version is one of those that the client has (RFC 9110, section 13.1.2); a proxy may have weakened it."""
    had = [each.strip().removeprefix("W/") for each in if_none_match.split(",")]
    return etag in had


class UnknownPage(PageHandler):
    """404 for people."""

    drained = False

    def admit(self) -> None:
        raise NotFound("There is nothing at this address.")


def routes(house: House, web: Web) -> list[Any]:
    """The pages' part of the application."""
    arguments = {"house": house, "web": web}
    pages = [URLSpec(re.escape(path), FileHandler, arguments) for path in PAGES]
    return [*pages, URLSpec(r"/static/(.+)", FileHandler, arguments)]
