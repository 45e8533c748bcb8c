"""Room to read in: low windows, a keyboard on a phone, many friends, long names, colours that are not ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.accounts import Account, MakeAccount, sign_in
from tests.browser.conftest import MeetPerson
from tests.browser.looks import becomes, settle, stays
from tests.conftest import FAST
from tests.support.process import ServerProcess

WORKER = False
LEAST_PX = 96
INPUT_PX = 38

IN_VIEW = """() => {
    const {top, bottom} = document.querySelector('.stream').getBoundingClientRect();
    return Math.min(bottom, innerHeight) - Math.max(top, 0);
}"""
"""How much of the messages can be seen."""

REACHED = """() => [...document.querySelectorAll('.conversation button, .conversation textarea, .conversation select, .conversation summary')]
    .filter((one) => one.checkVisibility() && !one.closest('details:not([open]) > div'))
    .filter((one) => {
        one.scrollIntoView({block: 'nearest'});
        const {left, top, right, bottom} = one.getBoundingClientRect();
        return left < -1 || top < -1 || right > innerWidth + 1 || bottom > innerHeight + 1;
    }).map((one) => one.outerHTML)"""
"""Controls that cannot be brought into view."""

DRAFT = "(input, text) => { input.value = text; input.dispatchEvent(new Event('input')); }"
# A conversation is opened; the height of the input in the first frame in which its draft stands there.
HEIGHT_IN_THE_FIRST_FRAME = """([id, draft]) => new Promise((done) => {
  document.querySelector(`.conversations a[href$='${id}']`).click();
  const look = () => {
    const input = document.querySelector('#text');
    if (location.hash.endsWith(id) && input.value === draft) done(input.offsetHeight);
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})"""
WIDER = "() => [document.documentElement, document.querySelector('main')].map((one) => [one.scrollWidth - one.clientWidth, one === document.documentElement ? one.scrollHeight - one.clientHeight : 0])"


CUT = "() => [...document.querySelectorAll('.conversation h1 small')].filter((one) => one.checkVisibility() && one.scrollWidth > one.clientWidth).map((one) => one.textContent)"
"""What is said of a friend beside the name, where it does not stand there whole."""


def height(page: Page) -> float:
    box = page.locator("#text").bounding_box()
    assert box
    return box["height"]


@pytest.mark.parametrize("size", [(320, 256), (390, 430), (640, 512)])
def test_a_low_window_shows_messages_and_reaches_every_control(
    server: ServerProcess,
    browser: Browser,
    meet: MeetPerson,
    make: MakeAccount,
    size: tuple[int, int],
) -> None:
    cho, dan = make("Cho"), make("Dan")
    cho.befriend(dan)
    dan.write(*range(1, 30), to=cho)
    page = sign_in(meet, browser, server.url, cho, f"#/chat/{dan.id}").page
    page.set_viewport_size({"width": size[0], "height": size[1]})
    for text in ("", "line\n" * 12):
        page.eval_on_selector("#text", DRAFT, text)
        # Without a connection a line more is there, and somebody writes.
        page.eval_on_selector(".banner", "(one, on) => { one.hidden = !on; }", bool(text))
        settle(page)
        becomes(page, IN_VIEW, lambda px: px >= LEAST_PX, text)
        becomes(page, lambda: height(page), lambda px: px >= INPUT_PX)
        # The input is there without a search for it.
        bottom = "() => document.getElementById('text').getBoundingClientRect().bottom"
        becomes(page, bottom, lambda px: px <= size[1])
        becomes(page, REACHED, [])
    stays(page, WIDER, [[0, 0], [0, 0]])


def test_without_a_connection_a_low_window_shows_everything_at_once_and_a_lower_one_scrolls(
    browser: Browser, meet: MeetPerson, tmp_path: Path
) -> None:
    with ServerProcess(tmp_path / "own", *FAST) as own:
        cho, dan = Account(own.url, "Cho"), Account(own.url, "Dan")
        cho.befriend(dan)
        dan.write(*range(1, 30), to=cho)
        page = sign_in(meet, browser, own.url, cho, f"#/chat/{dan.id}").page
        for one in (cho, dan):
            one.http.close()
        page.set_viewport_size({"width": 320, "height": 256})
        own.kill()
        page.wait_for_selector(".banner", state="visible")
        foot = "() => document.querySelector('.status').getBoundingClientRect().bottom"
        stays(page, foot, lambda px: px <= 256)
        becomes(page, IN_VIEW, lambda px: px >= LEAST_PX)
        page.set_viewport_size({"width": 320, "height": 190})
        stays(page, foot, lambda px: px > 190)
        page.hover("#text")
        page.mouse.wheel(0, 300)
        becomes(page, foot, lambda px: px <= 191)


def test_the_input_is_as_high_as_what_stands_in_it_at_once(
    server: ServerProcess, browser: Browser, meet: MeetPerson, make: MakeAccount
) -> None:
    cho, dan = make("Cho"), make("Dan")
    cho.befriend(dan)
    page = sign_in(meet, browser, server.url, cho).page
    assert page.evaluate(HEIGHT_IN_THE_FIRST_FRAME, [dan.id, ""]) >= INPUT_PX
    page.eval_on_selector("#text", DRAFT, "one\ntwo\nthree\nfour")
    settle(page)
    four = height(page)
    assert four > 2 * INPUT_PX
    page.click(".conversations a[href='#/chat/']")
    page.wait_for_function("() => document.querySelector('#text').value === ''")
    drawn = page.evaluate(HEIGHT_IN_THE_FIRST_FRAME, [dan.id, "one\ntwo\nthree\nfour"])
    assert drawn == pytest.approx(four, abs=1)
    page.reload()
    page.wait_for_function("() => document.querySelector('#text')?.value.startsWith('one')")
    settle(page)
    assert height(page) == pytest.approx(four, abs=1)


def test_fifty_seven_friends_with_unread_messages_make_no_page_scroll_into_nothing(
    server: ServerProcess, chromium: Browser, meet: MeetPerson, make: MakeAccount
) -> None:
    cho = make("Cho")
    for number in range(57):
        friend = make(f"Friend {number}")
        cho.befriend(friend)
        friend.write(1, to=cho)
    for size in ((390, 760), (1000, 700)):
        page = sign_in(meet, chromium, server.url, cho).page
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.wait_for_selector(".conversations .badge", state="attached")
        for hash in ("#/chat", "#/chat/", "#/friends"):
            page.evaluate("hash => { location.hash = hash; }", hash)
            becomes(page, "() => document.querySelector('#q') !== null", hash == "#/friends")
            stays(page, WIDER, [[0, 0], [0, 0]], (size, hash))


def test_long_and_stacked_names_stay_in_their_row(
    server: ServerProcess, browser: Browser, meet: MeetPerson, make: MakeAccount
) -> None:
    cho, long, stacked = make("Cho"), make("W" * 50), make("a" + "\u0300" * 49)
    for one in (long, stacked):
        cho.befriend(one)
        one.write(1)
        one.write(2, to=cho)
    page = sign_in(meet, browser, server.url, cho).page
    out = """() => [...document.querySelectorAll('.message .name, .conversations .name, h1, .typing')].filter((one) => {
        if (!one.checkVisibility()) return false;
        const row = one.closest('li, h1, p').getBoundingClientRect();
        const {left, right, height} = one.getBoundingClientRect();
        const clipped = [one, ...(one.matches('h1') ? one.children : [])].every((part) => getComputedStyle(part).overflow !== 'visible' || !part.matches('bdi'));
        return left < row.left - 1 || right > row.right + 1 || height > 60 || !clipped;
    }).map((one) => one.outerHTML.slice(0, 80))"""
    for size in ((1000, 700), (390, 760)):
        page.set_viewport_size({"width": size[0], "height": size[1]})
        for hash in ("#/chat/", f"#/chat/{long.id}", f"#/chat/{stacked.id}"):
            page.evaluate("hash => { location.hash = hash; }", hash)
            page.wait_for_selector(
                f".conversations a[href='{hash}'][aria-current]", state="attached"
            )
            page.wait_for_selector(".stream .message", state="attached")
            stays(page, out, [], (size, hash))
            stays(page, CUT, [], (size, hash))
            stays(page, WIDER, [[0, 0], [0, 0]], (size, hash))


def test_without_our_colours_own_and_others_and_who_is_online_can_be_told_apart(
    server: ServerProcess, chromium: Browser, meet: MeetPerson, make: MakeAccount
) -> None:
    cho, dan, eve = make("Cho"), make("Dan"), make("Eve")
    cho.befriend(dan)
    cho.befriend(eve)
    dan.write(1)
    cho.write(2)
    sign_in(meet, chromium, server.url, dan)
    page = sign_in(meet, chromium, server.url, cho).page
    page.emulate_media(forced_colors="active")
    page.wait_for_selector(".dot.online")
    page.wait_for_selector(".message.own")
    page.wait_for_selector(".message:not(.own)")
    page.wait_for_selector(".dot:not(.online)")
    looks = "one => { const {borderInlineStartWidth, borderInlineStartStyle} = getComputedStyle(one); return borderInlineStartWidth + borderInlineStartStyle; }"
    assert page.eval_on_selector(".message.own", looks) != page.eval_on_selector(
        ".message:not(.own)", looks
    )
    assert page.eval_on_selector(".dot.online", looks) != page.eval_on_selector(
        ".dot:not(.online)", looks
    )


def test_a_long_name_makes_no_other_page_wider_than_a_phone(
    server: ServerProcess, browser: Browser, meet: MeetPerson, make: MakeAccount
) -> None:
    name = "W" * 30
    cho, long, asking = make(name), make(name), make(name)
    cho.befriend(long)
    long.write(1)
    long.write(2, to=cho)
    cho.write(3)
    asking.http.put(f"/api/friends/{cho.id}", json={}).raise_for_status()
    page = sign_in(meet, browser, server.url, cho).page
    page.set_viewport_size({"width": 320, "height": 568})
    for path, ready in (
        ("/classic", ".messages"),
        (f"/classic?with={long.id}", ".messages"),
        ("/classic/friends", f"a[href$='{long.id}']"),
        (f"/classic/friends?q={name[:8]}", f"a[href$='{long.id}']"),
        (f"/classic/end?id={long.id}", "form"),
        ("/classic/settings", "form"),
        ("/legacy", f"option[value='{long.id}']"),
    ):
        page.goto(f"{server.url}{path}")
        page.wait_for_selector(ready, state="attached")
        stays(page, "() => document.documentElement.scrollWidth <= 320", True, path)


WITHOUT_MARKS = """() => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) node.data = node.data.replace(/\\u0300+/g, '');
}"""


def test_marks_stacked_on_a_letter_stay_in_their_row_on_the_pages_for_old_browsers(
    server: ServerProcess, chromium: Browser, meet: MeetPerson, make: MakeAccount
) -> None:
    """One message used to cross out what everybody else had written above it."""
    marks = "\u0300" * 48
    cho, above, stacked = make("Cho"), make("Above"), make(f"i{marks}")
    for one in (above, stacked):
        cho.befriend(one)
        text = {"text": "Above" if one is above else f"i{marks * 20}"}
        one.http.post("/api/messages", json=text).raise_for_status()
    page = sign_in(meet, chromium, server.url, cho).page
    for path, rows in (
        ("/classic", ".messages li"),
        ("/classic/friends", "ul li"),
        ("/legacy", ".stream p"),
        ("/legacy", ".person"),
    ):
        page.goto(f"{server.url}{path}")
        page.wait_for_selector(f"{rows} >> text=ì")
        row = page.locator(rows, has_text="Above").last
        # The caret as it is: to hide it, a driver breaks the page's own rules.
        with_marks = row.screenshot(caret="initial")
        page.evaluate(WITHOUT_MARKS)
        assert row.screenshot(caret="initial") == with_marks, (path, rows)


def test_marks_stacked_on_a_name_do_not_stand_over_the_question_about_it(
    server: ServerProcess, chromium: Browser, meet: MeetPerson, make: MakeAccount
) -> None:
    cho, stacked = make("Cho"), make("i" + "\u0300" * 49)
    cho.befriend(stacked)
    page = sign_in(meet, chromium, server.url, cho).page
    page.evaluate("location.hash = '#/friends'")
    page.click("button:has-text('Block')")
    page.wait_for_selector(".ask h2 >> text=ì")

    def over_the_heading() -> bytes:
        asked, heading = (page.locator(each).bounding_box() for each in (".ask", ".ask h2"))
        assert asked is not None and heading is not None
        asked["height"] = heading["y"] - asked["y"]
        return page.screenshot(clip=asked, caret="initial")

    with_marks = over_the_heading()
    page.evaluate(WITHOUT_MARKS)
    assert over_the_heading() == with_marks


def test_letters_without_an_end_make_no_page_for_old_browsers_wider_than_a_phone(
    server: ServerProcess, browser: Browser, meet: MeetPerson, make: MakeAccount
) -> None:
    """Joined without an end, emoji are one character to a line, which cannot be broken."""
    joined = "\U0001f468\u200d"
    cho, long = make("Cho"), make(joined * 24)
    cho.befriend(long)
    long.http.post("/api/messages", json={"text": joined * 1000}).raise_for_status()
    page = sign_in(meet, browser, server.url, cho).page
    page.set_viewport_size({"width": 320, "height": 568})
    for path, ready in (
        ("/classic", ".messages"),
        (f"/classic?with={long.id}", "textarea"),
        ("/classic/friends", f"a[href$='{long.id}']"),
        (f"/classic/end?id={long.id}", "form"),
        ("/legacy", f"option[value='{long.id}']"),
    ):
        page.goto(f"{server.url}{path}")
        page.wait_for_selector(ready, state="attached")
        stays(page, "() => document.documentElement.scrollWidth <= 320", True, path)


def test_on_a_phone_what_is_to_be_ticked_stands_beside_its_words(
    server: ServerProcess, browser: Browser, meet: MeetPerson, make: MakeAccount
) -> None:
    """The first of the notifications used to stand under its box; and a name that cannot be broken made the page wider."""
    cho, long = make("Cho"), make("\U0001f468\u200d" * 24)
    cho.befriend(long)
    cho.http.put("/api/alerts", json={"muted": [long.id]}).raise_for_status()
    page = sign_in(meet, browser, server.url, cho).page
    page.evaluate("location.hash = '#/profile'")
    page.wait_for_selector(".calls bdi")
    under = """() => [...document.querySelectorAll('.calls [type=checkbox]')].filter((box) => {
        const {right, bottom} = box.getBoundingClientRect(), words = box.labels[0].getBoundingClientRect();
        return words.left < right || words.top > bottom;
    }).map((box) => box.id)"""
    for width in (390, 320):
        page.set_viewport_size({"width": width, "height": 760})
        stays(page, under, [], width)
        stays(page, WIDER, [[0, 0], [0, 0]], width)
