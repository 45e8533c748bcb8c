"""axe-core finds nothing on any page, in either theme, in either language."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import MeetPerson
from tests.browser.looks import settle
from tests.browser.people import befriend
from tests.support.process import ServerProcess

WORKER = False
VIEWS = ("#/home", "#/chat", "#/friends", "#/profile")
OUT = ("#/home", "#/register", "#/login")
CLASSIC = ("/classic", "/classic/friends", "/classic/settings")
CLASSIC_OUT = ("/classic", "/classic/login", "/classic/register")

RUN = """async rules => (await axe.run(rules ? {runOnly: {type: 'rule', values: rules}} : {})).violations
    .map(({id, impact, nodes}) => `${id} (${impact}): ${nodes.map((node) => node.html.slice(0, 120)).join(' | ')}`)"""


def findings(page: Page, axe: str, where: str, ready: str | None = None) -> list[str]:
    """What axe finds on the page as it stands, whatever its weight; and in the other theme, which has other colours.

    `ready`: the page asks for the theme when it is loaded, so it is loaded again, until this is there.
    """
    page.evaluate(axe)
    found: list[str] = page.evaluate(RUN, None)
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    page.emulate_media(color_scheme="light" if dark else "dark")
    if ready is not None:
        page.reload()
        page.wait_for_selector(ready)
        page.evaluate(axe)
    settle(page)  # names are drawn anew in the colours of the other theme
    found += page.evaluate(RUN, ["color-contrast"])
    page.emulate_media(color_scheme="dark" if dark else "light")
    settle(page)
    return [f"{where}: {one}" for one in found]


def of_views(page: Page, axe: str, views: tuple[str, ...]) -> list[str]:
    """The same for each of these views."""
    found: list[str] = []
    for view in views:
        page.evaluate("hash => { location.hash = hash; }", view)
        page.wait_for_selector(f"#nav a[href='{view}'][aria-current]")
        page.wait_for_selector("h1")
        found += findings(page, axe, view)
    return found


def of_pages(page: Page, axe: str, url: str, paths: tuple[str, ...], ready: str) -> list[str]:
    """The same for each of these pages."""
    found: list[str] = []
    for path in paths:
        page.goto(url + path)
        page.wait_for_selector(ready)
        found += findings(page, axe, path, ready)
    return found


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("scheme", "language"), [("light", "en"), ("dark", "zh-CN")])
def test_axe_finds_nothing(
    server: ServerProcess,
    chromium: Browser,
    meet: MeetPerson,
    axe: str,
    scheme: str,
    language: str,
) -> None:
    ann, bob = meet(chromium, server.url, "Ann"), meet(chromium, server.url, "Bob")
    for one in (ann, bob):
        one.context.set_extra_http_headers({"Accept-Language": language})
        one.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        one.register()
    befriend(ann, bob)
    bob.send("hello https://a.example/")
    ann.expect("hello https://a.example/")
    page = ann.page
    assert page.get_attribute("html", "lang") == language
    found = of_views(page, axe, VIEWS)
    page.goto(f"{server.url}/#/chat/{bob.id}")
    page.wait_for_selector("#text", state="visible")
    found += findings(page, axe, "a conversation")
    page.set_viewport_size({"width": 390, "height": 760})
    page.goto(f"{server.url}/#/chat")
    page.wait_for_selector(".roll a", state="visible")
    page.wait_for_selector("#text", state="hidden")
    found += findings(page, axe, "the list on a phone")
    found += of_pages(page, axe, server.url, ("/lab", "/legacy"), ".controls, .stream")
    found += of_pages(page, axe, server.url, CLASSIC, "h1")
    bob.page.goto("about:blank")
    bob.context.clear_cookies()
    bob.page.goto(f"{server.url}/#/home")
    bob.page.wait_for_selector("#nav a[href='#/login']")
    found += of_views(bob.page, axe, OUT)
    found += of_pages(bob.page, axe, server.url, CLASSIC_OUT, "h1")
    assert not found, "\n".join(found)
