"""Coming, going, and coming back: what stands in the console, in an address, and in what is read aloud."""

from __future__ import annotations

import uuid

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import MeetPerson
from tests.browser.looks import becomes
from tests.browser.people import PASSWORD, befriend
from tests.support.process import ServerProcess


@pytest.mark.parametrize("path", ["/", "/classic", "/legacy", "/lab"])
def test_no_failed_request_stands_in_the_console_of_a_first_visit(
    server: ServerProcess, browser: Browser, path: str
) -> None:
    context = browser.new_context()
    page = context.new_page()
    said: list[str] = []
    answers: list[str] = []
    page.on(
        "console",
        lambda line: said.append(line.text) if line.type in ("error", "warning") else None,
    )
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("requestfailed", lambda request: answers.append(request.url))
    page.on("response", lambda answer: answers.append(answer.url) if answer.status >= 400 else None)
    page.goto(server.url + path, wait_until="networkidle")
    page.wait_for_selector("h1")
    assert (said, answers) == ([], [])
    context.close()


ADDRESSES = (
    "#/chat/%E0%A4%A",
    "#/%",
    "#/chat/%00",
    "#//",
    "#/friends/%zz",
    "#/__proto__/x",
    "#/chat/%",
)


def test_no_address_ends_the_page(
    server: ServerProcess, browser: Browser, meet: MeetPerson
) -> None:
    ann = meet(browser, server.url, "Ann").register()
    for address in ADDRESSES:
        ann.page.evaluate("hash => { location.hash = hash; }", address)
        ann.page.wait_for_selector("main h1")
    # The last of them is there when the page begins, too.
    ann.page.reload()
    ann.page.wait_for_selector("#nav a[href='#/home']")
    ann.page.click("#nav a[href='#/chat']")
    ann.page.click(".conversations >> text=All friends")
    ann.wait_connected()


def test_each_message_of_a_burst_is_read_aloud_and_each_repeat(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    bob = meet(chromium, server.url, "Bob").register()
    befriend(ann, bob)
    ann.page.evaluate(
        """() => {
            globalThis.heard = [];
            const live = document.getElementById('live');
            new MutationObserver((all) => {
                for (const { addedNodes } of all) for (const node of addedNodes) heard.push(node.textContent);
            }).observe(live, {childList: true});
        }"""
    )
    assert ann.page.get_attribute("#live", "role") == "log"
    texts = ["one", "two", "two", "two", "three"]
    for text in texts:
        bob.request("POST", "/api/messages", {"text": text})
    ann.page.wait_for_function("() => heard.some(line => line.includes('three'))")
    heard = ann.page.evaluate("heard")
    assert [line for line in heard if "Bob" in line] == [f"Bob: {text}" for text in texts]


def test_the_laboratory_reaches_no_friend_unless_one_asks_for_it(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    bob = meet(chromium, server.url, "Bob").register()
    befriend(ann, bob)
    ann.page.goto(f"{server.url}/lab")
    ann.page.wait_for_selector("text=1 friend gets every message")
    expect(ann.page.locator("button:text-is('Start')")).to_be_hidden()
    ann.page.click("text=Use a throw-away account")
    ann.page.click("button:text-is('Start')")
    ann.page.wait_for_function(
        "() => Number(document.querySelector('#summary tbody tr td:nth-of-type(4)')?.textContent) >= 1"
    )
    somebody = ann.id
    assert bob.request("GET", "/api/messages")["messages"] == []
    # It ends with the page, and leaves nobody signed in.
    ann.page.goto(f"{server.url}/#/home")
    ann.page.wait_for_selector("#nav a[href='#/login']")

    def found() -> list[str]:
        return [one["id"] for one in bob.request("GET", "/api/users?q=Laboratory")["users"]]

    becomes(bob.page, found, lambda ids: somebody not in ids)
    ann.page.goto(f"{server.url}/#/login")
    ann.page.fill("#f-email", ann.email)
    ann.page.fill("#f-password", PASSWORD)
    ann.page.click("form.request button")
    ann.page.wait_for_selector("#nav >> text=Logout")
    ann.page.goto(f"{server.url}/lab")
    ann.page.click("text=Use my own account")
    ann.page.wait_for_selector("button:text-is('Start')")
    expect(ann.page.locator("text=Delete the account")).to_be_hidden()


def test_profile_says_to_a_password_manager_whose_passwords_its_forms_ask_for(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    said: list[str] = []
    ann.page.on("console", lambda line: said.append(line.text))
    ann.page.click("#nav a[href='#/profile']")
    ann.page.wait_for_selector("#f-delete")
    named = "form:has([type=password]) [autocomplete=username]"
    values = ann.page.locator(named)
    becomes(ann.page, lambda: [one.input_value() for one in values.all()], [ann.email] * 2)
    assert said == []


def test_profile_names_devices_and_forgets_passwords_that_were_used(
    server: ServerProcess, browser: Browser, meet: MeetPerson
) -> None:
    ann = meet(browser, server.url, "Ann").register()
    there = meet(browser, server.url, "Ann there")
    there.email = ann.email
    there.page.goto(f"{server.url}/#/login")
    there.sign_in()
    ann.page.click("#nav a[href='#/profile']")
    name = "Firefox" if browser.browser_type.name == "firefox" else "Chrome"
    ann.page.wait_for_selector(f".who:has-text('{name} on Linux') >> text=this device")
    expect(ann.page.locator(".people .who", has_text="last used")).to_have_count(2)
    ann.page.click("text=Sign out all other devices")
    there.page.wait_for_selector("#f-email")
    ann.page.wait_for_function(
        "() => [...document.querySelectorAll('.who')].filter(one => one.textContent.includes('last used')).length === 1"
    )
    ann.page.fill("#f-currentPassword", PASSWORD)
    ann.page.fill("form:has(#f-currentPassword) #f-password", "another-password")
    ann.page.click("form:has(#f-currentPassword) button")
    ann.page.wait_for_selector("text=The password is changed.")
    passwords = "[...document.querySelectorAll('[type=password]')].map(one => one.value)"
    becomes(ann.page, passwords, ["", "", ""])


def test_controls_on_a_phone_are_large_enough_not_to_be_zoomed_in_on(
    server: ServerProcess, chromium: Browser
) -> None:
    context = chromium.new_context(
        viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    small = """() => [...document.querySelectorAll('input, select, textarea')]
        .filter(one => parseFloat(getComputedStyle(one).fontSize) < 16).map(one => one.outerHTML)"""
    for path in ("/#/login", "/classic/register", "/legacy"):
        page.goto(server.url + path)
        page.wait_for_selector("input:not([type=hidden])")
        becomes(page, small, [], path)
    page.goto(f"{server.url}/#/register")
    page.fill("#f-firstName", "Ann")
    page.fill("#f-email", f"{uuid.uuid4().hex}@example.com")
    page.fill("#f-password", PASSWORD)
    page.click("form.request button")
    page.wait_for_selector("#text", state="attached")
    for name in ("chat", "friends", "profile"):
        page.evaluate("hash => { location.hash = hash; }", f"#/{name}")
        page.wait_for_selector(f"#nav a[href='#/{name}'][aria-current]", state="attached")
        page.wait_for_selector("main :is(input, textarea)", state="attached")
        becomes(page, small, [], name)
    context.close()
