"""How the page's files are sent: small, at once, and kept."""

from __future__ import annotations

import contextlib
import errno
import gzip
import json
import re
import struct
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from chatserver.core.errors import NotFound, Unavailable
from chatserver.site import emoji
from chatserver.site.files import Web, imports_of, takes_gzip, without_comments
from chatserver.site.pages import web_folder
from tests.site.conftest import Browser

WIRE_BYTES = 60_000
"""What a first visit may weigh on the wire, heads included."""

QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|(?<!\*)/(?![/*])(?:[^/\\\n]|\\.)+/")
"""Where a back-tick opens no text: other texts, and regular expressions."""

SCRIPTS = sorted(path for path in web_folder().rglob("*") if path.suffix in (".js", ".css"))


@pytest.fixture(scope="module")
def web() -> Web:
    return Web(web_folder())


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_nothing_but_comments_is_left_out_of_a_script(path: Path) -> None:
    """Line by line: what is gone began a line as a comment, and no text over several lines was open there."""
    whole = path.read_text().split("\n")
    lean = without_comments(path.read_text()).split("\n")
    assert len(lean) == len(whole)
    inside = False
    ticks = 0
    for had, left in zip(whole, lean, strict=True):
        if had == left:
            assert not inside or not had
            raw = left.count("`")
            ticks += raw if raw % 2 == 0 else QUOTED.sub("", left).count("`")
            continue
        assert left == "" and ticks % 2 == 0, had
        text = had.strip()
        if not inside:
            assert text.startswith(("//", "/*")), had
            inside = text.startswith("/*") and not text.endswith("*/")
        else:
            inside = "*/" not in text


def test_a_comment_behind_code_or_in_a_text_stays() -> None:
    for script in ("a = 1; // why\n", "a = '/* no */';\n", "x(`\n  a // b\n`);\n"):
        assert without_comments(script) == script
    assert (
        without_comments("/** a\n b */\nf(); /* c */\n  // d\ng();") == "\n\nf(); /* c */\n\ng();"
    )


def test_a_page_names_every_module_that_its_script_needs(web: Web) -> None:
    """So that they come in one round trip, and not floor by floor."""
    for page, script in (("index.html", "js/ui/app.js"), ("lab.html", "js/lab/lab.js")):
        text = web.file(page).body.decode()
        named = re.findall(r'<link rel="modulepreload" href="/static/[0-9a-f]{16}/([^"]+)">', text)
        named.remove("js/words/[[language]].js")  # asked for by `import(…)`, in the page's language
        assert len(named) == len(set(named)) > 15
        needed = {script}
        while more := {
            other
            for name in needed
            for other in imports_of(name, web.file(name).body.decode())
            if other not in needed
        }:
            needed |= more
        assert needed == {*named, script}
        assert text.index("modulepreload") < text.index(f'{script}"></script>')


def test_imports_are_read_as_they_are_written() -> None:
    script = (
        "import { a,\n  b } from './b.js';\nimport './c.js';\nexport { d } from '../d.js';\n"
        "export const e = 'x/../y.js';\nconst f = import('./later.js');\n"
    )
    assert imports_of("js/ui/a.js", script) == ["js/ui/b.js", "js/ui/c.js", "js/d.js"]


@pytest.mark.parametrize(
    ("accept", "taken"),
    [
        ("gzip, deflate, br", True),
        ("br;q=1.0, gzip;q=0.8, *;q=0.1", True),
        ("GZIP", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000, br", False),
        ("", False),
        ("identity", False),
        ("br", False),
        ("notgzip", False),
    ],
)
def test_gzip_goes_to_whoever_takes_it(accept: str, taken: bool) -> None:
    assert takes_gzip(accept) is taken


def test_a_file_has_one_name_for_each_form_in_which_it_is_sent(http: httpx.Client) -> None:
    plain = http.get("/static/style.css", headers={"Accept-Encoding": "identity"})
    packed = http.get("/static/style.css", headers={"Accept-Encoding": "gzip"})
    assert (plain.headers.get("content-encoding"), packed.headers["content-encoding"]) == (
        None,
        "gzip",
    )
    assert plain.content == packed.content and plain.headers["etag"] != packed.headers["etag"]
    assert int(packed.headers["content-length"]) < int(plain.headers["content-length"]) / 2
    for answer in (plain, packed):
        assert answer.headers["vary"] == "Accept-Encoding"
    for etag in (
        packed.headers["etag"],
        f"W/{packed.headers['etag']}",
        f'"x", {packed.headers["etag"]}',
    ):
        again = http.get(
            "/static/style.css", headers={"Accept-Encoding": "gzip", "If-None-Match": etag}
        )
        assert (again.status_code, again.content) == (304, b"")
    other = http.get(
        "/static/style.css",
        headers={"Accept-Encoding": "identity", "If-None-Match": packed.headers["etag"]},
    )
    assert other.status_code == 200


def test_a_first_visit_weighs_less_than_60_kilobytes(http: httpx.Client) -> None:
    """Everything that the page asks for before somebody does something, as it is on the wire."""
    page = http.get("/", headers={"Accept-Encoding": "gzip"})
    names = set(re.findall(r'"(/static/[^"]+)"', page.text))
    # Of other browsers, and of whoever puts the page on a home screen.
    aside = ("legacy", ".old.js", "icon-192")
    old = {name for name in names if any(each in name for each in aside)}
    answers = [page, *(http.get(name, headers={"Accept-Encoding": "gzip"}) for name in names - old)]
    answers.append(http.get("/api/visitor"))
    wire = 0
    for answer in answers:
        assert answer.status_code == 200
        head = sum(len(name) + len(value) + 4 for name, value in answer.headers.raw)
        wire += head + int(answer.headers["content-length"])
        if "/static/" in str(answer.url):
            assert "immutable" in answer.headers["cache-control"]
    assert wire < WIRE_BYTES
    assert len(answers) > 15


def test_the_same_files_are_packed_into_the_same_bytes(web: Web) -> None:
    again = Web(web_folder())
    file = web.file("js/client.js")
    assert again.digest == web.digest and again.file("js/client.js") == file
    assert file.packed is not None and gzip.decompress(file.packed) == file.body


def test_the_pages_of_the_server_name_files_that_are_kept(http: httpx.Client) -> None:
    for name in re.findall(r'href="(/static/[^"]+)"', http.get("/classic").text):
        assert "immutable" in http.get(name).headers["cache-control"]


def test_an_icon_that_nobody_named_is_there(http: httpx.Client) -> None:
    answer = http.get("/favicon.ico")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")


def test_the_lists_of_signs_are_made_when_somebody_asks(http: httpx.Client) -> None:
    digest = re.findall(r"/static/([0-9a-f]{16})/", http.get("/").text)[0]
    for name, words in (("en", "thumbs up"), ("zh-CN", "\u62c7\u6307\u5411\u4e0a")):
        answer = http.get(
            f"/static/{digest}/emoji/{name}.json", headers={"Accept-Encoding": "gzip"}
        )
        assert answer.status_code == 200 and "immutable" in answer.headers["cache-control"]
        assert int(answer.headers["content-length"]) < 40_000
        rows = {sign: (label, more, light) for sign, label, more, light in answer.json()}
        label, more, light = rows["\U0001f44d"]
        assert label == words and "thumbs" in label + more
        assert light == "\U0001f44d\U0001f3fb"
        # One row a sign, the tones are made of it.
        assert len(rows) > 1500
        assert not any(tone in sign for sign in rows for tone in "\U0001f3fb\U0001f3fc\U0001f3ff")
        assert rows["\u2615"][2] == ""
    for name in ("xx", "english", "../../setup"):
        assert http.get(f"/static/{digest}/emoji/{name}.json").status_code == 404


async def test_a_list_of_signs_is_made_once_however_its_region_is_called(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Thirty made-up regions used to take the room of all other languages, and each list a third of a second of a core."""
    made: list[str] = []

    def listed(language: str) -> bytes | None:
        made.append(language)
        return b"[]" if language in ("en", "de") else None

    monkeypatch.setattr(emoji, "listed", listed)
    web = Web(web_folder())
    regions = [f"emoji/en-{first}{second}.json" for first in "abcdefg" for second in "abcdefg"]
    nobodys = [f"emoji/x{letter}.json" for letter in "abcdefghij"] * 2
    for name in (*regions, *nobodys, "emoji/en.json"):
        with contextlib.suppress(NotFound):
            assert (await web.any_file(name)).media_type == "application/json"
    assert (await web.any_file("emoji/de-AT.json")).body == b"[]"
    assert made == ["en", *(f"x{letter}" for letter in "abcdefghij"), "de"]


async def test_a_list_of_signs_that_could_not_be_made_once_is_made_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    web = Web(web_folder())

    def fail(language: str) -> bytes | None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(emoji, "listed", fail)
        with pytest.raises(Unavailable):
            await web.any_file("emoji/en.json")
    assert len((await web.any_file("emoji/en.json")).body) > 10_000


def test_the_worker_is_at_the_root_and_knows_its_version_and_its_files(
    http: httpx.Client, web: Web
) -> None:
    answer = http.get("/sw.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "no-cache"
    assert f"chat-shell-{web.digest}" in answer.text and "[[" not in answer.text
    listed = re.search(r"JSON\.parse\('(.*)'\)", answer.text)
    assert listed is not None
    files = json.loads(listed[1])
    for name in ("style.css", "js/ui/app.js", "js/ui/profile.js", "js/words/zh-CN.js", "icon.svg"):
        assert name in files
    assert not [name for name in files if "lab" in name or "legacy" in name or ".html" in name]
    for name in ("js/ui/app.js", *web.needed("js/ui/app.js")):
        assert name in files


def test_the_page_can_be_installed(http: httpx.Client) -> None:
    found = re.search(r'<link rel="manifest" href="([^"]+)">', http.get("/").text)
    assert found is not None
    answer = http.get(found[1])
    assert answer.headers["content-type"] == "application/manifest+json"
    manifest = answer.json()
    assert (manifest["start_url"], manifest["display"]) == ("/", "standalone")
    for icon in manifest["icons"]:
        picture = http.get(found[1].replace("manifest.webmanifest", icon["src"]))
        assert picture.headers["content-type"] == icon["type"]
        if icon["type"] == "image/png":
            width, height = struct.unpack(">II", picture.content[16:24])
            assert f"{width}x{height}" == icon["sizes"]


def test_a_visitor_is_told_what_this_is_before_any_script_is_there(
    http: httpx.Client, browser: Callable[[], Browser]
) -> None:
    page = http.get("/")
    assert "<h1>A chat among friends</h1>" in page.text and 'href="/classic/login"' in page.text
    assert http.get("/classic/login").status_code == 200
    chinese = http.get("/", headers={"Accept-Language": "zh"}).text
    assert "<h1>" in chinese and "A chat among friends" not in chinese
    somebody = browser().http.get("/")
    assert "<h1>" not in somebody.text and "Cookie" in somebody.headers["vary"]
