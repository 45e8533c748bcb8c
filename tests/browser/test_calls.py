"""It calls you, and it is there without the server: notifications, push, the worker, what was last there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import MeetPerson
from tests.browser.looks import becomes
from tests.browser.people import Person, befriend
from tests.conftest import FAST
from tests.support.process import ServerProcess

BLURRED = "document.hasFocus = () => false"
SHOWN = """async count => {
    const worker = await navigator.serviceWorker.ready;
    for (let tries = 0; ; tries += 1) {
        const found = await worker.getNotifications();
        if (found.length === count || tries === 1200) {
            return found.map(({title, body, tag, data}) => ({title, body, tag, hash: data?.hash}));
        }
        await new Promise(resolve => setTimeout(resolve, 25));
    }
}"""
WATCH = """() => {
    globalThis.told = 0;
    const { prototype } = ServiceWorkerRegistration;
    const show = prototype.showNotification;
    prototype.showNotification = async function (...what) {
        await show.apply(this, what);
        told += 1;
    };
}"""
"""Whoever asks what is shown while something is being shown makes Chromium take it away: it is in the list of what was
shown, and not on the screen yet. So what is asked first is how many have been."""
PUSHED_AGAIN_S = 5.0
KEPT = "text => localStorage.getItem('chat.last')?.includes(text)"


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that a test may kill."""
    with ServerProcess(tmp_path_factory.mktemp("own"), *FAST) as running:
        yield running


def two(chromium: Browser, meet: MeetPerson, url: str) -> tuple[Person, Person]:
    ann, bob = (meet(chromium, url, name).register() for name in ("Ann", "Bob"))
    befriend(ann, bob)
    return ann, bob


def shown(person: Person, count: int) -> list[dict[str, Any]]:
    """The notifications, as soon as there are so many. None may be on its way (`WATCH`)."""
    found: list[dict[str, Any]] = person.page.evaluate(SHOWN, count)
    assert len(found) == count, found
    return found


def test_it_asks_after_the_first_message_and_calls_where_nobody_looks(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann, bob = two(chromium, meet, server.url)
    # This browser gives no permission to anybody who asks; the person's answer is played.
    bob.page.evaluate(
        """() => {
            globalThis.asked = 0;
            let state = 'default';
            Object.defineProperty(Notification, 'permission', {get: () => state});
            Notification.requestPermission = async () => { asked += 1; return state = 'granted'; };
        }"""
    )
    assert bob.page.query_selector("#ask button") is None
    ann.send("first")
    bob.page.click("#ask button.primary")
    bob.page.wait_for_selector("#ask button", state="detached")
    assert bob.page.evaluate("asked") == 1
    bob.context.grant_permissions(["notifications"], origin=server.url)
    # Until the worker is there, calls are the page's own, and the worker does not know of them.
    bob.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    ann.send("seen by Bob")
    bob.expect("seen by Bob")
    bob.page.evaluate(BLURRED)
    bob.page.evaluate(WATCH)
    title = bob.page.title()
    ann.request("POST", "/api/messages", {"text": "to Bob alone", "to": bob.id})
    bob.page.wait_for_function("() => told === 1")
    (call,) = shown(bob, 1)
    assert call == {
        "title": "Ann",
        "body": "to Bob alone",
        "tag": f"chat-{ann.id}",
        "hash": f"#/chat/{ann.id}",
    }
    bob.page.wait_for_function("title => document.title === `(1) ${title}`", arg=title)
    bob.page.wait_for_function(
        "() => document.querySelector('link[rel=icon]').href.startsWith('data:')"
    )
    # Another tab of this browser has the focus: it is not called.
    other = bob.open()
    other.goto(server.url)
    bob.wait_connected(other)
    ann.request("POST", "/api/messages", {"text": "again", "to": bob.id})
    other.wait_for_function("() => document.title.startsWith('(2)')")
    assert [one["body"] for one in shown(bob, 1)] == ["to Bob alone"]
    other.close()
    # A conversation that is muted does not call.
    bob.page.evaluate("id => { location.hash = `#/chat/${id}`; }", ann.id)
    bob.page.get_by_role("button", name="Mute", exact=True).click()
    bob.page.get_by_role("button", name="Unmute").wait_for()
    ann.request("POST", "/api/messages", {"text": "muted", "to": bob.id})
    ann.request("POST", "/api/messages", {"text": "to all"})
    bob.page.wait_for_function("() => told === 2")
    found = shown(bob, 2)
    assert {one["body"] for one in found} == {"to Bob alone", "to all"}


def push(person: Person, **told: Any) -> None:
    """What a push service brings, by the browser's own tools."""
    tools = person.context.new_cdp_session(person.page)
    tools.send("ServiceWorker.enable")
    found: list[dict[str, Any]] = []
    tools.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda each: found.extend(each["registrations"]),
    )
    tools.send("ServiceWorker.disable")
    tools.send("ServiceWorker.enable")
    person.page.wait_for_function("() => navigator.serviceWorker.ready.then(() => true)")
    becomes(person.page, lambda: bool(found), True, "no worker is registered")
    tools.send(
        "ServiceWorker.deliverPushMessage",
        {
            "origin": person.url,
            "registrationId": found[-1]["registrationId"],
            "data": json.dumps(told),
        },
    )


def push_until_shown(person: Person, **told: Any) -> None:
    """The browser's tools never say whether a push came: it is sent again until the worker has shown something."""
    [worker] = person.context.service_workers
    before = worker.evaluate("told")
    pushed_at_s = 0.0

    def seen() -> bool:
        nonlocal pushed_at_s
        if time.monotonic() > pushed_at_s + PUSHED_AGAIN_S:
            push(person, **told)
            pushed_at_s = time.monotonic()
        return bool(worker.evaluate("told") > before)

    becomes(person.page, seen, True, f"nothing is shown of {told}")


def test_a_push_shows_who_wrote_to_whoever_is_signed_in_here_and_nothing_to_another(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    bob = meet(chromium, server.url, "Bob").register()
    bob.context.grant_permissions(["notifications"], origin=server.url)
    bob.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    id_ = bob.id
    [worker] = bob.context.service_workers
    worker.evaluate(WATCH)
    push(bob, **{"user": id_, "with": "ann", "name": "Ann", "text": "nobody needs to be told"})
    bob.page.goto(f"{server.url}/classic")
    hello = {"user": id_, "with": "ann", "name": "Ann", "text": "hello"}
    push_until_shown(bob, **hello)
    secret = {"user": "another", "with": "ann", "name": "Secret", "text": "private"}
    push_until_shown(bob, **secret)
    found = sorted(shown(bob, 2), key=lambda one: str(one["tag"]))
    assert found[0] == {"title": "Ann", "body": "hello", "tag": "chat-ann", "hash": "#/chat/ann"}
    assert found[1]["tag"] == "chat-other" and "private" not in str(found[1])
    assert "Secret" not in str(found[1])
    # Signing out takes away what was shown, and whom the worker knew.
    bob.page.goto(server.url)
    bob.page.get_by_role("button", name="Logout").click()
    bob.page.wait_for_function("async () => !await caches.has('chat-said')")
    assert shown(bob, 0) == []


FULL = """() => {
    const full = () => Promise.reject(new DOMException('no room', 'QuotaExceededError'));
    CacheStorage.prototype.open = full;
}"""


def test_a_browser_that_can_keep_nothing_shows_the_page_of_the_network(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    ann.page.wait_for_function("() => navigator.serviceWorker.controller")
    [worker] = ann.context.service_workers
    worker.evaluate(FULL)
    ann.page.reload()
    ann.wait_connected()
    assert ann.page.evaluate("() => Boolean(navigator.serviceWorker.controller)")
    assert worker.evaluate("() => CacheStorage.prototype.open.name") == "full"


def test_a_reload_without_the_server_shows_what_was_last_there_and_nothing_after_sign_out(
    own_server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann, bob = two(chromium, meet, own_server.url)
    ann.send("kept for later")
    bob.expect("kept for later")
    bob.page.wait_for_function(KEPT, arg="kept for later")
    bob.page.wait_for_function(
        """async () => (await navigator.serviceWorker.ready)
            && (await caches.keys()).some((name) => name.startsWith('chat-shell-'))"""
    )
    bob.page.wait_for_function("() => navigator.serviceWorker.controller !== null")
    own_server.kill()
    bob.page.reload()
    bob.expect("kept for later")
    bob.send("written without a server")
    own_server.start()
    bob.expect("written without a server", timeout_ms=40_000)
    bob.page.get_by_role("button", name="Logout").click()
    bob.page.wait_for_function("() => localStorage.getItem('chat.last') === null")
    # Ann signs out by a page without script.
    ann.page.wait_for_function(KEPT, arg="kept for later")
    ann.page.goto(f"{own_server.url}/classic")
    ann.page.locator("form[action='/classic/logout'] button").click()
    ann.page.wait_for_selector("form[action='/classic/login']")
    own_server.kill()
    for person in (ann, bob):
        person.page.goto(own_server.url)
        person.page.wait_for_selector("[role=status]")
        person.page.wait_for_function("() => performance.now() > 5000")
        assert "kept for later" not in person.page.content()
    own_server.start()
