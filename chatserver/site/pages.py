"""The page and its files, served as they lie in `web/`, under an address that names their content.

`/static/<digest>/…` may be kept for ever: relative imports inside ES modules stay under the digest, so a new
version of one file is a new address for all (`static_url` would miss the imports).
"""

from __future__ import annotations

import hashlib
import mimetypes
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tornado.routing import URLSpec

from chatserver.core.errors import NotFound
from chatserver.http.handlers import PageHandler
from chatserver.http.house import House

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
}
"""Said by us: what `mimetypes` says depends on the machine."""

PAGES = {"/": "index.html", "/lab": "lab.html", "/legacy": "legacy.html"}

HIDDEN = {"templates", "jsconfig.json"}
"""What lies in `web/` and is not for browsers."""

DIGEST_CHARS = 16


def web_folder() -> Path:
    """Where the page is: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "web"
    return inside if inside.is_dir() else package.parent / "web"


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is sent."""

    body: bytes
    media_type: str
    etag: str


class Web:
    """The files of the page, read once: what is served does not change under a running server."""

    def __init__(self, folder: Path) -> None:
        files = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not _is_hidden(path.relative_to(folder))
        }
        content = hashlib.sha256()
        for name, body in files.items():
            content.update(f"{name}\0{len(body)}\0".encode() + body)
        self.digest = content.hexdigest()[:DIGEST_CHARS]
        self._files = {name: self._file(name, body) for name, body in files.items()}

    def file(self, name: str) -> File:
        """Raises `NotFound`."""
        found = self._files.get(name)
        if found is None:
            raise NotFound("There is nothing at this address.")
        return found

    def _file(self, name: str, body: bytes) -> File:
        suffix = Path(name).suffix
        if suffix == ".html":
            body = body.replace(b'"/static/', f'"/static/{self.digest}/'.encode())
        media_type = (
            TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
        )
        return File(body, media_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')


def _is_hidden(path: Path) -> bool:
    return any(part in HIDDEN or part.startswith(".") for part in path.parts)


class FileHandler(PageHandler):
    """A page or one of its files."""

    drained = False

    def initialize(self, house: House, **more: Any) -> None:
        super().initialize(house)
        self._web: Web = more["web"]

    def get(self, path: str | None = None) -> None:
        if path is None:
            file, kept = self._web.file(PAGES[self.request.path]), False
        else:
            digest, _, rest = path.partition("/")
            # A page of an older version may still be open: it gets today's files, but does not keep them.
            versioned = re.fullmatch(f"[0-9a-f]{{{DIGEST_CHARS}}}", digest) is not None
            file, kept = self._web.file(rest if versioned else path), digest == self._web.digest
        cache = "public, max-age=31536000, immutable" if kept else "no-cache"
        self.set_header("Cache-Control", cache)
        self.set_header("ETag", file.etag)
        self.set_header("Content-Type", file.media_type)
        if self.request.headers.get("If-None-Match") == file.etag:
            self.set_status(304)
            self.finish()
            return
        self.finish(file.body)


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
