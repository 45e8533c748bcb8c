"""Two people in two browsers, from signing up to talking; each message exactly once on both sides."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Route, expect

from tests.browser.conftest import MeetPerson
from tests.browser.looks import becomes
from tests.browser.people import PASSWORD, befriend
from tests.support.process import ServerProcess


def test_from_signing_up_to_a_conversation(
    server: ServerProcess, browser: Browser, meet: MeetPerson
) -> None:
    ann = meet(browser, server.url, "Ann").register()
    bob = meet(browser, server.url, "Bob").register()
    ann.page.click("nav >> text=Find friends")
    ann.page.fill("#q", bob.email)
    ann.page.click("[aria-label='Ask Bob']")
    bob.page.click("nav >> text=Find friends")
    bob.page.click("[aria-label='Accept Ann']")
    for person, friend in ((ann, "Bob"), (bob, "Ann")):
        person.page.wait_for_selector(f"[aria-label='End {friend}']")
        person.page.click("#nav >> text=Chat")
        person.wait_connected()
    ann.send("Hello Bob", "and again")
    bob.send("Hello Ann 👋")
    for person in (ann, bob):
        person.expect("Hello Bob", "and again", "Hello Ann 👋")
        names = "[...document.querySelectorAll('.message .name')].map(n => n.textContent)"
        becomes(person.page, names, lambda seen: set(seen) == {"Ann", "Bob"})


def test_the_input_is_there_and_focused_once_connected_and_the_stream_tells_the_story(
    server: ServerProcess, browser: Browser, meet: MeetPerson
) -> None:
    ann = meet(browser, server.url, "Ann").register()
    ann.page.wait_for_function("() => document.activeElement?.id === 'text'")
    expect(ann.page.locator(".note")).to_have_text(["Connected!"])


def test_enter_sends_and_shift_enter_breaks_the_line(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    ann.page.fill("#text", "one")
    ann.page.press("#text", "Shift+Enter")
    ann.page.type("#text", "two")
    expect(ann.page.locator("#text")).to_have_value("one\ntwo")
    ann.page.press("#text", "Enter")
    ann.expect("one\ntwo")
    expect(ann.page.locator("#text")).to_have_value("")


def test_what_one_writes_to_one_friend_reaches_that_friend_alone_with_marks_of_its_way(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    bob = meet(chromium, server.url, "Bob").register()
    cho = meet(chromium, server.url, "Cho").register()
    befriend(ann, bob)
    befriend(ann, cho)
    ann.page.click(f".conversations a[href$='{bob.id}']")
    ann.page.wait_for_selector("h1:has-text('Bob')")
    ann.wait_connected()
    ann.send("for Bob alone")
    ann.expect("for Bob alone")
    bob.page.wait_for_selector(".conversations .badge")
    becomes(bob.page, bob.page.title, lambda title: title.startswith("(1) "))
    bob.page.click(f".conversations a[href$='{ann.id}']")
    bob.expect("for Bob alone")
    ann.page.wait_for_selector(".mark.read")
    ann.page.click(".conversations a[href='#/chat/']")
    ann.page.wait_for_selector(".conversations a[href='#/chat/'][aria-current]")
    ann.send("for all")
    cho.expect("for all")
    assert cho.texts() == ["for all"]
    bob.page.wait_for_function("() => document.title.startsWith('(1) ')")


def test_script_in_names_and_texts_is_text(
    server: ServerProcess, browser: Browser, meet: MeetPerson
) -> None:
    evil = "<img src=x onerror=document.title='owned'><b>&amp;"
    ann = meet(browser, server.url, evil).register()
    bob = meet(browser, server.url, "Bob").register()
    befriend(ann, bob)
    text = "<script>document.title='owned'</script> javascript:alert(1) https://a.example/?q=<b>"
    ann.send(text)
    bob.expect(text)
    expect(bob.page.locator(".message .name")).to_have_text(evil)
    expect(bob.page.locator(".stream :is(img, script, b)")).to_have_count(0)
    links = "[...document.querySelectorAll('.text a')].map(a => [a.href, a.rel])"
    becomes(bob.page, links, [["https://a.example/?q=", "noopener noreferrer nofollow ugc"]])
    assert "owned" not in bob.page.title()


@pytest.mark.timeout(400)
def test_typing_and_presence_are_shown(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    bob = meet(chromium, server.url, "Bob").register()
    befriend(ann, bob)
    ann.page.wait_for_selector(f".conversations a[href$='{bob.id}'] .dot.online")
    bob_id = bob.id
    bob.page.type("#text", "h")
    ann.page.wait_for_function(
        "() => document.querySelector('.typing').textContent === 'Bob is typing…'"
    )
    bob.page.click("text=Logout")
    ann.page.wait_for_selector(
        f".conversations a[href$='{bob_id}'] .dot:not(.online)", timeout=50_000
    )


def test_signing_out_in_another_tab_keeps_the_draft(
    server: ServerProcess, browser: Browser, meet: MeetPerson
) -> None:
    ann = meet(browser, server.url, "Ann").register()
    other = ann.open()
    other.goto(f"{server.url}/#/chat")
    ann.wait_connected(other)
    ann.page.fill("#text", "not yet sent")
    other.click("text=Logout")
    ann.page.wait_for_selector("text=What you were writing is kept")
    ann.sign_in()
    expect(ann.page.locator("#text")).to_have_value("not yet sent")


def test_a_page_whose_browser_is_signed_in_to_another_account_stops_and_shows_the_way_on(
    server: ServerProcess, browser: Browser, meet: MeetPerson
) -> None:
    ann = meet(browser, server.url, "Ann").register()
    ann_id = ann.id
    said: list[str | None] = []

    def refuse(route: Route) -> None:
        said.append(route.request.headers.get("x-chat-user"))
        problem = {"title": "Another account", "status": 409, "code": "another_account"}
        route.fulfill(status=409, content_type="application/problem+json", json=problem)

    ann.page.fill("#text", "not yet sent")
    ann.page.click("#nav >> text=Find friends")
    ann.page.route("**/api/users?*", refuse)
    ann.page.fill("#q", "bob")
    ann.page.wait_for_selector("h1:text-is('Another account')")
    assert said == [ann_id]
    expect(ann.page.locator("#nav a, #text")).to_have_count(0)
    ann.page.unroute("**/api/users?*")
    ann.page.click("text=Go on as Ann")
    ann.page.wait_for_selector("#q")
    ann.page.click("#nav >> text=Chat")
    ann.wait_connected()
    expect(ann.page.locator("#text")).to_have_value("not yet sent")


def test_the_profile_changes_name_colour_and_password_and_ends_the_account(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    bob = meet(chromium, server.url, "Bob").register()
    befriend(ann, bob)
    ann.send("hello")
    bob.expect("hello")
    ann.page.click("text=Profile")
    ann.page.fill("#f-firstName", "Anna")
    ann.page.click("[aria-label='Colour #b3261e']")
    ann.page.click("button:text-is('Save')")
    ann.page.wait_for_selector("text=Saved.")
    bob.page.wait_for_function(
        "() => document.querySelector('.message .name').textContent === 'Anna'"
    )
    expect(bob.page.locator(".message .name")).to_have_css("color", "rgb(179, 38, 30)")
    ann.page.fill("#f-label", "my script")
    ann.page.click("text=Make a token")
    ann.page.wait_for_selector("output code")
    ann.page.click("[aria-label='Revoke my script']")
    ann.page.wait_for_selector("[aria-label='Revoke my script']", state="detached")
    ann.page.wait_for_selector("text=this device")
    ann.page.fill("#f-delete", "wrong password")
    ann.page.click("text=Delete my account")
    ann.page.wait_for_selector(".words.bad:not(:empty)")
    ann.page.fill("#f-delete", PASSWORD)
    ann.page.click("text=Delete my account")
    ann.page.wait_for_selector("text=A chat among friends")
    bob.page.wait_for_selector(".conversations .quiet")


def test_a_block_ends_the_friendship_and_can_be_taken_back(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    bob = meet(chromium, server.url, "Bob").register()
    befriend(ann, bob)
    ann.page.click("text=Find friends")
    ann.page.click("[aria-label='Block Bob']")
    ann.page.click(".ask .danger")
    ann.page.wait_for_selector("[aria-label='Unblock Bob']")
    bob.page.wait_for_selector(".conversations .quiet")
    ann.page.click("[aria-label='Unblock Bob']")
    ann.page.wait_for_selector("[aria-label='Unblock Bob']", state="detached")


def test_a_refused_message_can_be_edited_and_its_length_is_told_while_one_writes(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    ann.page.fill("#text", "x" * 3499)
    count = ann.page.locator("#count")
    expect(count).to_be_hidden()
    ann.page.fill("#text", "x" * 3500)
    expect(count).to_have_text("3,500 of 4,000 characters")
    ann.page.fill("#text", "\U0001f600" * 4001)
    expect(count).to_contain_text("1 character too many")
    ann.page.press("#text", "Enter")
    assert ann.page.locator(".message").count() == 0
    expect(ann.page.locator(".conversation .words")).to_be_empty()
    ann.page.fill("#text", "\u200b")
    expect(count).to_have_text("This message shows nothing.")
    ann.page.press("#text", "Enter")
    expect(ann.page.locator(".conversation .words")).to_be_empty()

    def refuse(route: Route) -> None:
        problem = {
            "title": "No",
            "status": 422,
            "code": "invalid_field",
            "detail": "Not like this.",
        }
        route.fulfill(status=422, content_type="application/problem+json", json=problem)

    ann.page.select_option("#transport", "longpoll")
    ann.wait_transport("Long-polling")
    ann.page.route("**/api/messages", refuse)
    ann.send("tpyo")
    ann.page.wait_for_selector(".failed")
    ann.page.fill("#text", "a draft")
    ann.page.click(".failed >> text=Edit")
    expect(ann.page.locator("#text")).to_have_value("tpyo\na draft")
    expect(ann.page.locator(".failed")).to_have_count(0)
    ann.page.wait_for_function("() => document.activeElement.id === 'text'")


def test_on_a_touch_screen_enter_begins_a_line_and_no_conversation_takes_the_focus(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    # Chromium says what it points with by a setting of the whole process; the page asks the same way.
    ann.context.add_init_script(
        """const real = globalThis.matchMedia;
        globalThis.matchMedia = (query) => real.call(globalThis, query.includes('coarse') ? 'all' : query);"""
    )
    ann.page.reload()
    ann.wait_connected()
    ann.page.wait_for_selector(".note:text-is('Connected!')")
    assert ann.page.evaluate("document.activeElement.id") != "text"
    ann.page.focus("#text")
    ann.page.keyboard.type("one")
    ann.page.keyboard.press("Enter")
    ann.page.keyboard.type("two")
    expect(ann.page.locator("#text")).to_have_value("one\ntwo")
    expect(ann.page.locator("#text")).to_have_attribute("enterkeyhint", "enter")
    ann.page.click("button:text-is('Send')")
    ann.expect("one\ntwo")
