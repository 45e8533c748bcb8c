"""What networks, servers, laptops and people with many tabs do; nothing is lost or doubled by any of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import MeetPerson
from tests.browser.looks import becomes
from tests.browser.mute_proxy import MuteProxy
from tests.browser.people import Person, befriend
from tests.conftest import FAST
from tests.support.process import ServerProcess

MOST_ASKED = 8
"""Requests from the form that is sent to the first message that is shown; most of them at once."""


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that a test may kill."""
    with ServerProcess(tmp_path_factory.mktemp("own"), *FAST) as running:
        yield running


@pytest.fixture
def mute_proxy(server: ServerProcess) -> Iterator[MuteProxy]:
    proxy = MuteProxy(server.port)
    yield proxy
    proxy.close()


def two_friends(
    browser: Browser, meet: MeetPerson, url: str, other_url: str | None = None
) -> tuple[Person, Person]:
    ann = meet(browser, url, "Ann").register()
    bob = meet(browser, other_url or url, "Bob").register()
    befriend(ann, bob)
    return ann, bob


def test_long_polling_is_upgraded_in_mid_traffic(
    server: ServerProcess, browser: Browser, meet: MeetPerson
) -> None:
    ann, bob = two_friends(browser, meet, server.url)
    bob.wait_transport("WebSocket")
    # Ann's page begins anew on long-polling, while Bob's page sends without a pause.
    ann.page.evaluate("localStorage.clear()")
    bob.page.evaluate(
        """() => {
            let number = 0;
            const box = document.getElementById('text');
            globalThis.sending = setInterval(() => {
                box.value = `t${number++}`;
                box.form.requestSubmit();
            }, 10);
        }"""
    )
    ann.page.reload()
    ann.wait_transport("WebSocket")
    bob.expect("t30")
    bob.page.evaluate("clearInterval(globalThis.sending)")
    bob.page.wait_for_selector(".message.pending", state="detached")
    texts = bob.texts()
    ann.expect(*texts)
    becomes(ann.page, ann.texts, texts)
    becomes(ann.page, "localStorage.getItem('chat.transport')", "websocket")


def test_behind_a_proxy_that_blocks_websocket_and_buffers_sse_long_polling_serves(
    server: ServerProcess, buffering_proxy: str, browser: Browser, meet: MeetPerson
) -> None:
    ann, bob = two_friends(browser, meet, buffering_proxy, server.url)
    ann.wait_transport("Long-polling: ")
    ann.send("from behind the proxy")
    bob.send("to behind the proxy")
    for person in (ann, bob):
        person.expect("from behind the proxy", "to behind the proxy")


def test_a_websocket_that_opens_and_stays_mute_is_not_trusted(
    server: ServerProcess, mute_proxy: MuteProxy, browser: Browser, meet: MeetPerson
) -> None:
    ann, bob = two_friends(browser, meet, mute_proxy.url, server.url)
    ann.wait_transport("Server-Sent Events: ")
    assert mute_proxy.upgrades >= 1
    ann.send("one")
    bob.send("two")
    for person in (ann, bob):
        person.expect("one", "two")
    # The network gets better: the page climbs again, at a nudge.
    mute_proxy.mute = False
    ann.page.evaluate("dispatchEvent(new Event('online'))")
    ann.wait_transport("WebSocket")
    bob.send("three")
    ann.expect("one", "two", "three")


def test_a_killed_and_restarted_server_loses_nothing(
    own_server: ServerProcess, browser: Browser, meet: MeetPerson
) -> None:
    ann, bob = two_friends(browser, meet, own_server.url)
    ann.send("before")
    bob.expect("before")
    ann.page.fill("#text", "bet")
    ann.page.focus("#text")
    own_server.kill()
    ann.page.wait_for_selector(".note:text-is('Disconnected!')")
    expect(ann.page.locator(".status [role=status]")).to_contain_text("Disconnected!")
    expect(ann.page.locator("#live p").last).to_have_text("Disconnected!")
    # The input stays, with the focus and what is in it; what is sent waits.
    ann.page.keyboard.type("ween")
    ann.page.keyboard.press("Enter")
    ann.page.wait_for_selector(".pending >> text=waits for the connection")
    ann.page.keyboard.type("half a li")
    own_server.start()
    # The page may have tried by itself meanwhile: then there is no button any more.
    ann.page.evaluate("document.querySelector('.banner:not([hidden]) button')?.click()")
    ann.page.wait_for_selector(".note:text-is('Connected!')")
    expect(ann.page.locator(".note")).to_have_count(1)
    ann.page.keyboard.type("ne")
    expect(ann.page.locator("#text")).to_have_value("half a line")
    bob.page.wait_for_selector(".note:text-is('Connected!')")
    bob.send("after")
    for person in (ann, bob):
        person.expect("before", "between", "after")


@pytest.mark.timeout(400)
def test_a_minute_offline_is_caught_up(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann, bob = two_friends(chromium, meet, server.url)
    ann.wait_transport("WebSocket")
    ann.context.set_offline(True)
    ann.page.wait_for_selector("text=Disconnected!")
    texts = [f"t{number}" for number in range(30)]
    for text in texts:
        bob.send(text)
        bob.page.wait_for_timeout(2_000)
    bob.expect(*texts)
    ann.context.set_offline(False)
    ann.expect(*texts)
    becomes(ann.page, ann.texts, texts)


def test_a_page_that_slept_is_caught_up(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann, bob = two_friends(chromium, meet, server.url)
    ann.wait_transport("WebSocket")
    inspector = ann.context.new_cdp_session(ann.page)
    inspector.send("Page.setWebLifecycleState", {"state": "frozen"})
    texts = [f"t{number}" for number in range(20)]
    bob.send(*texts)
    bob.expect(*texts)
    inspector.send("Page.setWebLifecycleState", {"state": "active"})
    ann.expect(*texts)
    becomes(ann.page, ann.texts, texts)


def test_six_tabs_share_one_connection_and_survive_its_owner(
    server: ServerProcess, browser: Browser, meet: MeetPerson
) -> None:
    ann, bob = two_friends(browser, meet, server.url)
    tabs = [ann.page]
    for _ in range(5):
        tabs.append(ann.open())
        tabs[-1].goto(f"{server.url}/#/chat")
        ann.wait_connected(tabs[-1])
        ann.wait_transport("WebSocket, through another tab", tabs[-1])
    becomes(ann.page, ann.status, lambda words: "another tab" not in words)
    bob.send("one")
    tabs[3].fill("#text", "two")
    tabs[3].press("#text", "Enter")
    for tab in tabs:
        ann.expect("one", "two", page=tab)
    ann.page.close()
    ann.page = tabs[1]
    bob.send("three")
    for tab in tabs[1:]:
        ann.expect("one", "two", "three", page=tab)
    tabs[1].wait_for_function(
        "() => document.querySelector('.status [role=status]').textContent.startsWith('WebSocket')"
    )


def test_each_transport_can_be_chosen(
    server: ServerProcess, browser: Browser, meet: MeetPerson
) -> None:
    ann, bob = two_friends(browser, meet, server.url)
    sent: list[str] = []
    for value, words in (
        ("sse", "Server-Sent Events"),
        ("longpoll", "Long-polling"),
        ("poll", "Polling"),
        ("websocket", "WebSocket"),
        ("sse", "Server-Sent Events"),
        ("", "WebSocket"),
    ):
        ann.page.select_option("#transport", value or None, label=None if value else "Automatic")
        ann.wait_transport(words)
        sent += [f"to {len(sent)}", f"from {len(sent)}"]
        bob.send(sent[-2])
        ann.send(sent[-1])
        ann.expect(*sent)
        bob.expect(*sent)


@pytest.mark.timeout(400)
def test_ten_thousand_messages_are_read_page_by_page(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann, bob = two_friends(chromium, meet, server.url)
    # Pages that would draw each of them are elsewhere meanwhile.
    ann.page.goto("about:blank")
    bob.page.goto(f"{server.url}/classic")
    bob.page.evaluate(
        """() => new Promise((resolve, reject) => {
            const socket = new WebSocket(location.origin.replace('http', 'ws') + '/ws?client=flood', 'chat.v1');
            let sent = 0;
            let acknowledged = 0;
            const send = () => socket.send(JSON.stringify({type: 'send', text: `m${sent}`, clientId: `m${sent++}`}));
            socket.onmessage = ({data}) => {
                const {type, clientId} = JSON.parse(data);
                if (type === 'error') reject(new Error(data));
                if (type === 'hello') for (let n = 0; n < 100; n += 1) send();
                if (type !== 'ack') return;
                acknowledged += 1;
                if (sent < 10000) send();
                if (acknowledged === 10000) { socket.close(); resolve(); }
            };
            socket.onclose = ({code, reason}) => reject(new Error(`closed: ${code} ${reason}`));
            setTimeout(() => reject(new Error(`only ${acknowledged} acknowledged`)), 60000);
        })"""
    )
    # Where all has been read elsewhere the page opens at the end.
    ann.page.goto(f"{server.url}/classic")
    ann.request("POST", "/api/read", {"upTo": 2**53 - 1})
    ann.page.goto(f"{server.url}/#/chat")
    ann.wait_connected()
    ann.expect("m9999")
    assert len(ann.texts()) <= 100
    for _ in range(4):
        count = len(ann.texts())
        ann.page.eval_on_selector(".stream", "box => { box.scrollTop = box.scrollHeight / 2; }")
        ann.page.eval_on_selector(".stream", "box => { box.scrollTop = 0; }")
        ann.page.wait_for_function(
            "count => document.querySelectorAll('.message').length > count", arg=count
        )
    texts = ann.texts()
    assert texts == [f"m{number}" for number in range(10_000 - len(texts), 10_000)]
    bob.page.goto(f"{server.url}/#/chat")
    bob.wait_connected()
    bob.send("the newest")
    ann.page.wait_for_selector(".jump:not([hidden])")
    ann.page.click(".jump")
    ann.expect("the newest")


def test_the_first_message_is_shown_after_signing_in_without_a_wait_and_after_few_requests(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    ann.send("hello")
    ann.expect("hello")
    ann.page.click("text=Logout")
    ann.page.click("#nav >> text=Login")
    # The clock of the page stands still: whatever waits for it would never be shown.
    ann.page.evaluate(
        """() => {
            const real = globalThis.setTimeout;
            globalThis.setTimeout = (call, ms = 0, ...words) => real(call, ms > 50 ? 1e9 : ms, ...words);
            globalThis.setInterval = () => 0;
            const asked = globalThis.fetch;
            globalThis.asked = [];
            globalThis.fetch = (...words) => {
                if (!document.querySelector('.message')) globalThis.asked.push(String(words[0].url ?? words[0]));
                return asked(...words);
            };
        }"""
    )
    ann.sign_in()
    ann.expect("hello")
    asked = ann.page.evaluate("globalThis.asked")
    assert len(asked) <= MOST_ASKED, asked
