"""A page that comes over plain http from another machine: browsers keep what is for secure contexts from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright

from tests.browser.conftest import QUIET, MeetPerson
from tests.browser.people import befriend
from tests.support.process import ServerProcess

HOST = "chat.example"


@pytest.fixture(scope="module")
def elsewhere(playwright: Playwright) -> Iterator[Browser]:
    """A Chromium for which this machine is another one."""
    resolve = f"--host-resolver-rules=MAP {HOST} 127.0.0.1"
    browser = playwright.chromium.launch(
        executable_path="/usr/bin/chromium", args=[*QUIET, resolve]
    )
    yield browser
    browser.close()


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    with ServerProcess(tmp_path / "data") as running:
        yield f"http://{HOST}:{running.port}"


def test_a_phone_on_the_same_network_signs_in_and_writes(
    elsewhere: Browser, url: str, meet: MeetPerson
) -> None:
    ann, bob = meet(elsewhere, url, "Ann"), meet(elsewhere, url, "Bob")
    failed: list[str] = []
    ann.page.on("console", lambda line: failed.append(line.text) if line.type == "error" else None)
    ann.page.goto(url)
    ann.page.wait_for_selector("h1")
    assert ann.page.evaluate(
        "[isSecureContext, typeof crypto.randomUUID, typeof navigator.locks]"
    ) == [
        False,
        "undefined",
        "undefined",
    ]
    ann.register()
    bob.register()
    befriend(ann, bob)
    ann.send("from a phone")
    bob.expect("from a phone")
    assert failed == []
