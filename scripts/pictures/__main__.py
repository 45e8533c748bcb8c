"""The command."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, sync_playwright

from scripts.pictures.scenes import take_scenes
from tests.support.process import ServerProcess

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
SIZES = {"desk": (1100, 720), "phone": (390, 760)}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
TALK = (
    ("ann", "Who comes along to the lake on Saturday?"),
    ("bob", "Me! I bring the boat."),
    ("cho", "Me too, if there is room for the dog."),
    ("ann", "There is. The way: https://www.openstreetmap.org/#map=14/47.3/8.5"),
    ("ann", "We meet at nine, at the bridge."),
    ("cho", "Nine in the *morning*?"),
    ("bob", "The early boat catches the wind."),
)


def sign_in(browser: Browser, url: str, name: str) -> Page:
    page = browser.new_context(locale="en-GB", timezone_id="Europe/Zurich").new_page()
    page.goto(f"{url}/#/login")
    page.fill("#f-email", f"{name}@example.com")
    page.fill("#f-password", "demo-password")
    page.click("form.request button")
    page.wait_for_selector("#text", state="visible")
    return page


def take(page: Page, name: str, full_page: bool = False) -> None:
    schemes: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
    for scheme in schemes:
        for size, (width, height) in SIZES.items():
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": height})
            page.wait_for_timeout(400)  # the plots are drawn four times a second
            page.screenshot(path=FOLDER / f"{name}-{size}-{scheme}.png", full_page=full_page)


def chat(browser: Browser, url: str) -> None:
    pages = {name: sign_in(browser, url, name) for name in ("bob", "cho", "ann")}
    for name, text in TALK:
        pages[name].fill("#text", text)
        pages[name].press("#text", "Enter")
        pages["ann"].wait_for_function(
            "text => [...document.querySelectorAll('.message:not(.pending) .text')].some(e => e.textContent === text)",
            arg=text,
        )
    pages["bob"].type("#text", "And")
    take(pages["ann"], "chat")


def laboratory(browser: Browser, url: str) -> None:
    page = browser.new_page()
    page.goto(f"{url}/lab")
    page.click("text=Make an account for the laboratory")
    page.click("text=Start")
    seen = "document.querySelector('#summary tbody tr:last-child td:nth-of-type(4)')?.textContent"
    page.wait_for_function(f"() => Number({seen}) >= 40", timeout=60_000)
    take(page, "lab", full_page=True)


def main() -> None:
    """Take them all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        ServerProcess(Path(data), demo=True) as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        chat(browser, server.url)
        laboratory(browser, server.url)
        take_scenes(browser, server, FOLDER)
        browser.close()
    print(f"The pictures are in {FOLDER.relative_to(Path.cwd())}/.")


if __name__ == "__main__":
    main()
