"""The official Socket.IO client in a browser: the example page, and each of its ways beside the others."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.looks import becomes
from tests.conftest import FAST
from tests.support.nginx import nginx
from tests.support.ports import free_port
from tests.support.process import ServerProcess
from tests.support.socketio_clients import browser_script

HOME = Path(__file__).parents[2]
EXAMPLE = HOME / "docs" / "examples" / "socketio.html"
NGINX = HOME / "deploy" / "nginx-socketio.conf"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None: ...


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Somebody's own site, with the example and the client's script beside it."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(EXAMPLE, folder)
    shutil.copy(browser_script(), folder / "socket.io.min.js")
    handler = functools.partial(_Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def chat(site: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose Socket.IO the pages of that site may use."""
    options = (*FAST, "--socketio", "--origin", site)
    with ServerProcess(tmp_path_factory.mktemp("data"), *options, demo=True) as running:
        yield running
        assert running.stop() == 0
    assert running.complaints() == []


def signed_in(browser: Browser, chat: ServerProcess, name: str) -> BrowserContext:
    """A browser of one of the demo's people; our own pages' policy would keep the client's script out."""
    context = browser.new_context(bypass_csp=True)
    body = {"email": f"{name}@example.com", "password": "demo-password"}
    answer = context.request.post(f"{chat.url}/api/login", data=body)
    assert answer.status == 200, answer.text()
    return context


def say(chat: ServerProcess, name: str, text: str) -> None:
    with httpx.Client(base_url=chat.url, headers={"Origin": chat.url}) as client:
        body = {"email": f"{name}@example.com", "password": "demo-password"}
        assert client.post("/api/login", json=body).status_code == 200
        assert client.post("/api/messages", json={"text": text}).status_code == 201


def test_the_example_is_a_whole_chat_page(
    chromium: Browser, chat: ServerProcess, site: str
) -> None:
    contexts = [signed_in(chromium, chat, name) for name in ("ann", "bob")]
    pages = [context.new_page() for context in contexts]
    complaints: list[str] = []
    for page in pages:
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{site}/socketio.html?server={chat.url}")
        expect(page.get_by_text("Connected!")).to_be_visible()
        expect(page.get_by_label("Message")).to_be_enabled()
    ann, bob = pages
    ann.get_by_label("Message").fill("Hello <b>Bob</b>")
    ann.get_by_label("Message").press("Enter")
    for page in pages:
        line = page.locator("#list p")
        expect(line).to_have_text("Ann ArcherHello <b>Bob</b>")
        assert line.locator("b").first.evaluate("b => b.style.color") != ""
    expect(ann.get_by_label("Message")).to_have_value("")
    chat.stop()
    for page in pages:
        expect(page.get_by_text("Disconnected!")).to_be_visible()
        expect(page.get_by_label("Message")).to_be_disabled()
    chat.start()
    say(chat, "ann", "after the restart")
    for page in pages:
        expect(page.get_by_text("Connected!")).to_be_visible()
        texts = page.locator("#list p")
        expect(texts).to_have_text(["Ann ArcherHello <b>Bob</b>", "Ann Archerafter the restart"])
    for context in contexts:
        context.close()
    assert complaints == []


def test_whoever_is_not_signed_in_is_told_so_by_the_example(
    chromium: Browser, chat: ServerProcess, site: str
) -> None:
    page = chromium.new_page()
    page.goto(f"{site}/socketio.html?server={chat.url}")
    expect(page.get_by_text("Disconnected! (unauthenticated)")).to_be_visible()
    expect(page.get_by_label("Message")).to_be_disabled()
    page.close()


LISTEN = """
([url, transports]) => {
  window.heard = [];
  window.ways = [];
  window.socket = io(url, { transports });
  socket.io.on('open', () => {
    ways.push(socket.io.engine.transport.name);
    socket.io.engine.on('upgrade', ({ name }) => ways.push(name));
  });
  socket.on('server-talking', ({ text }) => heard.push(text));
  return new Promise((done) => socket.on('hello', () => done()));
}
"""


@pytest.mark.parametrize(
    ("transports", "ways"),
    [
        (["polling"], ["polling"]),
        (["websocket"], ["websocket"]),
        (["polling", "websocket"], ["polling", "websocket"]),
    ],
    ids=["polling", "websocket", "upgraded"],
)
def test_in_a_browser_each_way_hears_everything_once_and_in_order(
    chromium: Browser, chat: ServerProcess, transports: list[str], ways: list[str]
) -> None:
    context = signed_in(chromium, chat, "bob")
    page = page_with_client(context, chat.url)
    page.evaluate(LISTEN, [chat.url, transports])
    texts = [f"{'-'.join(transports)} {number}" for number in range(25)]
    with httpx.Client(base_url=chat.url, headers={"Origin": chat.url}) as ann:
        body = {"email": "ann@example.com", "password": "demo-password"}
        assert ann.post("/api/login", json=body).status_code == 200
        for text in texts:
            assert ann.post("/api/messages", json={"text": text}).status_code == 201
    page.wait_for_function("wanted => heard.length >= wanted", arg=len(texts))
    page.wait_for_function("wanted => ways.length >= wanted", arg=len(ways))
    assert page.evaluate("heard") == texts
    assert page.evaluate("ways") == ways
    context.close()


def page_with_client(context: BrowserContext, url: str) -> Page:
    """A page of the server's own origin, with the official client in it."""
    page = context.new_page()
    page.goto(f"{url}/classic")
    page.add_script_tag(path=browser_script())
    return page


def test_a_page_of_a_named_origin_polls_with_the_cookie_too(
    chromium: Browser, chat: ServerProcess, site: str
) -> None:
    context = signed_in(chromium, chat, "bob")
    page = context.new_page()
    page.goto(f"{site}/socket.io.min.js")  # any page of that site
    page.add_script_tag(path=browser_script())
    page.evaluate(
        LISTEN.replace("{ transports }", "{ transports, withCredentials: true }"),
        [chat.url, ["polling"]],
    )
    say(chat, "ann", "to another origin")
    page.wait_for_function("heard.includes('to another origin')")
    context.close()


def test_the_laboratory_has_one_more_lane_that_recovers(
    chromium: Browser, chat: ServerProcess
) -> None:
    context = signed_in(chromium, chat, "dee")
    page = context.new_page()
    page.goto(f"{chat.url}/lab")
    page.get_by_role("button", name="Use my own account").click()
    page.get_by_role("button", name="Start").click()
    row = "[...document.querySelectorAll('#summary tbody tr')].map(row => [...row.cells].map(cell => cell.textContent)).find(row => row[0] === 'Socket.IO')"
    enough = f"least => {{ const row = {row}; return row && Number(row[4]) >= least; }}"
    page.wait_for_function(enough, arg=2)
    page.get_by_label("Cut here: Socket.IO").click()
    page.wait_for_function(enough, arg=5)
    page.get_by_label("Close the server's side of Socket.IO").click()
    page.wait_for_function(enough, arg=8)
    figures = becomes(page, row, lambda cells: int(cells[7] or 0) >= 1, "requests")
    assert figures[5:7] == ["0", "0"], "missed and doubled"
    context.close()


def test_behind_nginx_a_cookie_keeps_a_session_on_its_node(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Two servers that know nothing of each other: who polls at the wrong one finds no session."""
    port = free_port()
    nodes = [
        ServerProcess(tmp_path_factory.mktemp("data"), *FAST, "--socketio").start()
        for _ in range(2)
    ]
    ours = NGINX.read_text().replace("listen 8080;", f"listen 127.0.0.1:{port};")
    for default, node in zip(("127.0.0.1:8888", "127.0.0.1:8889"), nodes, strict=True):
        assert default in ours
        ours = ours.replace(default, f"127.0.0.1:{node.port}")
    with ExitStack() as ends:
        for node in nodes:
            ends.callback(node.kill)
        url = ends.enter_context(nginx(tmp_path, port, ours))
        dealt = set()
        opening, polling = "/socket.io/?EIO=4&transport=polling", "&sid="
        for _ in range(40):
            # Each request on a connection of its own, as the worst of balancers has it.
            client = httpx.Client(base_url=url, headers={"Connection": "close"})
            sid = client.get(opening).text.split('"sid":"')[1].split('"')[0]
            dealt.add(client.cookies["chat_node"])
            for _ in range(3):
                answer = client.post(f"{opening}{polling}{sid}", content=b"3")
                assert answer.status_code == 200, answer.text
            client.cookies.clear()
            client.close()
        assert dealt == {"chat_a", "chat_b"}
