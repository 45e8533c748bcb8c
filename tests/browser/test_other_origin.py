"""The example of docs/client.md as a page of another origin: of the same site, and of another one."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests.browser.people import WAIT_MS
from tests.support.process import ServerProcess

EXAMPLE = Path(__file__).parents[2] / "docs" / "client.md"
SERVER = "https://chat.example.com"
PASSWORD = "correct horse"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int, int]]:
    """A folder, and two ports at which other servers show what lies in it; the second one's origin is nobody's."""
    folder = tmp_path_factory.mktemp("pages")
    handler = partial(_Quiet, directory=str(folder))
    others = [ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(2)]
    for other in others:
        threading.Thread(target=other.serve_forever, daemon=True).start()
    yield folder, others[0].server_address[1], others[1].server_address[1]
    for other in others:
        other.shutdown()
        other.server_close()


@pytest.fixture(scope="module")
def chat(pages: tuple[Path, int, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The chat's own address, with the example beside it as a page of two other origins."""
    folder, port, _ = pages
    data = tmp_path_factory.mktemp("data")
    named = (f"http://127.0.0.1:{port}", f"http://localhost:{port}")
    origins = [word for origin in named for word in ("--origin", origin)]
    with ServerProcess(data, *origins, "--text-chars", "20") as running:
        page, script = re.findall(r"```(?:html|js)\n(.*?)```", EXAMPLE.read_text(), re.DOTALL)[:2]
        (folder / "index.html").write_text(f"<!doctype html><meta charset=utf-8>{page}")
        (folder / "my-page.js").write_text(script.replace(SERVER, running.url))
        yield running.url
    assert running.complaints() == []


def account(chat: str, name: str) -> str:
    email = f"{name}@example.com"
    body = {"email": email, "password": PASSWORD, "firstName": name, "lastName": ""}
    assert httpx.post(f"{chat}/api/register", json=body).status_code == 201
    return email


def sign_in(page: Page, email: str, password: str) -> None:
    page.fill("[name=email]", email)
    page.fill("[name=password]", password)
    page.click("text=Sign in")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_example_signs_in_writes_reads_and_says_what_is_refused(
    chat: str, pages: tuple[Path, int, int], browser: Browser, host: str
) -> None:
    """`localhost` is another site than 127.0.0.1; another port of it is not."""
    email = account(chat, f"{host[:5]}-{browser.browser_type.name}")
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    asked: list[str] = []
    page.on("websocket", lambda socket: asked.append(socket.url))
    page.goto(f"http://{host}:{pages[1]}/")
    sign_in(page, email, "wrong horse")
    page.wait_for_selector("#words:has-text('password')")
    sign_in(page, email, PASSWORD)
    page.fill("#text", "hello over there")
    page.press("#text", "Enter")
    page.wait_for_selector("li:has-text('hello over there')")
    page.fill("#text", "longer than the twenty characters")
    page.press("#text", "Enter")
    page.wait_for_selector("#words:has-text('Not sent')")
    # The cookie is kept, and each way in takes it.
    page.reload()
    page.wait_for_selector("li:has-text('hello over there')")
    page.wait_for_selector("#text")
    for script in (
        f"(await fetch('{chat}/poll?wait=0', {{credentials: 'include'}})).status",
        f"(await fetch('{chat}/api/nothing', {{credentials: 'include'}})).status - 204",
        f"await new Promise((resolve) => {{ const s = new EventSource('{chat}/events', {{withCredentials: true}}); "
        "s.onmessage = () => { s.close(); resolve(200); }; s.onerror = () => resolve(0); })",
        f"await new Promise((resolve) => {{ const s = new WebSocket('{chat.replace('http', 'ws')}/ws', 'chat.v1'); "
        "s.onmessage = ({data}) => { s.close(); resolve(JSON.parse(data).type === 'hello' ? 200 : 0); }; })",
    ):
        assert page.evaluate(f"async () => {script}") == 200, script
    context.close()


READS = """async (chat) => {
    const tries = {
        fetch: () => fetch(`${chat}/api/visitor`, {credentials: 'include'}),
        poll: () => fetch(`${chat}/poll?wait=0`, {credentials: 'include'}),
        json: () => fetch(`${chat}/api/messages`, {method: 'POST', credentials: 'include',
            headers: {'Content-Type': 'application/json'}, body: '{"text": "x"}'}),
        module: () => import(`${chat}/static/js/client.js`),
        events: () => new Promise((resolve, reject) => {
            const source = new EventSource(`${chat}/events`, {withCredentials: true});
            source.onmessage = resolve;
            source.onerror = () => { source.close(); reject(); };
        }),
        socket: () => new Promise((resolve, reject) => {
            const socket = new WebSocket(`${chat.replace('http', 'ws')}/ws`, 'chat.v1');
            socket.onmessage = resolve;
            socket.onerror = reject;
        }),
    };
    const done = [];
    for (const [name, read] of Object.entries(tries)) await read().then(() => done.push(name), () => {});
    return done;
}"""


def test_a_page_of_any_other_origin_reads_nothing(
    chat: str, pages: tuple[Path, int, int], browser: Browser
) -> None:
    """Though the browser is signed in; and neither does a sandboxed frame, whose origin is `null`."""
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    body = {"email": account(chat, f"e-{browser.browser_type.name}"), "password": PASSWORD}
    page.goto(f"{chat}/healthz")
    page.evaluate(
        """async body => fetch('/api/login', {method: 'POST', body: JSON.stringify(body),
            headers: {'Content-Type': 'application/json'}})""",
        body,
    )
    page.goto(f"http://127.0.0.1:{pages[2]}/")
    assert page.evaluate(READS, chat) == []
    (pages[0] / "frame.html").write_text(
        "<iframe sandbox='allow-scripts' src='inner.html'></iframe>"
    )
    (pages[0] / "inner.html").write_text("<p>nobody's</p>")
    page.goto(f"http://127.0.0.1:{pages[1]}/frame.html")
    frame = page.frames[1]
    frame.wait_for_selector("p")
    assert frame.evaluate("self.origin") == "null"
    assert frame.evaluate(READS, chat) == []
    context.close()
