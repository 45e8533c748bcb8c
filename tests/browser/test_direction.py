"""Which way people's words run turns nothing but themselves, measured where the browser has put them."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Browser, Page, expect

from tests.browser.accounts import MakeAccount, sign_in
from tests.browser.conftest import MeetPerson
from tests.support.process import ServerProcess

WORKER = False
OVERRIDE = "\u202edesrever"
ESCAPING = "\u2069\u202eout"
TEXTS = ("123 apples", OVERRIDE, ESCAPING, "שלום 123")

ROWS = """([row, name, text, time]) => {
    const left = (element, part) => {
        const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
        for (let node = walker.nextNode(); node; node = walker.nextNode()) {
            const at = node.data.indexOf(part);
            if (at < 0) continue;
            const range = document.createRange();
            range.setStart(node, at);
            range.setEnd(node, at + part.length);
            return range.getBoundingClientRect().left;
        }
        return null;
    };
    return [...document.querySelectorAll(row)].filter(one => one.querySelector(text)).map(one => {
        const [who, what, when] = [name, text, time].map(each => one.querySelector(each));
        const clock = when.textContent.trim().match(/\\d+/g);
        return {
            text: what.textContent,
            name: who.getBoundingClientRect().left,
            words: what.getBoundingClientRect().left,
            time: when.getBoundingClientRect().left,
            hours: left(when, `${clock[0]}:`), minutes: left(when, `:${clock[1]}`),
            numbers: left(what, '123'), apples: left(what, 'apples'), shalom: left(what, 'שלום'),
        };
    });
}"""


def rows(page: Page, *selectors: str) -> dict[str, dict[str, Any]]:
    """Where name, text and time begin in each row, by the text without its marks."""
    found = page.evaluate(ROWS, list(selectors))
    return {row["text"].strip("\u2069\u202e"): row for row in found}


def check(found: dict[str, dict[str, Any]], order: tuple[str, ...]) -> None:
    assert {"123 apples", "desrever", "out", "שלום 123"} <= set(found)
    for text, row in found.items():
        places = [row[name] for name in order]
        assert places == sorted(places), f"{text}: {order} stand at {places}"
        assert row["hours"] < row["minutes"], f"{text}: the time is turned round"
    apples, shalom = found["123 apples"], found["שלום 123"]
    assert apples["numbers"] < apples["apples"], "a Hebrew name does not turn what follows it"
    assert shalom["numbers"] < shalom["shalom"], "Hebrew begins at the right"


def test_a_name_and_a_text_turn_nothing_but_themselves(
    server: ServerProcess, browser: Browser, meet: MeetPerson
) -> None:
    dana = meet(browser, server.url, "דנה").register()
    dana.send(*TEXTS)
    dana.expect("123 apples", "שלום 123")
    dana.page.wait_for_function(
        "() => document.querySelectorAll('.message .mark.sent').length === 4"
    )
    check(rows(dana.page, ".message", ".name", ".text", "time"), ("words", "time"))
    dana.page.goto(f"{server.url}/legacy")
    for text in ("123 apples", "שלום 123"):
        dana.page.wait_for_selector(f".stream >> text={text}")
    expect(dana.page.locator(".stream span.text")).to_have_count(4)
    check(rows(dana.page, ".stream p", "b", "span.text", ".time"), ("time", "name", "words"))
    dana.page.goto(f"{server.url}/classic")
    check(rows(dana.page, ".messages li", "b", ".text", "time"), ("name", "words", "time"))


def test_a_page_speaks_the_browsers_language_and_the_readers_choice(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    mei = meet(chromium, server.url, "美")
    mei.context.set_extra_http_headers({"Accept-Language": "zh-CN,zh;q=0.9"})
    mei.register()
    expect(mei.page.locator("html")).to_have_attribute("lang", "zh-CN")
    mei.page.wait_for_selector("#nav >> text=聊天")
    mei.send("你好")
    mei.expect("你好")
    expect(mei.page.locator(".day")).to_have_text("今天")
    for view in ("#/home", "#/friends", "#/profile"):
        mei.page.evaluate("hash => { location.hash = hash; }", view)
        mei.page.wait_for_selector(f"#nav a[href='{view}'][aria-current]")
        mei.page.wait_for_selector("h1")
    mei.page.select_option("#f-language", "en")
    mei.page.wait_for_selector("#nav >> text=Profile")
    expect(mei.page.locator("html")).to_have_attribute("lang", "en")
    mei.page.wait_for_selector("#f-language")
    mei.page.select_option("#f-language", "")
    mei.page.wait_for_selector("#nav >> text=个人资料")


def test_a_time_is_written_as_in_the_readers_country_not_as_in_that_of_the_pages_words(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    for country, written in (("en-GB", r"\d\d:\d\d"), ("en-US", r"\d\d:\d\d [AP]M")):
        person = meet(chromium, server.url, country)
        person.context.add_init_script(
            f"Object.defineProperty(navigator, 'languages', {{get: () => ['{country}']}})"
        )
        person.register()
        person.send("what time is it")
        expect(person.page.locator(".message time")).to_have_text(re.compile(rf"^{written}$"))


def test_names_begin_in_one_column_whichever_way_they_run(
    server: ServerProcess, browser: Browser, meet: MeetPerson, make: MakeAccount
) -> None:
    """Names from the right used to stand at the far end of their row, and what was said under them at its beginning."""
    cho, *friends = (make(name) for name in ("Cho", "Bob", "דנה", "محمد"))
    for friend in friends:
        cho.befriend(friend)
        friend.write(1)
    page = sign_in(meet, browser, server.url, cho).page
    for names, count in ((".roll bdi.name", 4), (".message bdi.name", 3)):
        expect(page.locator(names)).to_have_count(count)
        begins = page.eval_on_selector_all(
            names,
            """all => all.map(one => {
                const range = document.createRange();
                range.selectNodeContents(one);
                return Math.round(range.getBoundingClientRect().left);
            })""",
        )
        assert len(set(begins)) == 1, (names, begins)
