"""Accounts without a browser, which write and befriend, and the page of one of them as it opens."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import httpx
from playwright.sync_api import Browser

from tests.browser.people import PASSWORD, Person


class Account:
    """Somebody without a browser, who writes."""

    def __init__(self, url: str, name: str) -> None:
        self.http = httpx.Client(base_url=url)
        self.email = f"{uuid.uuid4().hex}@example.com"
        body = {"email": self.email, "password": PASSWORD, "firstName": name, "lastName": ""}
        self.id = self.http.post("/api/register", json=body).raise_for_status().json()["user"]["id"]

    def befriend(self, other: Account) -> None:
        self.http.put(f"/api/friends/{other.id}", json={}).raise_for_status()
        other.http.put(f"/api/friends/{self.id}", json={}).raise_for_status()

    def write(self, *numbers: int, to: Account | None = None) -> None:
        """Numbered messages, some of them long."""
        for number in numbers:
            text = f"line {number}" + f", {'and words ' * (number % 40)}" * (number % 7 == 0)
            body = {"text": text, **({"to": to.id} if to else {})}
            self.http.post("/api/messages", json=body).raise_for_status()

    def read_up_to(self, other: Account | None = None) -> int:
        """How far this account has read what all, or what one, have written."""
        read = self.http.get("/api/read").json()["read"]
        return next((one["upTo"] for one in read if one["with"] == (other and other.id)), 0)


MakeAccount = Callable[[str], Account]


def sign_in(
    meet: Callable[..., Person], browser: Browser, url: str, account: Account, hash: str = "#/chat/"
) -> Person:
    """Their page, as it opens."""
    person = meet(browser, url, "Reader")
    person.email = account.email
    person.page.goto(f"{url}/{hash}")
    person.sign_in()
    return person
