"""One picture each of what is seldom seen: other languages, narrow windows, forced colours, no connection, two accounts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, ViewportSize

from tests.support.process import ServerProcess

PASSWORD = "demo-password"
DESK: ViewportSize = {"width": 1100, "height": 720}
PHONE: ViewportSize = {"width": 390, "height": 760}
ZOOM: ViewportSize = {"width": 320, "height": 256}


def person(browser: Browser, url: str, name: str, **context: Any) -> Page:
    """One of the demo accounts, signed in."""
    options = {"locale": "en-GB", "timezone_id": "Europe/Zurich", "viewport": DESK} | context
    page = browser.new_context(**options).new_page()
    enter(page, url, name)
    return page


def enter(page: Page, url: str, name: str) -> None:
    """Sign in by the form."""
    page.goto(f"{url}/#/login")
    page.fill("#f-email", f"{name}@example.com")
    page.fill("#f-password", PASSWORD)
    page.click("form.request button")
    page.wait_for_selector("#nav a[href='#/profile']")


def newcomer(browser: Browser, url: str, name: str) -> Page:
    """Somebody who has just registered."""
    page = browser.new_context(viewport=DESK, locale="en-GB").new_page()
    page.goto(f"{url}/#/register")
    page.fill("#f-firstName", name)
    page.fill("#f-email", f"new{abs(hash(name))}@example.com")
    page.fill("#f-password", PASSWORD)
    page.click("form.request button")
    page.wait_for_selector("#nav a[href='#/profile']")
    return page


def right_to_left(browser: Browser, url: str) -> Page:
    """A Hebrew and an Arabic name, and what they write."""
    ann, other = newcomer(browser, url, "נועה"), newcomer(browser, url, "ليلى")
    ask = """async ([id]) => fetch(`/api/friends/${id}`, {method: 'PUT', headers: {'Content-Type': 'application/json'}})"""
    ids = [
        page.evaluate("async () => (await (await fetch('/api/me')).json()).user.id")
        for page in (ann, other)
    ]
    ann.evaluate(ask, [ids[1]])
    other.evaluate(ask, [ids[0]])
    for page, text in (
        (other, "123 تفاحات"),
        (ann, "שלום! see https://example.org/ 42"),
        (other, "مرحبا"),
    ):
        page.wait_for_selector("#text", state="visible")
        page.fill("#text", text)
        page.press("#text", "Enter")
        ann.wait_for_selector(f".message:not(.pending) .text:has-text('{text[:4]}')")
    ann.set_viewport_size(PHONE)
    return ann


def two_accounts(browser: Browser, url: str) -> Page:
    """Bob's page, when Ann has signed in beside it."""
    bob = person(browser, url, "bob")
    bob.fill("#text", "What Bob had begun to write")
    beside = bob.context.new_page()
    beside.goto(f"{url}/classic")
    bob.context.clear_cookies()
    enter(beside, url, "ann")
    bob.wait_for_selector("text=Ann Archer")
    return bob


def first_run(browser: Browser, url: str) -> Page:
    """The page as a visitor sees it."""
    page = browser.new_context(viewport=DESK, locale="en-GB").new_page()
    page.goto(url)
    page.wait_for_selector("#nav a[href='#/login']")
    return page


def page_of(path: str) -> Callable[[Browser, str], Page]:
    """Ann on a page that is not the script's."""

    def made(browser: Browser, url: str) -> Page:
        page = person(browser, url, "ann")
        page.goto(url + path)
        page.wait_for_selector("textarea")
        return page

    return made


def of(name: str, **context: Any) -> Callable[[Browser, str], Page]:
    """A demo account in such a browser."""
    return lambda browser, url: person(browser, url, name, **context)


def opened(name: str, **context: Any) -> Callable[[Browser, str], Page]:
    """The same in the conversation with all friends, which a phone shows after a tap."""

    def made(browser: Browser, url: str) -> Page:
        page = person(browser, url, name, **context)
        page.click(".conversations >> text=All friends")
        page.wait_for_selector("#text", state="visible")
        return page

    return made


SCENES: dict[str, Callable[[Browser, str], Page]] = {
    "first-run": first_run,
    "no-friends": lambda browser, url: newcomer(browser, url, "Nia"),
    "phone-list": of("ann", viewport=PHONE, has_touch=True),
    "phone-conversation": opened("ann", viewport=PHONE, has_touch=True),
    "chinese": of("ann", locale="zh-CN"),
    "right-to-left": right_to_left,
    "forced-colours": of("ann", forced_colors="active"),
    "zoom-400": opened("ann", viewport=ZOOM),
    "two-accounts": two_accounts,
    "classic": page_of("/classic"),
    "legacy": page_of("/legacy"),
}


def take_scenes(browser: Browser, server: ServerProcess, folder: Path) -> None:
    """A picture of each; the last one without its server."""
    for name, made in SCENES.items():
        page = made(browser, server.url)
        page.wait_for_timeout(800)
        page.screenshot(path=folder / f"{name}.png")
        page.context.close()
    page = person(browser, server.url, "ann")
    page.wait_for_selector("#text", state="visible")
    server.stop()
    page.fill("#text", "This waits for the connection")
    page.press("#text", "Enter")
    page.wait_for_selector(".pending")
    page.wait_for_timeout(800)
    page.screenshot(path=folder / "offline.png")
