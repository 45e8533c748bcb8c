"""The pages without script in the reader's language, zone and direction."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import httpx

from chatserver.core.visible import enclosed
from chatserver.http.words import Words
from chatserver.site.pages import web_folder
from chatserver.site.shown import messages
from tests.site.conftest import Browser
from tests.site.test_classic import MakeClassic, TextBrowser, classic
from tests.support.process import ServerProcess

__all__ = ["classic"]

WORDS = Words(web_folder() / "js" / "words")
ENGLISH = WORDS.languages["en"]
CHINESE = {"Accept-Language": "zh-CN,zh;q=0.9"}
MINUTE_MS = 60_000
NEW_YEAR_MS = 1_798_761_600_000
"""2027-01-01T00:00:00Z."""


def message(at: int, text: str = "x") -> dict[str, object]:
    return {"at": at, "text": text, "from": {"name": "Ann", "color": "#000000"}}


def test_every_page_speaks_chinese_to_a_chinese_browser(
    server: ServerProcess, classic: MakeClassic
) -> None:
    one = classic()
    one.http.headers.update(CHINESE)
    for path in (
        "/classic",
        "/classic/register",
        "/classic/settings",
        "/legacy",
        "/lab",
        "/",
        "/nowhere",
    ):
        page = one.open(path)
        assert '<html lang="zh-CN" dir="ltr"' in page.text, path
    assert "回到首页" in one.page.text
    one.open("/classic/login")
    one.submit("/classic/login", email="nobody@example.com", password="wrong password")
    assert "电子邮箱或密码不正确。" in one.page.text and one.page.status_code == 401
    one.open("/classic/settings")
    one.submit("/classic/settings", language="en")
    assert '<html lang="en"' in one.open("/classic").text
    assert '<html lang="en"' in one.open("/").text
    one.open("/classic/settings")
    one.submit("/classic/settings", language="")
    assert '<html lang="zh-CN"' in one.open("/classic").text


def test_no_english_word_is_left_on_a_chinese_page(
    server: ServerProcess, classic: MakeClassic, browser: Callable[..., Browser]
) -> None:
    friend = browser()
    one = classic()
    one.http.headers.update(CHINESE)
    one.open("/classic/register")
    email = f"{id(one)}@example.com"
    one.submit("/classic/register", firstName="李", lastName="", email=email, password="x" * 12)
    one.open(f"/classic/friends?q={friend.email}")
    one.submit("/classic/friends", id=friend.id, action="ask")
    for path in (
        "/classic",
        "/classic/friends",
        f"/classic/friends?q={friend.email}",
        "/classic/settings",
    ):
        text = re.sub(r"<datalist.*?</datalist>", "", one.open(path).text, flags=re.DOTALL)
        shown = re.sub(r"<[^>]*>", " ", text.partition("<body>")[2])
        shown = unescape(shown).replace(friend.email, "").replace(friend.user["name"], "")
        words = set(re.findall(r"[A-Za-z]{2,}", shown)) - {"UTC", "Asia", "Shanghai", "English"}
        assert not words, path


def registered(classic: MakeClassic, name: str) -> TextBrowser:
    """Somebody at the classic pages, with an account of this first name."""
    one = classic()
    one.open("/classic/register")
    email = f"{id(one)}@example.com"
    one.submit("/classic/register", firstName=name, lastName="", email=email, password="x" * 12)
    return one


def test_times_are_those_of_the_zone_that_the_account_has_chosen(
    server: ServerProcess, classic: MakeClassic
) -> None:
    one = registered(classic, "Zoe")
    one.submit("/classic/messages", text="when")
    utc = re.search(r'datetime="([^"]+)">(\d\d):(\d\d) UTC<', one.page.text)
    assert utc is not None
    one.open("/classic/settings")
    one.submit("/classic/settings", zone="Asia/Kathmandu")
    assert 'value="Asia/Kathmandu"' in one.page.text
    there = re.search(r">(\d\d):(\d\d) \+0545<", one.open("/classic").text)
    assert there is not None
    minutes = [int(found[-2]) * 60 + int(found[-1]) for found in (utc.groups(), there.groups())]
    assert (minutes[1] - minutes[0]) % 1440 == 5 * 60 + 45
    one.open("/classic/settings")
    page = one.submit("/classic/settings", zone="Mars/Olympus")
    assert page.status_code == 422 and "There is no time zone of this name." in page.text


def test_a_day_stands_at_each_change_of_day_in_the_zone_whatever_the_clock_did() -> None:
    before, after = NEW_YEAR_MS - MINUTE_MS, NEW_YEAR_MS + MINUTE_MS
    found = [message(at) for at in (before, after, before, before, after)]
    days = [one["day"] for one in messages(found, "", ENGLISH)]
    old, new = "Thursday, 2026-12-31", "Friday, 2027-01-01"
    assert days == [old, new, old, "", new]
    assert [one["day"] for one in messages(found, "Asia/Shanghai", ENGLISH)] == [
        new,
        "",
        "",
        "",
        "",
    ]
    chinese = messages(found[:1], "", WORDS.languages["zh-CN"])
    assert chinese[0]["day"] == "2026-12-31 星期四"


def test_links_are_links_and_nothing_that_was_written_is_markup(
    server: ServerProcess, classic: MakeClassic
) -> None:
    one = registered(classic, "דנה")
    one.submit("/classic/messages", text='看（https://a.example/?q=1&r="<b>）。\nwww.b.example')
    assert '<a href="https://a.example/?q=1&amp;r=" rel=' in one.page.text
    assert '<a href="https://www.b.example" rel=' in one.page.text
    assert "<b>）" not in one.page.text
    assert re.search(r"<bdi><font[^>]*>דנה</font></bdi>", one.page.text)


def test_an_isolate_is_not_ended_by_what_stands_in_it() -> None:
    assert enclosed("a\u2069\u202eb") == "a\u202eb"
    assert enclosed("\u2067a\u2069\u2069b") == "\u2067a\u2069b"
    assert enclosed("\u2067a\n\u2069b") == "\u2067a\nb"


def test_the_api_answers_codes_and_english(server: ServerProcess) -> None:
    with httpx.Client(base_url=server.url, headers=CHINESE) as http:
        problem = http.get("/api/me").json()
    assert (problem["code"], problem["detail"]) == ("unauthenticated", "Sign in first.")


def test_every_word_of_a_template_is_in_the_tables() -> None:
    for path in sorted(Path(web_folder() / "templates").glob("*.html")):
        text = path.read_text("utf-8")
        for key in re.findall(r'\b(?:t|say)\("([^"]+)"', text):
            assert isinstance(ENGLISH.table.get(key), str), f"{path.name}: {key}"
        bare = re.sub(
            r"\{%.*?%\}|\{\{.*?\}\}|<[^<>]*?>", " ", re.sub(r"\{\{.*?\}\}|\{%.*?%\}", " ", text)
        )
        assert not re.findall(r"[A-Za-z]{2,}", unescape(bare)), path.name
