"""No secret stands in a line of the log, at any level, whatever a client sends."""

from __future__ import annotations

import io
import logging
import re
import secrets
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from chatserver.command.logs import LEFT_OUT, spread, without_secrets
from chatserver.command.quiet import QuietHandler
from tests.support.process import SECRETS, ServerProcess

PASSWORD = "correct horse battery"
TOKEN = "cst_" + "Ab1-_" * 8


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What a handler with our formatter writes, whoever logs."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    spread(handler)
    root = logging.getLogger()
    root.addHandler(handler)
    yield stream
    root.removeHandler(handler)


@pytest.mark.parametrize(
    "line",
    [
        f"made {TOKEN}",
        "Authorization: Bearer sesame",
        "{'Authorization': 'Basic sesame', 'Host': 'x'}",
        "[('Cookie', 'a=sesame; b=sesame')]",
        "got cookie=sesame",
        "Set-Cookie: chatserver=sesame; Path=/",
        "__Host-chatserver=sesame; more",
        "chatserver_form=sesame",
        "chatserver-8080=sesame",
        "__Host-chatserver-443=sesame",
        "DELETE /api/sessions/496f6061.sesame-Ab1_-Ab1_-Ab1_- 401",
        "compared with $argon2id$v=19$m=19456,t=2,p=1$sesame$sesame",
        "bearer  sesame",
        '{"password": "sesame open sesame", "currentPassword": "sesame"}',
        "password=sesame&email=a",
        "{'password': 'sesame'}",
    ],
)
def test_what_looks_like_a_secret_is_taken_out_of_any_line(line: str) -> None:
    shown = without_secrets(line)
    assert "sesame" not in shown and TOKEN not in shown and LEFT_OUT in shown


@pytest.mark.parametrize("character", [*range(9), *range(11, 32), *range(127, 160), 0x2028, 0x2029])
def test_what_a_terminal_obeys_is_written_out(written: io.StringIO, character: int) -> None:
    logging.getLogger("chatserver").error("GET /%s[31m 503", chr(character))
    assert f"/\\x{character:02x}[31m 503\n" in written.getvalue()
    assert chr(character) not in written.getvalue()


@pytest.mark.parametrize(
    "line",
    [
        "POST /api/tokens 201 1.2 ms",
        "user 7 has a new password",
        "draining: 2 readers",
        "GET /classic/login 200",
    ],
)
def test_any_other_line_stays_as_it_is(line: str) -> None:
    assert without_secrets(line) == line


def test_what_tornado_quotes_of_a_client_is_left_out(written: io.StringIO) -> None:
    log = logging.getLogger("tornado.general")
    log.warning(
        "Malformed HTTP message from %s: %s", "1.2.3.4", "Invalid header value 'open sesame'"
    )
    log.warning("%d took %.1f ms for %r", 400, 1.5, b"open sesame")
    log.warning("%(what)s", {"what": "open sesame"})
    said = "open sesame".upper()
    try:
        raise ValueError(said)
    except ValueError:
        log.error("Uncaught exception", exc_info=True)
    text = written.getvalue()
    assert "sesame" not in text and said not in text
    assert "400 took 1.5 ms" in text and "ValueError" in text and "test_logs.py" in text


def test_a_line_that_is_repeated_quotes_nobody_either() -> None:
    """The handler of the server counts what keeps happening, and then shows the latest."""
    stream, now_s = io.StringIO(), [0.0]
    handler = QuietHandler(stream, lambda: now_s[0])
    spread(handler)
    for number in range(3):
        now_s[0] = number * 2.0
        said = f"Invalid header value 'sesame {number}'"
        handler.handle(
            logging.LogRecord(
                "tornado.general", 20, "", 0, "Malformed from %s: %s", ("1.2.3.4", said), None
            )
        )
    now_s[0] = 60.0
    handler.settle()
    assert stream.getvalue().count("Malformed from") == 4 and "sesame" not in stream.getvalue()


def test_what_we_say_ourselves_stays(written: io.StringIO) -> None:
    logging.getLogger("chatserver.verbs.accounts").warning("user %s signed in", "ann")
    assert "user ann signed in" in written.getvalue()


# A storm.


class Storm:
    """Requests well and badly formed, with secrets in every place where a client can put one."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.known: list[str] = [PASSWORD, "wrong-s3cret"]
        with httpx.Client(base_url=server.url) as http:
            body = {"email": "eve@example.com", "password": PASSWORD, "firstName": "Eve"}
            assert http.post("/api/register", json=body).status_code == 201
            http.post("/api/login", json=body | {"password": "wrong-s3cret"})
            self.token = http.post("/api/tokens", json={"label": "a"}).json()["token"]
            self.cookie = http.cookies["chatserver"]
            page = httpx.get(f"{server.url}/classic/login")
            field = re.search(r'name="_xsrf" value="([^"]+)"', page.text)
            assert field is not None
            self.known += [self.token, self.cookie, field.group(1), page.cookies["chatserver_form"]]
            http.post("/api/messages", json={"text": "a private text"})
            http.get("/api/users?q=private-query")
        self.known += ["private text", "private-query"]

    def made_up(self) -> str:
        """A secret that only this request has."""
        self.known.append(secrets.token_hex(12))
        return self.known[-1]

    def headers(self) -> Iterator[bytes]:
        """Headers that are well formed, and others that are not in every way there is."""
        for value in (f"Bearer {self.token}", f"Bearer {self.made_up()}", self.made_up()):
            for name in ("Authorization", "Proxy-Authorization", "X-Api-Key"):
                yield from self._ways(name, value)
        for value in (
            f"chatserver={self.cookie}",
            f"a={self.made_up()}; __Host-chatserver={self.made_up()}",
        ):
            yield from self._ways("Cookie", value)

    def _ways(self, name: str, value: str) -> Iterator[bytes]:
        line = f"{name}: {value}".encode()
        yield line
        yield line + b"\x00"
        yield line + b"\x7f\xff"
        yield f"{name} {value}".encode()
        yield f"{name} : {value}".encode()
        yield f" {name}: {value}".encode()
        yield f"{name}:\n {value}".encode()
        yield f"{value}: {name}".encode()
        yield f"Host: {value}".encode()
        yield f"Content-Length: {value}".encode()
        yield f"Transfer-Encoding: {value}".encode()
        yield f"X-Chat-User: {value}".encode()
        yield f"Last-Event-ID: {value}".encode()
        yield f"Expect: {value}".encode()
        yield f"Upgrade: {value}\r\nConnection: upgrade".encode()

    def send(self, head: bytes, body: bytes = b"") -> None:
        with socket.create_connection(("127.0.0.1", self.server.port), timeout=10) as wire:
            wire.sendall(head + b"\r\n\r\n" + body)
            wire.shutdown(socket.SHUT_WR)
            wire.recv(200)

    def blow(self) -> None:
        for line in self.headers():
            for target in (b"/api/me", b"/poll?wait=0"):
                self.send(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n" + line)
        for path in ("/api/me", "/poll", "/events", "/ws", "/classic", "/nothing", "/static"):
            for secret in (self.token, self.made_up()):
                self.send(
                    f"GET {path}?token={secret}&after={secret}&client={secret} HTTP/1.1\r\nHost: x".encode()
                )
                self.send(f"GET {path}?%zz={secret} HTTP/9.9\r\nHost: x".encode())
                self.send(f"{secret} {path}\r\nHost: x".encode())
        head = b"POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
        for shape in ('{"password": "%s"', '{"password": ["%s"], "email": "a@b.c"}', '"%s"', "%s"):
            said = (shape % self.made_up()).encode()
            self.send(head + str(len(said)).encode(), said)
        form = f"password={self.made_up()}&_xsrf={self.made_up()}".encode()
        self.send(
            b"POST /classic/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: " + str(len(form)).encode(),
            form,
        )


def test_a_storm_of_requests_leaves_no_secret_in_the_finest_log(data: Path) -> None:
    with ServerProcess(data, "--log-level", "debug") as running:
        storm = Storm(running)
        storm.blow()
        assert running.stop() == 0
    log = "\n".join(running.log)
    assert "POST /api/messages 201" in log and "Malformed HTTP message from 127.0.0.1" in log
    assert len(storm.known) > 20
    assert [secret for secret in storm.known if secret in log] == []
    assert [line for line in running.log if SECRETS.search(line)] == []
    assert running.complaints() == []


def test_the_shared_servers_complain_of_a_secret_in_their_log() -> None:
    """What the fixtures look for is what the product makes."""
    server = ServerProcess(Path("nowhere"))
    assert sys.executable in server.command
    for secret in (
        TOKEN,
        f"chatserver={'a1b2c3d4.' + 'x' * 60}",
        "a1b2c3d4." + "y" * 60,
        "correct horse",
    ):
        server.log = [f"DEBUG x: got {secret}"]
        assert server.complaints() == server.log
    server.log = ["INFO x: user 7 signed in", "POST /api/tokens 201 0.1 ms"]
    assert server.complaints() == []
