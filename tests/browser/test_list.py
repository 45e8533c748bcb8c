"""The list of conversations, the phone that shows it or one of them, and the end of a friendship that can be taken back."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from tests.browser.accounts import MakeAccount, sign_in
from tests.browser.conftest import MeetPerson
from tests.browser.looks import becomes, stays
from tests.browser.people import Person, befriend
from tests.support.process import ServerProcess

WORKER = False
PHONES = ((390, 760), (320, 568))
PHONE, DESK = (390, 844), (1000, 700)


def _rows(page: Page) -> list[str]:
    """Name and line of each row, as they are seen."""
    found: list[str] = page.eval_on_selector_all(
        ".roll a",
        """all => all.map(one => [...one.querySelectorAll('.name, .last')].map((part) => {
            const copy = part.cloneNode(true);
            for (const unseen of copy.querySelectorAll('.unseen')) unseen.remove();
            return copy.textContent;
        }).join(' | '))""",
    )
    return found


def _wait_rows(page: Page, *wanted: str) -> None:
    expect(page.locator(".roll a")).to_have_count(len(wanted))
    for at, text in enumerate(wanted):
        name, _, line = text.partition(" | ")
        row = page.locator(".roll a").nth(at)
        expect(row.locator(".name")).to_have_text(name)
        expect(row.locator(".last")).to_contain_text(line)
    becomes(page, lambda: _rows(page), list(wanted))


def test_each_row_says_what_was_written_last_and_the_newest_stands_first(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    bob = meet(chromium, server.url, "Bob").register()
    cho = meet(chromium, server.url, "Cho").register()
    expect(ann.page.locator(".notice")).to_contain_text("nobody would read this")
    for friend in (bob, cho):
        befriend(ann, friend)
    expect(ann.page.locator(".notice")).to_be_hidden()
    _wait_rows(
        ann.page,
        "All friends | Nothing said yet",
        "Bob | Nothing said yet",
        "Cho | Nothing said yet",
    )
    cho.page.click(f".roll a[href$='{ann.id}']")
    cho.send("from\ncho".replace("\n", " "))
    bob.send("to all of you")
    ann.page.wait_for_selector(f".roll a[href$='{cho.id}'] .badge:text('1')")
    _wait_rows(
        ann.page, "All friends | Bob: to all of you", "Cho | from cho", "Bob | Nothing said yet"
    )
    ann.page.click(f".roll a[href$='{bob.id}']")
    ann.send("to bob alone")
    ann.page.fill("#text", "half a thought")
    _wait_rows(
        ann.page, "Bob | You: to bob alone", "All friends | Bob: to all of you", "Cho | from cho"
    )
    # What one was writing elsewhere is marked, and moves nothing.
    ann.page.click(f".roll a[href$='{cho.id}']")
    drafted = ("Bob | Draft: half a thought", "All friends | Bob: to all of you", "Cho | from cho")
    _wait_rows(ann.page, *drafted)
    ann.page.reload()
    ann.wait_connected()
    _wait_rows(ann.page, *drafted)


def test_a_conversation_is_found_by_keys_alone_and_a_request_is_answered_on_top(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    bob = meet(chromium, server.url, "Bob").register()
    cho = meet(chromium, server.url, "Cho").register()
    page = ann.page
    bob.request("PUT", f"/api/friends/{ann.id}", {})
    page.click("[aria-label='Not now Bob']")
    expect(page.locator(".asking")).to_have_text("1 request put aside")
    page.reload()
    ann.wait_connected()
    expect(page.locator(".asking")).to_have_text("1 request put aside")
    cho.request("PUT", f"/api/friends/{ann.id}", {})
    page.click("[aria-label='Accept Cho']")
    page.wait_for_selector(f".roll a[href$='{cho.id}']")
    ann.request("PUT", f"/api/friends/{bob.id}", {})
    page.wait_for_selector(f".roll a[href$='{bob.id}']")
    expect(page.locator(".asking")).to_be_hidden()

    page.focus("#text")
    page.keyboard.press("Control+k")
    expect(page.locator("#find")).to_be_focused()
    page.keyboard.type("ch")
    expect(page.locator(".roll a")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator(".conversation h1")).to_contain_text("Cho")
    expect(page.locator("#text")).to_be_focused()
    # One stop of the Tab key, and the arrows lead on.
    page.keyboard.press("Control+k")
    expect(page.locator("#find")).to_be_focused()
    expect(page.locator(".roll a")).to_have_count(3)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    focused = "document.activeElement.querySelector('.name')?.textContent"
    becomes(page, focused, lambda name: name == _rows(page)[-1].split(" | ")[0])
    stops = "[...document.querySelectorAll('.roll a')].filter(a => a.tabIndex === 0).length"
    becomes(page, stops, 1)
    page.keyboard.press("Control+k")
    expect(page.locator("#find")).to_be_focused()
    page.keyboard.type("nobody of this name")
    expect(page.locator(".hint[role=status]")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#find")).to_be_hidden()
    expect(page.locator("#text")).to_be_focused()


def _no_overflow(page: Page) -> None:
    stays(page, "document.documentElement.scrollWidth <= innerWidth", True)
    wide = """() => [...document.querySelectorAll('body *')]
            .filter(one => one.checkVisibility() && !one.closest('.unseen, .skip'))
            .filter(one => { const box = one.getBoundingClientRect(); return box.width > 1 && (box.right > innerWidth + 1 || box.left < -1); })
            .map(one => one.outerHTML.slice(0, 90))"""
    stays(page, wide, [])


def test_a_phone_shows_the_list_or_a_conversation_and_back_leads_back(
    server: ServerProcess, browser: Browser, meet: MeetPerson
) -> None:
    ann = meet(browser, server.url, "Ann").register()
    long = meet(browser, server.url, "W" * 50).register()
    befriend(ann, long)
    page, row = ann.page, f".roll a[href$='{long.id}']"
    # What one is reading stays on the screen where the page becomes narrow.
    page.set_viewport_size({"width": 390, "height": 760})
    expect(page.locator("#text")).to_be_visible()
    for width, height in PHONES:
        page.set_viewport_size({"width": width, "height": height})
        for view in ("#/friends", "#/chat"):
            page.evaluate("view => { location.hash = view; }", view)
        expect(page.locator(row)).to_be_visible()
        expect(page.locator("#text")).to_be_hidden()
        _no_overflow(page)
        becomes(page, "document.querySelector('.top').offsetHeight", lambda px: 0 < px < 60)
        page.click(row)
        expect(page.locator("#text")).to_be_visible()
        expect(page.locator(row)).to_be_hidden()
        expect(page.locator(".top")).to_be_hidden()
        _no_overflow(page)
        becomes(page, "document.querySelector('.head').offsetHeight", lambda px: 0 < px < 60)
        page.evaluate("history.back()")
        expect(page.locator(row)).to_be_visible()
        page.click(row)
        page.click(".back")
        expect(page.locator(row)).to_be_visible()
        page.evaluate("history.back()")
        expect(page.locator("#q")).to_be_visible()


def _end(one: Person, name: str) -> None:
    one.page.goto(f"{one.url}/#/friends")
    one.page.click(f"[aria-label='End {name}']")
    expect(one.page.locator(".ask")).to_contain_text(f"You will not see any more what {name} wrote")


def test_the_end_of_a_friendship_is_asked_for_and_can_be_taken_back(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    bob = meet(chromium, server.url, "Bob").register()
    befriend(ann, bob)
    bob.page.click(f".roll a[href$='{ann.id}']")
    # The way to the chat leaves what is shown, and the address goes on to say so.
    bob.page.click("#nav a[href='#/chat']")
    expect(bob.page).to_have_url(f"{bob.url}/#/chat/{ann.id}")
    bob.send("before")
    expect(bob.page.locator(".message .text")).to_have_text("before")
    _end(ann, "Bob")
    ann.page.keyboard.press("Escape")
    expect(ann.page.locator(".ask")).to_have_count(0)
    _end(ann, "Bob")
    ann.page.click(".ask .danger")
    expect(ann.page.locator(".bar")).to_contain_text("The friendship with Bob ends in")
    # It is said on every view, and after the page was loaded again.
    ann.page.goto(f"{ann.url}/#/chat/{bob.id}")
    ann.page.reload()
    ann.page.click(".bar button")
    expect(ann.page.locator(".bar")).to_have_count(0)
    ann.expect("before")

    # What does end leaves the name where somebody still looks at it.
    ann.request("DELETE", f"/api/friends/{bob.id}")
    for one, name in ((ann, "Bob"), (bob, "Ann")):
        expect(one.page.locator(".notice")).to_contain_text(
            f"{name} is not among your friends any more"
        )
        expect(one.page.locator(".conversation h1")).to_contain_text(name)
        expect(one.page.locator("#text")).to_be_hidden()


def test_an_address_that_leads_nowhere_says_so_and_home_says_what_to_do(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    ann.page.evaluate("location.hash = '#/nothing/here'")
    expect(ann.page.locator("main")).to_contain_text("There is nothing at this address.")
    expect(ann.page.locator("main")).to_contain_text("You have no friends here yet.")
    ann.page.click("main a[href='#/friends']")
    expect(ann.page.locator("main")).to_contain_text("Find somebody and ask")


def test_back_leads_to_what_was_seen_before_whatever_the_address_one_came_by(
    server: ServerProcess, browser: Browser, meet: MeetPerson, make: MakeAccount
) -> None:
    cho, dan = make("Cho"), make("Dan")
    cho.befriend(dan)
    row, title = f".roll a[href$='{dan.id}']", ".conversation h1 bdi"
    reader = sign_in(meet, browser, server.url, cho)
    for size, address in [
        (PHONE, ""),
        (PHONE, "#/"),
        (PHONE, "#/login"),
        (DESK, ""),
        (DESK, "#chat"),
    ]:
        phone = size == PHONE
        page = reader.open()
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.goto(f"{server.url}/{address}")
        expect(page.locator(row)).to_be_visible()
        expect(page.locator(title)).to_be_visible(visible=not phone)
        page.click(row)
        expect(page.locator(title)).to_have_text("Dan")
        expect(page.locator(title)).to_be_visible()
        page.evaluate("history.back()")
        expect(page.locator(row)).to_be_visible()
        expect(page.locator(title)).to_be_visible(visible=not phone)
        expect(page.locator(title)).to_have_text("Dan" if phone else "All friends")
        becomes(page, "location.hash", "#/chat" if phone else "#/chat/")
        page.evaluate("history.forward()")
        expect(page.locator(title)).to_have_text("Dan")
        expect(page.locator(title)).to_be_visible()
        page.close()
