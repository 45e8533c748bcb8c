"""The files of the page as they are sent: read once, each under an address that names the content of all, each also as gzip.

A script goes without its comments, which are a third of what would be sent; its lines keep their numbers. A page
names every module that its script imports, so that a browser asks for all of them at once and not floor by floor.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import html
import mimetypes
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path

from chatserver.core.errors import NotFound, Unavailable
from chatserver.core.events import encode_json
from chatserver.http.words import Language, read_table
from chatserver.site import emoji

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
}
"""Said by us: what `mimetypes` says depends on the machine. These are worth compressing, too."""

HIDDEN = {"templates", "jsconfig.json"}
"""What lies in `web/` and is not for browsers."""

DIGEST_CHARS = 16

_NOTHING = "There is nothing at this address."

WORKER = "sw.js"
"""The service worker: it is told which version it is of, and which files that has (`web/sw.js`)."""
_NOT_KEPT = re.compile(r"js/(?:lab|legacy)|.*\.old\.js$|.*\.html$|lab\.css|classic|legacy|sw\.js")
"""What the page does not need where there is no server."""

WORDS = "js/words/"
_KEY = re.compile(r"\[\[([\w.]+)\]\]")
"""What stands in a page for words: `[[key]]`."""

_VISITORS = re.compile(r" *<!--visitor-->\n(.*?) *<!--/visitor-->\n", re.DOTALL)
"""What a page says to whoever comes without a session, on a slow line long before its script is there."""

_COMMENTS = re.compile(r"^[ \t]*(?:/\*.*?\*/[ \t]*|//[^\n]*)$", re.MULTILINE | re.DOTALL)
"""Comments that have their lines to themselves. `tests/site/test_files.py` sees that nothing else is taken for one."""

_IMPORT = re.compile(r"^(?:import|export)\b[^;'\"]*['\"](\.{1,2}/[^'\"]+)['\"]", re.MULTILINE)
"""A module that is there before the one that names it runs; `import(…)` asks when it is needed."""

_ENTRY = re.compile(r'( *)<script type="module" src="/static/([^"]+)"></script>\n')


@dataclass(frozen=True, slots=True)
class File:
    """A file as it is sent. `packed` is its gzip, None where that saves nothing."""

    body: bytes
    packed: bytes | None
    media_type: str
    etag: str

    @property
    def is_page(self) -> bool:
        """Whether a browser shows it by itself, so that a policy for its content has a meaning."""
        return not self.media_type.startswith(("text/javascript", "text/css"))


def without_comments(script: str) -> str:
    """A script or a style sheet without the comments that have lines to themselves; every line keeps its number."""
    return _COMMENTS.sub(lambda found: "\n" * found[0].count("\n"), script)


def imports_of(name: str, script: str) -> list[str]:
    """The names of the files that a module imports, in its order."""
    folder = posixpath.dirname(name)
    return [posixpath.normpath(posixpath.join(folder, each)) for each in _IMPORT.findall(script)]


class Web:
    """The files of the page, read once: what is served does not change under a running server."""

    def __init__(self, folder: Path) -> None:
        self._read = {
            path.relative_to(folder).as_posix(): _lean(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file() and not _is_hidden(path.relative_to(folder))
        }
        self._read |= {
            f"{name.removesuffix('.js')}.old.js": _for_old_browsers(body)
            for name, body in self._read.items()
            if name.startswith(WORDS)
        }
        content = hashlib.sha256()
        for name, body in self._read.items():
            content.update(f"{name}\0{len(body)}\0".encode() + body)
        content.update(emoji.version().encode())
        self.digest = content.hexdigest()[:DIGEST_CHARS]
        self._making = asyncio.Lock()
        self._lists: dict[str, File | None] = {}
        """Of signs, by language: two letters, so there are no more than 676, and nearly all of them are none."""
        self._files = {name: self._file(name, body) for name, body in self._read.items()}
        self._pages: dict[tuple[str, str, bool], File] = {}

    def file(self, name: str) -> File:
        """Raises `NotFound`."""
        found = self._files.get(name)
        if found is None:
            raise NotFound(_NOTHING)
        return found

    def page(self, name: str, language: Language, languages: str, visitor: bool = True) -> File:
        """A page in one language, with what it says to a visitor before its script is there. Raises `NotFound`."""
        found = self._pages.get((name, language.tag, visitor))
        if found is None:
            known = {
                "language": language.tag,
                "direction": language.direction,
                "languages": languages,
            }
            body = _KEY.sub(
                lambda key: html.escape(known.get(key[1]) or language.say(key[1])),
                self.file(name).body.decode(),
            )
            body = _VISITORS.sub(r"\1" if visitor else "", body)
            found = self._pages[name, language.tag, visitor] = _packed(name, body.encode())
        return found

    async def any_file(self, name: str) -> File:
        """As `file`; also a list of signs (`site.emoji`), made in a thread when it is first asked for.

        One for each language of the package, whatever region the name has: made for each name that a client thinks of,
        each list cost a third of a second of a core, and whoever asked for another waited behind all of them. Raises
        `Unavailable` where it cannot be made now.
        """
        language = emoji.language_of(name)
        if language is None or name in self._files:
            return self.file(name)
        async with self._making:
            if language not in self._lists:
                try:
                    self._lists[language] = await asyncio.to_thread(_list_of, language)
                except (OSError, ImportError) as error:  # its files cannot be read: no descriptor
                    raise Unavailable(
                        "The server cannot look this up at the moment.", 1.0
                    ) from error
        found = self._lists[language]
        if found is None:
            raise NotFound(_NOTHING)
        return found

    def url(self, name: str) -> str:
        """The address under which a file may be kept for ever."""
        return f"/static/{self.digest}/{name}"

    def needed(self, name: str) -> list[str]:
        """The modules that have to be there before this one runs, without itself, those first that it names first."""
        found: dict[str, None] = {name: None}
        queue = [name]
        while queue:
            at = queue.pop(0)
            for other in imports_of(at, self._read.get(at, b"").decode()):
                if other not in found:
                    found[other] = None
                    queue.append(other)
        return list(found)[1:]

    def _file(self, name: str, body: bytes) -> File:
        if name == WORKER:
            kept = encode_json([each for each in self._read if not _NOT_KEPT.match(each)])
            body = body.replace(b"[[digest]]", self.digest.encode()).replace(b"[[files]]", kept)
        if name.endswith(".html"):
            page = _ENTRY.sub(self._with_preloads, body.decode())
            body = page.replace('"/static/', f'"/static/{self.digest}/').encode()
        return _packed(name, body)

    def _with_preloads(self, found: re.Match[str]) -> str:
        links = "".join(
            f'{found[1]}<link rel="modulepreload" href="/static/{name}">\n'
            for name in self.needed(found[2])
        )
        return links + found[0]


def _list_of(language: str) -> File | None:
    """The list of signs in a language; None where the package does not have it. Takes long: call it in a thread."""
    body = emoji.listed(language)
    return None if body is None else _packed(f"{language}.json", body)


def _packed(name: str, body: bytes) -> File:
    suffix = Path(name).suffix
    media_type = TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    # The time in a gzip's head would make each start another one.
    packed = gzip.compress(body, 9, mtime=0) if suffix in TYPES else body
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return File(body, packed if len(packed) < len(body) else None, media_type, etag)


def _for_old_browsers(module: bytes) -> bytes:
    """The words of a module as a script that sets a variable: ES5 knows no modules."""
    return b"window.chatWords = " + encode_json(read_table(module.decode())) + b";\n"


def _lean(path: Path) -> bytes:
    body = path.read_bytes()
    return without_comments(body.decode()).encode() if path.suffix in (".js", ".css") else body


def _is_hidden(path: Path) -> bool:
    return any(part in HIDDEN or part.startswith(".") for part in path.parts)


def takes_gzip(accept: str) -> bool:
    """Whether an `Accept-Encoding` names gzip without refusing it (RFC 9110, section 12.5.3)."""
    for part in accept.lower().split(","):
        coding, _, weight = part.replace(" ", "").partition(";")
        if coding in ("gzip", "x-gzip"):
            return re.fullmatch(r"q=0(?:\.0*)?", weight) is None
    return False
