"""Coming, going, and coming back: what stands in the console, in an address, and in what is read aloud."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import MeetPerson
from tests.browser.people import befriend
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
