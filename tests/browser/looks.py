"""Looking at a page that goes on by itself: what was asked of it is waited for, never hoped to be there already."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page

from tests.browser.people import WAIT_MS

AGAIN_MS = 20
"""Between two looks."""

DRAWN = """async ([width, height]) => {
    const frame = () => new Promise(requestAnimationFrame);
    // A window that was told to be so large is so large a little later.
    while (innerWidth !== width || innerHeight !== height) await frame();
    await frame();
    await frame();
}"""


def settle(page: Page) -> None:
    """What the page was told so far has been drawn; what it fetches meanwhile is waited for by `becomes`."""
    size = page.viewport_size
    assert size
    page.evaluate(DRAWN, [size["width"], size["height"]])


def becomes(page: Page, look: str | Callable[[], Any], right: Any, why: object = "") -> Any:
    """Look until it is right: equal to that, or so that `right` says so. What was seen; raises with what stays wrong.

    `look` is a script of the page, or a function. `right` is a value, or a function of what is seen.
    """
    give_up_at_s = time.monotonic() + WAIT_MS / 1000
    while True:
        seen = page.evaluate(look) if isinstance(look, str) else look()
        if right(seen) if callable(right) else seen == right:
            return seen
        assert time.monotonic() < give_up_at_s, (why, seen)
        page.wait_for_timeout(AGAIN_MS)


def stays(page: Page, look: str | Callable[[], Any], right: Any, why: object = "") -> None:
    """It is right once the page has been drawn, and is still right in the frames after that."""
    settle(page)
    becomes(page, look, right, why)
    settle(page)
    seen = page.evaluate(look) if isinstance(look, str) else look()
    assert right(seen) if callable(right) else seen == right, (why, seen)
