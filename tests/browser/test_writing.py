"""What one puts into a message beside letters: signs from the picker, and files, which get an answer."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from tests.browser.conftest import MeetPerson
from tests.support.process import ServerProcess

WORKER = False
SIGNS = ".signs button"


def test_a_sign_is_found_put_in_and_taken_back(
    server: ServerProcess, browser: Browser, meet: MeetPerson
) -> None:
    ann = meet(browser, server.url, "Ann").register()
    page = ann.page
    page.fill("#text", "good  morning")
    page.evaluate("document.getElementById('text').setSelectionRange(5, 5)")
    page.click(".emoji .open")
    expect(page.locator(".panel input")).to_be_focused()
    page.wait_for_function(f"() => document.querySelectorAll('{SIGNS}').length > 100")
    page.keyboard.type("thumbs up")
    page.wait_for_function(f"() => document.querySelector('{SIGNS}')?.textContent === '\U0001f44d'")
    page.select_option(".panel select", "\U0001f3fd")
    page.focus(".panel input")
    page.keyboard.press("Enter")
    expect(page.locator("#text")).to_have_value("good \U0001f44d\U0001f3fd morning")
    expect(page.locator("#text")).to_be_focused()
    page.keyboard.press("Control+z")
    expect(page.locator("#text")).to_have_value("good  morning")
    page.click(".emoji .open")
    page.wait_for_selector(f"{SIGNS}:text-is('\U0001f44d\U0001f3fd')")
    page.keyboard.press("Escape")
    expect(page.locator(".panel")).to_be_hidden()
    page.click(".emoji .open")
    page.click(".stream", position={"x": 5, "y": 5})
    expect(page.locator(".panel")).to_be_hidden()
    expect(page.locator("#text")).to_have_value("good  morning")


DROP = """(kind) => {
    const data = new DataTransfer();
    data.items.add(new File(['x'], 'picture.png', {type: 'image/png'}));
    const Kind = kind === 'paste' ? ClipboardEvent : DragEvent;
    const more = kind === 'paste' ? {clipboardData: data} : {dataTransfer: data};
    const event = new Kind(kind, {bubbles: true, cancelable: true, ...more});
    document.getElementById('text').dispatchEvent(event);
    return event.defaultPrevented;
}"""


def test_files_that_are_pasted_or_dropped_get_an_answer(
    server: ServerProcess, browser: Browser, meet: MeetPerson
) -> None:
    """Without one, a browser leaves the page for a file that is dropped on it."""
    ann = meet(browser, server.url, "Ann").register()
    # Firefox lets no script make a clipboard with files in it.
    pasted = () if browser.browser_type.name == "firefox" else ("paste",)
    for kind in (*pasted, "drop", "dragover"):
        ann.page.fill("#text", "a")
        assert ann.page.evaluate(DROP, kind) is True, kind
        if kind != "dragover":
            ann.page.wait_for_selector(".words:has-text('Files cannot be sent')")
    ann.send("and text can")
    ann.expect("and text can")
