"""A page belongs to one account, whoever signs in and out beside it in the same browser."""

from __future__ import annotations

import json
import urllib.request

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import MeetPerson
from tests.browser.looks import becomes
from tests.browser.people import PASSWORD, Person, befriend
from tests.support.process import ServerProcess


def fill_in(page: Page, email: str) -> None:
    page.fill("#f-email", email)
    page.fill("#f-password", PASSWORD)
    page.click("form.request button")


def registered(person: Person) -> Person:
    """An account whose browser is signed out again."""
    person.register()
    person.page.click("#nav >> text=Logout")
    person.page.wait_for_selector("text=A chat among friends")
    return person


def test_two_people_at_one_browser_each_have_a_page_of_their_own(
    server: ServerProcess, browser: Browser, meet: MeetPerson
) -> None:
    friend = meet(browser, server.url, "Friend").register()
    ann = registered(meet(browser, server.url, "Ann"))
    bob = meet(browser, server.url, "Bob").register()
    befriend(bob, friend)
    tab = bob.open()
    tab.goto(f"{server.url}/#/chat")
    bob.wait_connected(tab)
    bob.page.fill("#text", "Bob writes")
    tab.click("#nav >> text=Logout")
    tab.click("#nav >> text=Login")
    bob.page.wait_for_selector("text=You have been signed out")
    fill_in(tab, ann.email)
    bob.wait_connected(tab)
    # Bob's page shows nothing of Ann's, and offers to become hers.
    bob.page.wait_for_selector("text=You are signed in as Ann now")
    expect(bob.page.locator("#text")).to_have_count(0)
    bob.page.click("text=Sign in as Bob")
    fill_in(bob.page, bob.email)
    bob.wait_connected()
    expect(bob.page.locator("#text")).to_have_value("Bob writes")
    # Now Ann's page is the one that stops, at the very words that it has.
    tab.wait_for_selector("h1:text-is('Another account')")
    tab.wait_for_selector("text=You are signed in as Bob now")
    expect(tab.locator("#nav a, #text")).to_have_count(0)
    tab.click("text=Go on as Bob")
    bob.wait_connected(tab)
    expect(tab.locator("#text")).to_have_value("Bob writes")
    bob.page.press("#text", "Enter")
    friend.expect("Bob writes")
    bob.expect("Bob writes", page=tab)
    expect(friend.page.locator(".message .name")).to_have_text("Bob")
    tab.wait_for_function("() => document.getElementById('text').value === ''")


def test_a_cookie_that_is_changed_behind_the_page_stops_it_before_anything_is_done_in_another_name(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    bob = meet(chromium, server.url, "Bob").register()
    bob.page.click("#nav >> text=Profile")
    bob.page.fill("#f-firstName", "Bobby")
    # Nobody tells this page, and its own login lives.
    cookies = [one for one in bob.context.cookies() if one["name"].startswith("chatserver")]
    bob.context.add_cookies(ann.context.cookies())  # type: ignore[arg-type]
    bob.page.click("button:text-is('Save')")
    bob.page.wait_for_selector("text=You are signed in as Ann now")
    assert bob.request("GET", "/api/me")["user"]["name"] == "Ann"
    # And when the old one is back, the page goes on by itself as soon as somebody looks at it.
    bob.context.add_cookies(cookies)  # type: ignore[arg-type]
    bob.page.evaluate("dispatchEvent(new StorageEvent('storage', {key: 'chat.account'}))")
    bob.page.wait_for_selector("#f-firstName")
    expect(bob.page.locator("#f-firstName")).to_have_value("Bob")


def test_ones_own_sign_out_is_never_told_as_news(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    ann.page.evaluate(
        """() => {
            globalThis.told = [];
            new MutationObserver(() => {
                if (/signed out/.test(document.body.textContent)) globalThis.told.push(location.hash);
            }).observe(document.body, {childList: true, subtree: true, characterData: true});
        }"""
    )
    ann.page.fill("#text", "for later")
    # The end of the connection is heard long before the answer.
    answers: list[Route] = []

    def late(route: Route) -> None:
        route.fetch()
        answers.append(route)

    ann.page.route("**/api/logout", late)
    ann.page.click("#nav >> text=Logout")
    ann.page.wait_for_function(
        "async () => (await navigator.locks.query()).held.every(({name}) => !name.startsWith('chat'))"
    )
    becomes(ann.page, lambda: len(answers), 1)
    answers[0].fulfill(status=204)
    ann.page.wait_for_selector("text=A chat among friends")
    assert ann.page.evaluate("globalThis.told") == []
    ann.page.click("text=Delete it")
    ann.page.click("#nav >> text=Login")
    ann.sign_in()
    expect(ann.page.locator("#text")).to_have_value("")


def test_the_end_of_the_account_is_no_news_either_and_takes_the_drafts_along(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    ann.page.fill("#text", "never sent")
    ann.page.click("#nav >> text=Profile")
    ann.page.fill("#f-delete", PASSWORD)
    ann.page.click("text=Delete my account")
    ann.page.wait_for_selector("text=A chat among friends")
    expect(ann.page.locator(".page [role=status]").first).to_have_text(
        "Your account and all that you wrote are gone."
    )
    assert ann.page.locator("text=signed out").count() == 0
    becomes(ann.page, "Object.keys(localStorage).filter((key) => /draft|outbox/.test(key))", [])


def test_a_browser_that_keeps_no_cookies_is_told_so(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = registered(meet(chromium, server.url, "Ann"))

    def without_cookie(route: Route) -> None:
        request = urllib.request.Request(
            route.request.url,
            data=route.request.post_data_buffer,
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as answer:
            route.fulfill(status=200, json=json.load(answer))

    for path in ("**/api/login", "**/api/register"):
        ann.page.route(path, without_cookie)
    ann.page.click("#nav >> text=Login")
    fill_in(ann.page, ann.email)
    ann.page.wait_for_selector("text=This browser did not keep the cookie")
    ann.page.click("#nav >> text=Register")
    ann.page.fill("#f-firstName", "Ann")
    fill_in(ann.page, f"another.{ann.email}")
    ann.page.wait_for_selector("text=This browser did not keep the cookie")


@pytest.mark.parametrize("way", ["cache", "eyes"])
def test_a_page_that_is_looked_at_again_shows_nothing_of_an_account_that_is_gone(
    server: ServerProcess, chromium: Browser, meet: MeetPerson, way: str
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    ann.send("private")
    ann.expect("private")
    ann.context.clear_cookies()
    if way == "cache":
        hidden = ann.page.evaluate(
            """() => {
                dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}));
                return document.getElementById('main').hidden;
            }"""
        )
        assert hidden
    else:
        ann.page.evaluate(
            """() => {
                performance.now = () => 1e9;
                document.dispatchEvent(new Event('visibilitychange'));
            }"""
        )
    ann.page.wait_for_selector("text=You have been signed out")
    expect(ann.page.locator("text=private")).to_have_count(0)
    expect(ann.page.locator("#f-email")).to_be_visible()


def test_a_new_password_leaves_the_pages_of_this_browser_signed_in(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    tab = ann.open()
    tab.goto(f"{server.url}/#/chat")
    ann.wait_connected(tab)
    ann.page.click("#nav >> text=Profile")
    ann.page.fill("#f-currentPassword", PASSWORD)
    ann.page.fill("#f-password", f"{PASSWORD}2")
    ann.page.click("button:text-is('Change the password')")
    ann.page.wait_for_selector("text=The password is changed.")
    ann.page.click("#nav >> text=Chat")
    ann.send("still here")
    ann.expect("still here")
    ann.expect("still here", page=tab)


def test_the_page_for_old_browsers_hears_the_others_too_and_its_input_stays(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = registered(meet(chromium, server.url, "Ann"))
    bob = meet(chromium, server.url, "Bob").register()
    old = bob.open()
    old.goto(f"{server.url}/legacy")
    old.wait_for_selector(".note:text-is('Connected!')")
    old.fill("textarea", "Bob writes")
    bob.page.click("#nav >> text=Logout")
    old.wait_for_selector("text=Signed out.")
    bob.page.click("#nav >> text=Login")
    fill_in(bob.page, ann.email)
    bob.wait_connected()
    old.fill("#legacy-email-login", bob.email)
    old.fill("#legacy-password-login", PASSWORD)
    old.click("button:text-is('Login')")
    old.wait_for_selector("textarea")
    expect(old.locator("textarea")).to_have_value("Bob writes")
    # Ann's page has been told that she is signed out, or that Bob is in, whichever came first.
    bob.page.wait_for_selector("text=You are signed in as Bob now")
    bob.page.click("text=Go on as Bob")
    bob.wait_connected()
    old.wait_for_selector(".note:text-is('Connected!')")
    old.route("**/poll?*", lambda route: route.abort())
    bob.send("the next poll breaks")
    old.wait_for_selector(".note:text-is('Disconnected!')")
    expect(old.locator("textarea")).to_be_visible()
    expect(old.locator("textarea")).to_have_value("Bob writes")
