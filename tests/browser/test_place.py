"""The reader's place: what is being read stays where it is, and what was on the screen is what has been seen."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.browser.accounts import Account, MakeAccount, sign_in
from tests.browser.conftest import MeetPerson
from tests.browser.looks import becomes, settle, stays
from tests.browser.people import PASSWORD
from tests.support.process import ServerProcess

WORKER = False
TOPMOST = """() => {
    const box = document.querySelector('.stream');
    const edge = box.getBoundingClientRect().top;
    const row = [...document.querySelectorAll('.stream .message')]
        .find((one) => one.getBoundingClientRect().bottom > edge + 4);
    return {id: row.id, top: row.querySelector('.text').getBoundingClientRect().top, scroll: box.scrollTop};
}"""
"""The topmost message on the screen, and where its text stands."""

TOP = "id => document.getElementById(id)?.querySelector('.text').getBoundingClientRect().top"
LINE = "() => document.querySelector('.stream .line')?.nextElementSibling.id"
"""The first message below the line of new ones."""

LOADED = "() => document.querySelectorAll('.stream .message').length"
GAP = "() => { const box = document.querySelector('.stream'); return box.scrollHeight - box.scrollTop - box.clientHeight; }"
FOCUS = (
    "has => { document.hasFocus = () => has; dispatchEvent(new Event(has ? 'focus' : 'blur')); }"
)

DAY_MS = 86_400_000
STILL_PX = 2
DESK, PHONE = (1000, 700), (390, 760)


def numbers(page: Page) -> list[int]:
    """The numbers of the messages that are loaded, as they stand."""
    texts: list[str] = page.eval_on_selector_all(
        ".stream .text", "all => all.map(n => n.textContent)"
    )
    return [int(re.findall(r"\d+", text)[0]) for text in texts]


def wheel(page: Page, up: int) -> None:
    """Turn the wheel over the messages: the topmost one moves by that, and then by nothing more."""
    before = page.evaluate(TOPMOST)
    wanted = before["top"] + min(up, before["scroll"])
    page.mouse.wheel(0, -up)
    page.wait_for_function(
        f"([id, top]) => Math.abs(({TOP})(id) - top) <= {STILL_PX}",
        arg=[before["id"], wanted],
    )
    settle(page)
    assert abs(page.evaluate(TOP, before["id"]) - wanted) <= STILL_PX


def draft(page: Page, text: str) -> None:
    """Lines that are written, without the key that sends them."""
    page.eval_on_selector(
        "#text",
        "(input, text) => { input.value = text; input.dispatchEvent(new Event('input')); }",
        text,
    )


def near(px: float) -> bool:
    """No further away than a page that stays may be."""
    return abs(px) <= STILL_PX


def away(page: Page, row: dict[str, Any]) -> Callable[[], float]:
    """How far a row is from where it was; a row that is gone is far away."""

    def look() -> float:
        top = page.evaluate(TOP, row["id"])
        return abs(top - row["top"]) if top is not None else float("inf")

    return look


def over_messages(page: Page) -> None:
    box = page.locator(".stream").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def older_yesterday(route: Route) -> None:
    """The older half of 400 messages was written the day before."""
    answer = route.fetch()
    page: dict[str, Any] = answer.json()
    for event in page["messages"]:
        if int(re.findall(r"\d+", event["text"])[0]) <= 200:
            event["at"] -= DAY_MS
    route.fulfill(response=answer, json=page)


@pytest.fixture(scope="module")
def ann(make: MakeAccount) -> Account:
    """Has written 400 messages, all of one day."""
    account = make("Ann")
    account.write(*range(1, 401))
    return account


@pytest.mark.parametrize(("size", "days"), [(DESK, 1), (DESK, 2), (PHONE, 1)])
def test_the_row_that_is_read_moves_by_the_wheel_alone_and_everything_older_comes(
    server: ServerProcess,
    browser: Browser,
    meet: MeetPerson,
    ann: Account,
    size: tuple[int, int],
    days: int,
) -> None:
    page = meet(browser, server.url, "Ann").page
    page.set_viewport_size({"width": size[0], "height": size[1]})
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if "/api/messages?" in one.url else None)
    if days == 2:
        page.route("**/api/messages?*", older_yesterday)
    page.goto(f"{server.url}/#/chat/")
    page.fill("#f-email", ann.email)
    page.fill("#f-password", PASSWORD)
    page.click("form.request button")
    page.wait_for_function("() => document.querySelectorAll('.stream .message').length >= 50")
    stays(page, GAP, near)
    over_messages(page)
    assert len(numbers(page)) < 200
    room = "document.querySelector('.stream').scrollTop >= 320"
    for _ in range(60):
        if len(numbers(page)) == 400:
            break
        # So near the top older ones are under way: once they are there, the wheel has room.
        page.wait_for_function(f"() => {room} || ({LOADED})() === 400")
        wheel(page, 320)
    assert numbers(page) == list(range(1, 401))
    assert len(asked) == len(set(asked)), "a page was asked for twice"


def test_what_is_read_stays_when_older_messages_come_late_and_take_the_name_above_it(
    server: ServerProcess, browser: Browser, meet: MeetPerson, ann: Account
) -> None:
    page = sign_in(meet, browser, server.url, ann).page
    page.wait_for_function(f"() => ({LOADED})() >= 50")
    late: list[Route] = []

    def hold_first(route: Route) -> None:
        if late:
            route.continue_()
        else:
            late.append(route)

    page.route("**/api/messages?*", hold_first)
    page.focus(".stream")
    page.keyboard.press("Home")
    page.wait_for_function("() => document.querySelector('.stream').scrollTop === 0")
    becomes(page, lambda: len(late), 1)
    settle(page)
    texts = "() => [...document.querySelectorAll('.stream .message')].slice(-50).slice(0, 5).map(one => [one.id, one.querySelector('.text').getBoundingClientRect().top])"
    before = page.evaluate(texts)
    late[0].continue_()
    page.wait_for_function(f"() => ({LOADED})() >= 100")
    for id_, top in before:
        stays(page, away(page, {"id": id_, "top": top}), near)


def test_older_messages_come_also_by_keys_in_small_pages_and_after_answers_that_failed(
    server: ServerProcess, browser: Browser, meet: MeetPerson, ann: Account
) -> None:
    page = sign_in(meet, browser, server.url, ann).page
    page.wait_for_function(f"() => ({LOADED})() >= 50")
    failures = [503, 503]

    def small(route: Route) -> None:
        if failures:
            route.fulfill(
                status=failures.pop(), json={"title": "Unavailable", "code": "unavailable"}
            )
        else:
            route.fulfill(
                response=route.fetch(url=re.sub(r"limit=\d+", "limit=3", route.request.url))
            )

    page.route("**/api/messages?*", small)
    page.focus(".stream")
    page.keyboard.press("Home")
    # A page of three messages brings less than a screen: more are asked for without another key.
    page.wait_for_function(f"() => ({LOADED})() >= 62")
    assert not failures
    page.unroute_all(behavior="wait")

    def up() -> list[int]:
        page.keyboard.press("PageUp")
        page.keyboard.press("Home")
        settle(page)
        return numbers(page)

    becomes(page, up, list(range(1, 401)))


def test_a_window_higher_than_what_is_loaded_is_filled(
    server: ServerProcess, chromium: Browser, meet: MeetPerson, ann: Account
) -> None:
    page = meet(chromium, server.url, "Ann").page
    page.set_viewport_size({"width": 1000, "height": 2600})
    page.route(
        "**/api/messages?*",
        lambda route: route.continue_(url=route.request.url.replace("limit=50", "limit=5")),
    )
    page.goto(f"{server.url}/#/login")
    page.fill("#f-email", ann.email)
    page.fill("#f-password", PASSWORD)
    page.click("form.request button")
    page.wait_for_function(
        "() => { const box = document.querySelector('.stream'); return box && box.scrollHeight > box.clientHeight; }"
    )
    stays(page, GAP, near)


def test_what_is_laid_out_anew_leaves_the_row_where_it_is(
    server: ServerProcess, browser: Browser, meet: MeetPerson, make: MakeAccount
) -> None:
    """A window that changes its size, a larger font, messages and notes that come, names that change."""
    cho, dan = make("Cho"), make("Dan")
    cho.befriend(dan)
    dan.write(*range(1, 41))
    reader = sign_in(meet, browser, server.url, cho)
    page = reader.page
    page.wait_for_function(f"() => ({LOADED})() === 40")
    # With the first message comes the question about calls, above the messages.
    dan.write(41)
    page.wait_for_selector("#ask button")
    page.click(".jump")
    page.wait_for_function(
        "() => [...document.querySelectorAll('.badge')].every((one) => !one.checkVisibility())"
    )
    over_messages(page)
    wheel(page, 500)
    wheel(page, round(page.locator(".stream").bounding_box()["y"] - page.evaluate(TOPMOST)["top"]))  # type: ignore[index]
    row = page.evaluate(TOPMOST)

    def still(what: str) -> None:
        stays(page, away(page, row), near, what)

    dan.write(42, 43)
    page.wait_for_selector(".jump:has-text('2 new')")
    still("messages came")
    dan.http.patch("/api/me", json={"firstName": "Dan with a name " + "long " * 6})
    page.wait_for_selector(".message .name:has-text('with a name')")
    still("a name has changed")
    reader.context.set_offline(True)
    page.evaluate("() => dispatchEvent(new Event('offline'))")
    draft(page, "a draft\nof\nthree lines")
    still("the input has grown")
    reader.context.set_offline(False)
    page.set_viewport_size({"width": 1000, "height": 380})
    still("the window is lower, as with a keyboard")
    page.set_viewport_size({"width": 1000, "height": 700})
    still("the window is higher again")
    page.evaluate("() => document.documentElement.style.setProperty('font-size', '18px')")
    still("the font has come")
    page.evaluate("() => document.documentElement.style.setProperty('font-size', '16px')")
    page.set_viewport_size({"width": 700, "height": 700})
    still("lines wrap")


def test_at_the_end_the_newest_line_stays_in_view(
    server: ServerProcess, browser: Browser, meet: MeetPerson, ann: Account
) -> None:
    page = sign_in(meet, browser, server.url, ann).page
    page.wait_for_function(f"() => ({LOADED})() >= 50")
    stays(page, GAP, near)
    draft(page, "a draft\nof\nfour\nlines")
    stays(page, GAP, near)
    for width, height in (PHONE, (390, 430), DESK):
        page.set_viewport_size({"width": width, "height": height})
        stays(page, GAP, near)


def test_two_hundred_unread_open_at_the_first_and_only_what_was_on_the_screen_is_read(
    server: ServerProcess, browser: Browser, meet: MeetPerson, make: MakeAccount
) -> None:
    cho, dan = make("Cho"), make("Dan")
    cho.befriend(dan)
    cho.write(1, 2, 3)
    dan.write(*range(4, 204))
    page = sign_in(meet, browser, server.url, cho).page
    page.wait_for_selector(".jump:has-text('new')")
    tops = """() => {
        const box = document.querySelector('.stream').getBoundingClientRect();
        const [line, first] = [document.querySelector('.stream .line'), document.querySelectorAll('.stream .message')[3]];
        return [box.top, line.getBoundingClientRect().top, first.getBoundingClientRect().top, box.top + box.height / 2];
    }"""
    stays(page, tops, lambda all: all == sorted(all) and all[1] < all[2] < all[3])
    assert 100 < int(re.findall(r"\d+", page.inner_text(".jump"))[0]) <= 200
    seen = "() => Math.max(...[...document.querySelectorAll('.stream .message')].filter((one) => one.getBoundingClientRect().bottom <= document.querySelector('.stream').getBoundingClientRect().bottom + 2).map((one) => one.dataset.seq))"
    on_screen = page.evaluate(seen)
    wait_until(page, lambda: cho.read_up_to() >= on_screen)
    read = cho.read_up_to()
    # The input may have come after the messages, in the place of a line or two.
    rows = page.eval_on_selector_all(
        ".stream .message", "all => all.map((one) => Number(one.dataset.seq))"
    )
    assert rows.index(read) - rows.index(on_screen) <= 3
    page.evaluate(FOCUS, False)
    over_messages(page)
    wheel(page, -2000)
    lower = page.evaluate(seen)
    assert lower > read
    assert cho.read_up_to() == read, "nobody was there to read"
    page.evaluate(FOCUS, True)
    wait_until(page, lambda: cho.read_up_to() >= lower)
    page.click(".jump")
    page.wait_for_selector(".jump", state="hidden")
    wait_until(page, lambda: not cho.http.get("/api/read").json()["unread"])


def wait_until(page: Page, holds: Callable[[], bool]) -> None:
    """Ask the server until it says so."""
    becomes(page, holds, True, "the server does not say so")


def test_what_comes_while_nobody_looks_is_not_read_and_begins_at_the_line(
    server: ServerProcess, chromium: Browser, meet: MeetPerson, make: MakeAccount
) -> None:
    cho, dan = make("Cho"), make("Dan")
    cho.befriend(dan)
    page = sign_in(meet, chromium, server.url, cho, f"#/chat/{dan.id}").page
    dan.write(1, to=cho)
    wait_until(page, lambda: cho.read_up_to(dan) > 0)
    page.evaluate(FOCUS, False)
    dan.write(*range(2, 60), to=cho)
    page.wait_for_function(f"() => ({LOADED})() === 59")
    page.wait_for_selector(".badge:has-text('58')")
    line = """() => {
        const box = document.querySelector('.stream').getBoundingClientRect();
        return [document.querySelector('.stream .line').getBoundingClientRect().top - box.top, box.height];
    }"""
    stays(page, line, lambda seen: -STILL_PX <= seen[0] < seen[1])
    becomes(page, lambda: page.inner_text(".jump"), lambda text: text.startswith("58"))
    page.evaluate(FOCUS, True)
    badge = "() => document.querySelector('.badge')?.textContent ?? ''"
    becomes(page, badge, lambda text: text and "58" not in text)


def test_a_click_on_what_is_shown_changes_nothing_and_a_conversation_is_left_and_found_as_it_was(
    server: ServerProcess, browser: Browser, meet: MeetPerson, make: MakeAccount
) -> None:
    cho, dan, eve = make("Cho"), make("Dan"), make("Eve")
    cho.befriend(dan)
    cho.befriend(eve)
    cho.write(*range(1, 61), to=dan)
    page = sign_in(meet, browser, server.url, cho, f"#/chat/{dan.id}").page
    page.wait_for_function(f"() => ({LOADED})() >= 50")
    over_messages(page)
    wheel(page, 500)
    row = page.evaluate(TOPMOST)
    page.evaluate("id => { document.getElementById(id).marked = true; }", row["id"])
    page.evaluate(
        "id => getSelection().selectAllChildren(document.querySelector(`[id='${id}'] .text`))",
        row["id"],
    )
    chosen = page.evaluate("() => String(getSelection())")
    page.evaluate("() => { document.querySelector('.conversations').marked = true; }")
    page.click(f".conversations a[href$='{dan.id}']")
    dan.http.post("/api/read", json={"with": cho.id, "upTo": 2**52})
    page.wait_for_selector(".mark.read")
    page.focus(".skip")
    page.keyboard.press("Enter")
    becomes(page, "() => document.activeElement.id", "main")
    assert page.evaluate("() => location.hash").endswith(dan.id)
    assert page.evaluate("id => document.getElementById(id)?.marked", row["id"])
    assert page.evaluate("() => String(getSelection())") == chosen
    stays(page, away(page, row), near)
    page.click("#nav a[href='#/chat']")
    stays(page, away(page, row), near)
    page.click(f".conversations a[href$='{dan.id}']")
    settle(page)
    assert page.evaluate("id => document.getElementById(id)?.marked", row["id"])
    page.click(f".conversations a[href$='{eve.id}']")
    page.wait_for_selector("h1:has-text('Eve')")
    assert page.evaluate("() => document.querySelector('.conversations').marked")
    page.click("#nav >> text=Profile")
    page.wait_for_selector("#f-firstName")
    page.evaluate("hash => { location.hash = hash; }", f"#/chat/{dan.id}")
    page.wait_for_selector("h1:has-text('Dan')")
    stays(page, away(page, row), near)


def test_an_own_message_does_not_move_when_it_is_sent(
    server: ServerProcess, chromium: Browser, meet: MeetPerson, ann: Account
) -> None:
    reader = sign_in(meet, chromium, server.url, ann)
    page = reader.page
    held: list[Route] = []
    page.route("**/api/messages", lambda route: held.append(route))
    page.select_option("#transport", label="Polling")
    page.wait_for_function(
        "() => document.querySelector('.status [role=status]').textContent.startsWith('Polling')"
    )
    reader.send("first of two", "second of two")
    page.wait_for_selector(".pending:has-text('second of two')")
    settle(page)
    places = "() => [...document.querySelectorAll('.message.own')].slice(-2).map((one) => [one.id, one.getBoundingClientRect().top])"
    pending = page.evaluate(places)
    for _ in range(2):
        wait_until(page, lambda: bool(held))
        held.pop().continue_()
    reader.expect("first of two", "second of two")
    stays(page, places, pending)


def test_a_conversation_that_is_left_with_something_unread_is_found_where_it_was_left(
    server: ServerProcess, browser: Browser, meet: MeetPerson, make: MakeAccount
) -> None:
    cho, dan = make("Cho"), make("Dan")
    cho.befriend(dan)
    dan.write(*range(1, 121), to=cho)
    page = sign_in(meet, browser, server.url, cho, f"#/chat/{dan.id}").page
    page.wait_for_selector(".stream .line")
    over_messages(page)
    wheel(page, -900)
    wait_until(page, lambda: cho.read_up_to(dan) > 0)
    row, line = page.evaluate(TOPMOST), page.evaluate(LINE)
    # Above the messages a question comes and goes; what is read keeps its place in them.
    stands = f"() => ({TOP})({row['id']!r}) - document.querySelector('.stream').getBoundingClientRect().top"
    stood = page.evaluate(stands)
    for come in (0, 1):
        page.click("#nav >> text=Profile")
        page.wait_for_selector("#f-firstName")
        if come:
            dan.write(121, to=cho)
        page.evaluate("hash => { location.hash = hash; }", f"#/chat/{dan.id}")
        page.wait_for_selector("h1:has-text('Dan')")
        stays(page, stands, lambda top: top is not None and near(top - stood))
        stays(page, LINE, line)
        assert page.is_visible(".jump:has-text('new')")
