"""What the page weighs, whether it can be read and operated by all, and old browsers."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Dialog

from tests.browser.conftest import ARTIFACTS, MeetPerson
from tests.browser.looks import becomes, stays
from tests.browser.people import PASSWORD, befriend
from tests.support.process import ServerProcess

OLD = (
    "for (const name of ['WebSocket', 'EventSource', 'fetch', 'Promise']) delete globalThis[name];"
)

CONTRAST = """() => {
    const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
        .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (element) => {
        for (let one = element; one; one = one.parentElement) {
            const color = rgb(getComputedStyle(one).backgroundColor);
            if (color.length === 3 || color[3] === 1) return color;
        }
        return [255, 255, 255];
    };
    const bad = [];
    for (const element of document.querySelectorAll('body *')) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        const box = element.getBoundingClientRect();
        if (!own || box.width < 2 || element.closest('.pending, :disabled, option, noscript')) continue;
        const [a, b] = [rgb(getComputedStyle(element).color), ground(element)].map(light).sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) bad.push(`${element.className}: ${element.textContent.slice(0, 30)}`);
    }
    return bad;
}"""

NAMED = """() => {
    const bad = [];
    for (const element of document.querySelectorAll('a, button, input, select, textarea, summary, canvas')) {
        if (!element.checkVisibility()) continue;
        const label = element.getAttribute('aria-label') || element.labels?.[0]?.textContent
            || element.title || element.textContent;
        if (!label?.trim()) bad.push(element.outerHTML.slice(0, 80));
    }
    const ids = [...document.querySelectorAll('[id]')].map((element) => element.id);
    for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) bad.push(`twice: ${id}`);
    if (document.querySelectorAll('main').length !== 1) bad.push('not one main');
    if ([...document.querySelectorAll('h1')].filter((one) => one.checkVisibility()).length !== 1) bad.push('not one h1');
    if (!document.documentElement.lang) bad.push('no language');
    return bad;
}"""

VIEWS = ("#/home", "#/chat", "#/friends", "#/profile")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_can_be_read_and_every_control_has_a_name(
    server: ServerProcess, chromium: Browser, meet: MeetPerson, scheme: str
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    bob = meet(chromium, server.url, "Bob").register()
    befriend(ann, bob)
    bob.send("hello")
    ann.page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    ann.expect("hello")
    for view in VIEWS:
        ann.page.evaluate("hash => { location.hash = hash; }", view)
        ann.page.wait_for_selector(f"#nav a[href='{view}'][aria-current]")
        ann.page.wait_for_selector("h1")
        becomes(ann.page, CONTRAST, [], view)
        becomes(ann.page, NAMED, [], view)
    ann.page.click("text=Logout")
    ann.page.wait_for_selector("text=A chat among friends")
    for view in ("#/register", "#/login"):
        ann.page.evaluate("hash => { location.hash = hash; }", view)
        ann.page.wait_for_selector(f"#nav a[href='{view}'][aria-current]")
        becomes(ann.page, CONTRAST, [], view)
        becomes(ann.page, NAMED, [], view)


def test_on_a_phone_nothing_is_wider_than_the_screen(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann").register()
    ann.page.set_viewport_size({"width": 360, "height": 640})
    ann.send("w" * 300, "https://a.example/" + "x" * 300)
    ann.expect("w" * 300)
    for view in VIEWS:
        ann.page.evaluate("hash => { location.hash = hash; }", view)
        ann.page.wait_for_selector(f"#nav a[href='{view}'][aria-current]")
        for wide in ("document.documentElement", "document.querySelector('main')"):
            stays(ann.page, f"{wide}.scrollWidth", lambda px: px <= 360, view)


def test_the_keyboard_goes_all_the_way(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann")
    ann.page.goto(f"{server.url}/#/register")
    ann.page.wait_for_function("() => document.activeElement?.id === 'f-firstName'")
    for words in ("Ann", "", ann.email, PASSWORD):
        ann.page.keyboard.type(words)
        ann.page.keyboard.press("Tab")
    ann.page.keyboard.press("Enter")
    ann.page.wait_for_function("() => document.activeElement?.id === 'text'")
    ann.page.keyboard.type("by keys alone")
    ann.page.keyboard.press("Enter")
    ann.expect("by keys alone")


def test_the_page_of_somebody_weighs_less_than_260_kilobytes_unpacked(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann")
    sizes: dict[str, int] = {}
    ann.page.on(
        "response",
        lambda answer: (
            sizes.__setitem__(answer.url, len(answer.body()))
            if "/static/" in answer.url or answer.url == f"{server.url}/"
            else None
        ),
    )
    ann.register()
    becomes(ann.page, lambda: any(url.endswith("client.js") for url in sizes), True)
    assert sum(sizes.values()) < 260_000


def test_a_browser_of_old_reads_writes_and_befriends(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    bob = meet(chromium, server.url, "Bob").register()
    old = meet(chromium, server.url, "Old")
    old.context.add_init_script(OLD)
    old.page.goto(f"{server.url}/legacy")
    for name, value in (
        ("firstName", "Old"),
        ("email", old.email),
        ("password", PASSWORD),
    ):
        old.page.fill(f"#legacy-{name}-register", value)
    old.page.click("button:text-is('Register')")
    old.page.wait_for_selector("text=Connected!")
    old.page.fill("#legacy-q", bob.email)
    old.page.click("text=Search")
    old.page.click("button:text-is('Ask')")
    bob.page.click("text=Find friends")
    bob.page.click("[aria-label='Accept Old']")
    old.page.wait_for_selector("button:text-is('End')")
    bob.page.click("#nav >> text=Chat")
    bob.wait_connected()
    bob.send("<b>hello</b>")
    old.page.wait_for_selector(".stream >> text=<b>hello</b>")
    old.page.fill("textarea", "hello from of old")
    old.page.press("textarea", "Enter")
    bob.expect("hello from of old")
    old.page.wait_for_selector(".stream >> text=hello from of old")
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.accept()

    old.page.once("dialog", answer)
    old.page.click("button:text-is('End')")
    old.page.click("button:text-is('Undo')")
    old.page.wait_for_selector("button:text-is('End')")
    assert "will not see any more what Bob wrote" in asked[0] and "10 seconds" in asked[0]
    friends = bob.request("GET", "/api/friends")["friends"]
    assert [one["name"] for one in friends] == ["Old"]


def test_without_script_the_page_leads_to_the_classic_ones(
    server: ServerProcess, chromium: Browser
) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(server.url)
    page.click("noscript a[href='/classic']")
    page.wait_for_url(f"{server.url}/classic*")
    context.close()


def test_the_laboratory_shows_five_lanes_that_recover(
    server: ServerProcess, chromium: Browser, meet: MeetPerson
) -> None:
    ann = meet(chromium, server.url, "Ann")
    ann.page.set_viewport_size({"width": 1300, "height": 900})
    ann.page.goto(f"{server.url}/lab")
    ann.page.click("text=Make an account for the laboratory")
    ann.page.click("text=Start")
    cells = "[...document.querySelectorAll('#summary tbody tr')].map(row => [...row.cells].map(cell => cell.textContent))"
    enough = f"least => {{ const rows = {cells}; return rows.length === 5 && rows.every(row => Number(row[4]) >= least); }}"
    ann.page.wait_for_function(enough, arg=3)
    for name in ("WebSocket", "Server-Sent Events", "Long-polling", "Polling", "Classic"):
        ann.page.click(f"[aria-label='Cut here: {name}']")
    ann.page.wait_for_function(enough, arg=6)
    for name in ("WebSocket", "Server-Sent Events", "Long-polling", "Polling"):
        ann.page.click(f'[aria-label="Close the server\'s side of {name}"]')
    ann.page.wait_for_function(enough, arg=9)
    # The server's own counts are asked for now and then.
    counted = becomes(ann.page, cells, lambda rows: all(int(row[7] or 0) for row in rows[:4]))
    for row in counted:
        assert row[5:7] == ["0", "0"], f"missed or doubled: {row}"
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    ann.page.screenshot(path=ARTIFACTS / "laboratory.png", full_page=True)
    becomes(ann.page, CONTRAST, [])
    becomes(ann.page, NAMED, [])
    with ann.page.expect_download() as download:
        ann.page.click("text=Data as CSV")
    lines = download.value.path().read_text().splitlines()
    assert lines[0] == "transport,message,sent_ms,latency_ms"
    assert len(lines) > 40
