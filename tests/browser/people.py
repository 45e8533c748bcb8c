"""A person at a browser: what one does with hands and sees with eyes, and what the network does meanwhile."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

from playwright.sync_api import BrowserContext, Page

WAIT_MS = 30_000
"""For anything that a page does: far more than it takes, on a machine that does much else."""

PASSWORD = "browser-password"

SHOWN = ".message:not(.pending):not(.failed) .text"


class Person:
    """Someone with an account, at one page of one browser context."""

    def __init__(self, context: BrowserContext, url: str, name: str, path: str = "/") -> None:
        self.context = context
        self.url = url
        self.name = name
        self.path = path
        self.email = f"{uuid.uuid4().hex}@example.com"
        self.complaints: list[str] = []
        self.page = self.open()

    def open(self) -> Page:
        """A new tab, listened to for errors of script and for refused content."""
        page = self.context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("pageerror", lambda error: self._complain(str(error)))
        page.on(
            "console",
            lambda line: (
                self.complaints.append(line.text)
                if "Content Security Policy" in line.text or "Content-Security-Policy" in line.text
                else None
            ),
        )
        return page

    def _complain(self, words: str) -> None:
        # Firefox tells refused and broken connections as errors of the page; they are part of the tests.
        # And where a page is left while its worker answers; of a worker that answers wrongly it says other words.
        left = "ServiceWorker intercepted the request and encountered an unexpected error" in words
        if "ws://" not in words and "/events?" not in words and not left:
            self.complaints.append(words)

    def register(self) -> Person:
        """Through the form, up to the conversation."""
        self.page.goto(f"{self.url}{self.path}#/register")
        self.page.fill("#f-firstName", self.name)
        self.page.fill("#f-email", self.email)
        self.page.fill("#f-password", PASSWORD)
        self.page.click("form.request button")
        self.wait_connected()
        return self

    def sign_in(self) -> Person:
        """Through the form that is shown."""
        self.page.fill("#f-email", self.email)
        self.page.fill("#f-password", PASSWORD)
        self.page.click("form.request button")
        self.wait_connected()
        return self

    def wait_connected(self, page: Page | None = None) -> None:
        (page or self.page).wait_for_selector("#text", state="visible")

    def wait_transport(
        self, words: str, page: Page | None = None, timeout_ms: int = WAIT_MS
    ) -> None:
        """Until the status line begins with these words."""
        (page or self.page).wait_for_function(
            "words => document.querySelector('.status [role=status]')?.textContent.startsWith(words)",
            arg=words,
            timeout=timeout_ms,
        )

    def status(self) -> str:
        return self.page.inner_text(".status [role=status]")

    def send(self, *texts: str) -> None:
        for text in texts:
            self.page.fill("#text", text)
            self.page.press("#text", "Enter")

    def request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """A request of the page's own, with its cookie and origin."""
        return self.page.evaluate(
            """async ([method, path, body]) => {
                const headers = body ? {'Content-Type': 'application/json'} : {};
                const answer = await fetch(path, {method, headers, body: body && JSON.stringify(body)});
                return answer.status === 204 ? null : answer.json();
            }""",
            [method, path, body],
        )

    @property
    def id(self) -> str:
        found: str = self.request("GET", "/api/me")["user"]["id"]
        return found

    def texts(self, page: Page | None = None) -> list[str]:
        """What stands in the stream as sent or received, in its order."""
        found: list[str] = (page or self.page).eval_on_selector_all(
            SHOWN, "all => all.map(one => one.textContent)"
        )
        return found

    def expect(self, *texts: str, page: Page | None = None, timeout_ms: int = WAIT_MS) -> None:
        """Until all of these are shown; then each stands there exactly once."""
        (page or self.page).wait_for_function(
            """([texts, selector]) => {
                const shown = new Set([...document.querySelectorAll(selector)].map(one => one.textContent));
                return texts.every(text => shown.has(text));
            }""",
            arg=[list(texts), SHOWN],
            timeout=timeout_ms,
        )
        counted = Counter(self.texts(page))
        wrong = {text: counted[text] for text in texts if counted[text] != 1}
        assert not wrong, f"{self.name} sees not exactly once: {wrong}"


def befriend(one: Person, other: Person) -> None:
    """Both ask, so they are friends; both pages know it."""
    one.request("PUT", f"/api/friends/{other.id}", {})
    other.request("PUT", f"/api/friends/{one.id}", {})
    for person, friend in ((one, other), (other, one)):
        person.page.wait_for_selector(f".conversations a[href$='{friend.id}']")
