"""What is refused, or fails, is seen by whoever asked for it, and not only heard."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from tests.browser.accounts import MakeAccount
from tests.browser.conftest import MeetPerson
from tests.support.process import ServerProcess

API = "**/api/**"


def test_what_has_no_place_of_its_own_for_a_failure_tells_it_over_the_page(
    server: ServerProcess, browser: Browser, meet: MeetPerson, make: MakeAccount
) -> None:
    name = f"Quxley in {browser.browser_type.name}"
    make(name)
    ann = meet(browser, server.url, "Ann").register()
    page, told = ann.page, ann.page.locator(".bar.bad")
    page.click("#nav a[href='#/friends']")
    # The lists are there: what is found is not drawn again under the pointer.
    expect(page.locator("main")).to_contain_text("You have no friends here yet")
    page.fill("#q", name)
    asked = page.get_by_role("button", name=f"Ask {name}")
    expect(asked).to_be_visible()

    page.route(API, lambda route: route.abort())
    asked.click()
    expect(told).to_contain_text("The server cannot be reached.")
    expect(told).to_be_in_viewport()
    # What is told is no longer true once the same thing was done.
    page.unroute(API)
    asked.click()
    expect(page.get_by_role("button", name=f"Withdraw {name}").first).to_be_visible()
    expect(told).to_have_count(0)

    # Whoever goes away from a computer of others has to see that they are still signed in.
    page.route(API, lambda route: route.abort())
    page.click("#nav >> text=Logout")
    expect(told).to_contain_text("Signing out failed")
    expect(told).to_be_in_viewport()
    told.get_by_role("button", name="Close").press("Enter")
    expect(told).to_have_count(0)
    expect(page.locator("#nav >> text=Logout")).to_be_focused()

    # A failure stays until it is closed, or until one goes elsewhere.
    page.click("#nav a[href='#/chat']")
    page.click(".mute")
    expect(told).to_contain_text("The server cannot be reached.")
    page.click("#nav a[href='#/home']")
    expect(told).to_have_count(0)


def test_what_nobody_was_found_for_stands_in_its_sentence(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    ann.page.click("#nav a[href='#/friends']")
    ann.page.fill("#q", "nobody-of-this-name")
    sentence = ann.page.locator(".people .quiet")
    expect(sentence).to_have_text("Nobody found for “nobody-of-this-name”.")
    # Its words stand side by side: what is looked for ends a space's width or less before what follows it.
    gap = sentence.evaluate(
        """line => {
            const mark = document.createRange();
            const end = line.querySelector('bdi').nextSibling;
            mark.selectNodeContents(end);
            return mark.getBoundingClientRect().left - line.querySelector('bdi').getBoundingClientRect().right;
        }"""
    )
    assert abs(gap) < 2
