"""Which language a reader is answered in, and that one more language is one more file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chatserver.http.words import Words, read_table
from chatserver.site.files import Web
from chatserver.site.pages import web_folder

TABLES = web_folder() / "js" / "words"
WORDS = Words(TABLES)


@pytest.mark.parametrize(
    ("chosen", "accept", "tag"),
    [
        (None, "", "en"),
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"),
        (None, "en-GB,en;q=0.9,zh;q=0.8", "en"),
        (None, "zh", "zh-CN"),
        (None, "zh-TW", "zh-CN"),
        (None, "ZH-hans-sg", "zh-CN"),
        (None, "fr-FR,fr;q=0.9,zh;q=0.3,en;q=0.2", "zh-CN"),
        (None, "en;q=0,zh;q=0.1", "zh-CN"),
        (None, "fr", "en"),
        (None, "*", "en"),
        (None, ";;;q=,,q=9", "en"),
        ("zh-CN", "en", "zh-CN"),
        ("en", "zh-CN", "en"),
        ("../../etc", "zh-CN", "zh-CN"),
        ("", "zh-CN", "zh-CN"),
    ],
)
def test_the_reader_chooses_else_the_browser_asks(
    chosen: str | None, accept: str, tag: str
) -> None:
    assert WORDS.choose(chosen, accept).tag == tag


def test_a_very_long_wish_is_read_in_part() -> None:
    assert WORDS.choose(None, "xx," * 10_000 + "zh").tag == "en"


def test_one_more_language_is_one_more_file(tmp_path: Path) -> None:
    """In the list, chosen by a browser that asks for it, with its direction in the page."""
    folder = tmp_path / "js" / "words"
    folder.mkdir(parents=True)
    for path in TABLES.glob("*.js"):
        (folder / path.name).write_bytes(path.read_bytes())
    arabic = read_table((TABLES / "en.js").read_text("utf-8"))
    arabic |= {"language.name": "العربية", "language.direction": "rtl", "page.skip": "تخطَّ"}
    (folder / "ar.js").write_text(f"// Arabic\nexport default {json.dumps(arabic)};\n", "utf-8")
    (tmp_path / "index.html").write_bytes((web_folder() / "index.html").read_bytes())
    words, web = Words(folder), Web(tmp_path)
    assert "ar=العربية" in words.names
    language = words.choose(None, "ar-EG,en;q=0.5")
    page = web.page("index.html", language, words.names).body.decode()
    assert '<html lang="ar" dir="rtl" data-languages="ar=العربية;en=English;' in page
    assert ">تخطَّ<" in page
    assert "window.chatWords = {" in web.file("js/words/ar.old.js").body.decode()


def test_what_is_said_in_english_is_known_with_numbers_in_it_too() -> None:
    chinese = WORDS.languages["zh-CN"]
    assert chinese.said("closed with code 4999") == "连接已关闭，代码 4999"
    assert chinese.said("an unknown sentence") is None
    assert chinese.refusal("forbidden", "an unknown sentence") == "不允许这样做。"
    assert WORDS.languages["en"].refusal("forbidden", "as it is") == "as it is"
