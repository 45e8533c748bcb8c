"""Somebody has left, and what was being written to them has not: it is seen, it is found again, it keeps their name."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime

from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import MeetPerson
from tests.browser.looks import becomes
from tests.browser.people import Person, befriend
from tests.support.process import ServerProcess


def _row(page: Page, other: str) -> str:
    """What the list says of a conversation; '' where it has no row."""
    found: str = page.evaluate(
        "end => document.querySelector(`.roll a[href$='${end}']`)?.innerText ?? ''", other
    )
    return found


def _kept(person: Person, other: str, *parts: str) -> None:
    """In the list, with the name, and marked."""
    becomes(person.page, lambda: _row(person.page, other), lambda row: all(p in row for p in parts))


def _left(person: Person, name: str) -> None:
    expect(person.page.locator(".conversation h1")).to_contain_text(name)
    expect(person.page.locator(".notice")).to_contain_text(f"{name} is not among your friends any")
    expect(person.page.locator(".head .mute")).to_be_hidden()


def _closed(person: Person, text: str) -> None:
    """It is seen, and it is said why it is not sent."""
    page = person.page
    expect(page.locator("#text")).to_be_visible()
    expect(page.locator("#text")).to_have_value(text)
    expect(page.locator("#closed")).to_contain_text("you can write to friends only")
    expect(page.locator(".composer button.primary")).to_be_disabled()
    page.press("#text", "Enter")
    expect(page.locator("#text")).to_have_value(text)


def test_a_message_to_somebody_who_has_left_is_edited_and_found_again(
    server: ServerProcess, browser: Browser, meet: MeetPerson
) -> None:
    ann = meet(browser, server.url, "Ann").register()
    hanna = meet(browser, server.url, "Hanna").register()
    befriend(ann, hanna)
    page, other = ann.page, hanna.id
    page.click(f".roll a[href$='{other}']")
    expect(page.locator(".conversation h1")).to_contain_text("Hanna")
    # Nothing gets out: what is written waits until the friendship has ended.
    page.route("**/api/messages", lambda route: route.abort())
    page.evaluate("WebSocket.prototype.send = () => {}")
    page.select_option("#transport", "sse")
    ann.wait_transport("Server-Sent Events")
    ann.send("some words")
    expect(page.locator(".message.pending .text")).to_have_text("some words")
    hanna.request("DELETE", f"/api/friends/{ann.id}")
    _left(ann, "Hanna")
    _kept(ann, other, "Hanna", "Waits: some words")
    # A page that begins anew tries at once, however long the old one would have waited.
    page.unroute("**/api/messages")
    page.reload()
    expect(page.locator(".message.failed .failure")).to_contain_text(
        "You can write to friends only"
    )
    _kept(ann, other, "Hanna", "Not sent: some words")

    page.reload()
    _left(ann, "Hanna")
    expect(page.locator(".message.failed .text")).to_have_text("some words")
    page.click(".failure button:text-is('Edit')")
    expect(page.locator(".message.failed")).to_have_count(0)
    # Not `to_be_focused`: of two windows of Firefox one has the focus.
    becomes(page, "document.activeElement.id", "text")
    _closed(ann, "some words")
    _kept(ann, other, "Hanna", "Draft: some words")

    # There is a way back, after a reload too.
    page.evaluate("location.hash = '#/chat/'")
    expect(page.locator(".conversation h1")).to_contain_text("All friends")
    page.reload()
    page.click(f".roll a[href$='{other}']")
    _left(ann, "Hanna")
    _closed(ann, "some words")
    # It ends when Ann says so, and the input goes with the focus, not under her fingers.
    page.fill("#text", "")
    becomes(page, "document.activeElement.id", "text")
    becomes(page, lambda: _row(page, other), "")
    page.focus(".stream")
    expect(page.locator("#text")).to_be_hidden()
    page.reload()
    _left(ann, "Hanna")


def test_half_a_message_stays_where_it_is_when_the_other_leaves(
    server: ServerProcess, browser: Browser, meet: MeetPerson
) -> None:
    ann = meet(browser, server.url, "Ann").register()
    hanna = meet(browser, server.url, "Hanna").register()
    befriend(ann, hanna)
    ann.page.click(f".roll a[href$='{hanna.id}']")
    expect(ann.page.locator(".conversation h1")).to_contain_text("Hanna")
    ann.page.fill("#text", "half a")
    hanna.request("DELETE", f"/api/friends/{ann.id}")
    _left(ann, "Hanna")
    _closed(ann, "half a")
    ann.page.keyboard.type(" message")
    _closed(ann, "half a message")
    _kept(ann, hanna.id, "Hanna", "Draft: half a message")
    befriend(ann, hanna)
    expect(ann.page.locator(".composer button.primary")).to_be_enabled()
    expect(ann.page.locator("#closed")).to_be_hidden()
    ann.page.press("#text", "Enter")
    ann.expect("half a message")


def test_the_name_of_somebody_who_has_left_goes_with_the_sign_out(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    hanna = meet(chromium, server.url, "Hanna").register()
    befriend(ann, hanna)
    # She leaves while nobody looks: what was last there says who she was.
    last = "localStorage.getItem('chat.last') ?? ''"
    becomes(ann.page, last, lambda kept: "Hanna" in kept)
    her = ann.id
    ann.page.goto("about:blank")
    hanna.request("DELETE", f"/api/friends/{her}")
    becomes(hanna.page, lambda: hanna.request("GET", "/api/friends")["friends"], [])
    ann.page.goto(f"{server.url}/#/chat/{hanna.id}")
    _left(ann, "Hanna")
    ann.page.click("#nav button")
    expect(ann.page.locator("#nav a[href='#/login']")).to_be_visible()
    assert "Hanna" not in ann.page.evaluate("JSON.stringify({...localStorage})")


def test_the_time_of_what_is_not_sent_stays_whatever_the_clocks_say_later(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann")
    ahead = timedelta(hours=-3)

    def told(route: Route) -> None:
        answer = route.fetch()
        date = format_datetime(parsedate_to_datetime(answer.headers["date"]) + ahead, usegmt=True)
        route.fulfill(response=answer, headers={**answer.headers, "date": date})

    page = ann.page
    page.route(re.compile("/api/(?!register)"), told)
    ann.register()
    page.route("**/api/messages", lambda route: route.abort())
    ann.context.set_offline(True)
    expect(page.locator(".banner")).to_be_visible()
    ann.send("written once")
    time = page.locator(".message.pending time")
    stood = time.get_attribute("datetime") or ""
    assert abs(datetime.fromisoformat(stood) - datetime.now(UTC) - ahead) < timedelta(minutes=10)
    row = page.locator(".roll time")
    expect(row).to_have_attribute("datetime", stood)
    ahead = timedelta(0)
    page.evaluate("WebSocket.prototype.send = () => {}")
    page.add_init_script("WebSocket.prototype.send = () => {}")
    ann.context.set_offline(False)
    page.reload()
    ann.wait_connected()
    expect(time).to_have_attribute("datetime", stood)
    expect(row).to_have_attribute("datetime", stood)
