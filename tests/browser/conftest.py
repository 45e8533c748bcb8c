"""Real browsers from the system's packages, and proxies that misbehave as some do out there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

from tests.browser.accounts import Account, MakeAccount
from tests.browser.people import WAIT_MS, Person
from tests.support.nginx import nginx
from tests.support.ports import free_port
from tests.support.process import ServerProcess

ARTIFACTS = Path(__file__).parents[2] / "artifacts" / "browser"

NOT_NEEDED = (
    "AcceptCHFrame,AvoidUnnecessaryBeforeUnloadCheckSync,DestroyProfileOnBrowserClose,"
    "DialMediaRouteProvider,GlobalMediaControls,HttpsUpgrades,LensOverlay,MediaRouter,PaintHolding,"
    "ThirdPartyStoragePartitioning,Translate,AutoDeElevate,RenderDocument,OptimizationHints,"
    "WebUIOmniboxPopup,WebUIOmniboxAimPopup,SpareRendererForSitePerProcess"
)
"""What Playwright switches off, whose list this one replaces; two pages of Chromium's own that each window loads for
its address bar, which cost as much CPU as all that a person does there: signing up and sending a message; and a process
for a page that may come."""

QUIET = (
    f"--disable-features={NOT_NEEDED}",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


MeetPerson = Callable[..., Person]

expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=list(QUIET))
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def firefox(playwright: Playwright) -> Iterator[Browser]:
    """The system's Firefox, driven over WebDriver BiDi. It starts a process for a page when there is the page."""
    browser = playwright.firefox.launch(
        channel="moz-firefox",
        executable_path="/usr/bin/firefox-esr",
        firefox_user_prefs={"dom.ipc.processPrelaunch.enabled": False},
    )
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, from npm, kept in `.cache`."""
    folder = ARTIFACTS.parents[1] / ".cache" / "axe"
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = ["npm", "install", "--silent", "--no-save", "--prefix", str(folder), "axe-core@4"]
        subprocess.run(command, check=True, timeout=50)
    return script.read_text()


@pytest.fixture(params=["chromium", "firefox"])
def browser(request: pytest.FixtureRequest) -> Browser:
    found: Browser = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def meet(request: pytest.FixtureRequest) -> Iterator[MeetPerson]:
    """Makes a person at a browser of their own; at the end each page's picture is kept, and none has complained.

    A module that judges what a page shows says `WORKER = False`: its pages come without the worker, which would load
    each of the hundred files once more, to keep them for a page without a server.
    """
    people: list[Person] = []
    worker: Literal["allow", "block"] = (
        "allow" if getattr(request.module, "WORKER", True) else "block"
    )

    def make(browser: Browser, url: str, name: str, path: str = "/") -> Person:
        context = browser.new_context(
            viewport={"width": 1000, "height": 700}, service_workers=worker
        )
        people.append(Person(context, url, name, path))
        return people[-1]

    yield make
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    test = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())
    # Before the pictures: a driver that hides the caret for them breaks the page's own rules.
    complaints = [line for person in people for line in person.complaints]
    for person in people:
        name = re.sub(r"[^a-z0-9]+", "", person.name.lower())[:10]
        person.page.screenshot(path=ARTIFACTS / f"{test}-{name}.png", caret="initial")
        person.context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def make(server: ServerProcess) -> Iterator[MakeAccount]:
    """Makes accounts."""
    with ExitStack() as open_until_the_end:

        def make_one(name: str) -> Account:
            account = Account(server.url, name)
            open_until_the_end.callback(account.http.close)
            return account

        yield make_one


BUFFERING = """
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass {url};
      proxy_set_header Host $http_host;
      proxy_buffering on;
      proxy_ignore_headers X-Accel-Buffering;
    }}
  }}
"""


@pytest.fixture(scope="module")
def buffering_proxy(
    server: ServerProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """An nginx that buffers every answer and passes no upgrade on: WebSocket fails, SSE says nothing."""
    port = free_port()
    inside = BUFFERING.format(port=port, url=server.url)
    with nginx(tmp_path_factory.mktemp("nginx"), port, inside) as url:
        yield url
