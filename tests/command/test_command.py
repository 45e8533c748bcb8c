"""The command as a person runs it: what it prints, what it refuses, and how it ends."""

from __future__ import annotations

import os
import pwd
import re
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest

from chatserver import __version__
from chatserver.verbs.keys import KEY_FILE
from tests.support.desk import leave_out
from tests.support.process import ServerProcess


def run(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("CHATSERVER_")}
    return subprocess.run(
        [sys.executable, "-m", "chatserver", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=90,
        env=clean | environment,
    )


def refused(*arguments: str, stdin: str = "", **environment: str) -> str:
    """The one sentence of a command that is refused."""
    done = run(*arguments, stdin=stdin, **environment)
    assert done.returncode == 2, done
    assert done.stdout == ""
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith("chatserver: ")
    return sentence


def test_the_version_is_that_of_the_package() -> None:
    assert run("--version").stdout == f"chatserver {__version__}\n"


def test_the_help_names_every_setting() -> None:
    text = run("serve", "--help").stdout
    for flag in ("--address", "--port", "--data", "--demo", "--origin", "--text-chars"):
        assert flag in text


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ((), "COMMAND"),
        (("dance",), "dance"),
        (("serve", "--prot", "1"), "--prot"),
        (("serve", "--port", "x"), "--port"),
        (("serve", "--port"), "--port"),
        (("serve", "--address", "no.such.host.invalid"), "no.such.host.invalid"),
        (("serve", "--address", "192.0.2.1"), "192.0.2.1 is not an address of this machine"),
        (("migrate", "--from", "http://127.0.0.1/x", "--to", "y"), "--from is neither"),
    ],
)
def test_a_bad_option_is_one_sentence_and_exit_code_2(
    data: Path, arguments: tuple[str, ...], word: str
) -> None:
    assert word in refused(*arguments, CHATSERVER_DATA=str(data))


def test_a_taken_port_is_one_sentence_and_exit_code_2(data: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        sentence = refused("serve", "--data", str(data), "--port", port, "--log-level", "error")
    assert f"another program listens on 127.0.0.1:{port}" in sentence and "--port" in sentence


def test_a_data_folder_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("hello")
    for folder in (file, file / "below"):
        assert str(file) in refused("serve", "--port", "0", "--data", str(folder))


def test_a_second_server_on_the_same_data_is_refused(data: Path) -> None:
    with ServerProcess(data):
        refused("serve", "--port", "0", "--data", str(data))
        add = ("user", "add", "--data", str(data), "a@example.com", "--first-name", "A")
        refused(*add, "--password-stdin", stdin="correct horse\n")
        assert "--password-stdin" in refused(*add)


def test_a_damaged_key_file_is_refused(data: Path) -> None:
    with ServerProcess(data) as running:
        running.stop()
    (data / KEY_FILE).write_text("{")
    assert KEY_FILE in refused("serve", "--port", "0", "--data", str(data))


def test_what_the_server_makes_is_its_owners_alone(tmp_path: Path) -> None:
    """Under the most careless umask, in folders that it has to make on the way."""
    data = tmp_path / "on" / "the" / "way"
    before = os.umask(0)
    try:
        with ServerProcess(data, demo=True) as running:
            made = [data, data.parent, data.parent.parent, *data.rglob("*")]
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in made}
            running.stop()
    finally:
        os.umask(before)
    assert len(modes) >= 5 and KEY_FILE in modes
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


def test_data_that_is_open_to_others_is_refused_by_every_command_that_uses_it(data: Path) -> None:
    with ServerProcess(data) as running:
        running.stop()
    commands = (
        ("serve", "--port", "0", "--data", str(data)),
        ("user", "list", "--data", str(data)),
        ("key", "rotate", "--data", str(data)),
    )
    (data / KEY_FILE).chmod(0o644)
    for command in (commands[0], commands[2]):
        assert f"chmod 600 {data / KEY_FILE}" in refused(*command)
    (data / KEY_FILE).chmod(0o600)
    data.chmod(0o755)
    move = ("migrate", "--from", str(data), "--to", str(data.parent / "new"))
    for command in (*commands, move):
        assert f"chmod 700 {data}" in refused(*command)
    data.chmod(0o700)
    with ServerProcess(data) as running:
        assert running.stop() == 0


def test_no_command_is_carried_out_on_the_data_of_another_user(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root could, and left keys that the server, which runs as the owner, could not read any more."""
    with ServerProcess(data) as running:
        running.stop()
    if os.geteuid() != 0:
        leave_out("only root can give a folder away")
    for path in (data, *data.rglob("*")):
        os.chown(path, 65534, 65534)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in data.rglob("*")}
    owner = pwd.getpwuid(65534).pw_name
    for command in (
        ("serve", "--port", "0", "--data", str(data)),
        ("serve", "--port", "0", "--processes", "2", "--data", str(data)),
        ("user", "list", "--data", str(data)),
        (
            "user",
            "add",
            "x@example.com",
            "--first-name",
            "X",
            "--password-stdin",
            "--data",
            str(data),
        ),
        ("key", "rotate", "--data", str(data)),
        ("order", "stream", "--data", str(data)),
        ("order", "local", "--data", str(data)),
        ("migrate", "--from", str(data), "--to", str(tmp_path / "new")),
        ("migrate", "--from", str(tmp_path), "--to", str(data)),
    ):
        assert f"`sudo -u {owner}` before the command" in refused(*command, stdin="long enough\n")
    after = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in data.rglob("*")}
    assert after == before


@pytest.mark.parametrize(
    "command",
    ["serve --port 0", "serve --port 0 --processes 2", "user list", "key rotate", "order local"],
)
def test_a_data_folder_that_cannot_be_looked_at_is_refused_with_a_sentence(command: str) -> None:
    """It used to be a traceback. (A folder that this user may not reach says so in the same way, but not to root.)"""
    assert "cannot be used (File name too long)" in refused(*command.split(), "--data", "a" * 5000)


def test_an_account_is_made_by_hand_and_can_sign_in(data: Path) -> None:
    add = ("user", "add", "--data", str(data), "eve@example.com", "--first-name", "Eve")
    made = run(*add, "--password-stdin", stdin="correct horse\n")
    assert made.returncode == 0 and "eve@example.com" in made.stdout
    assert "already" in refused(*add, "--password-stdin", stdin="correct horse\n")
    again = ("user", "add", "--data", str(data), "x@example.com", "--first-name", "X")
    assert "at least 8" in refused(*again, "--password-stdin", stdin="short\n")
    listed = run("user", "list", "--data", str(data)).stdout
    assert listed == made.stdout and "argon2" not in listed
    with ServerProcess(data) as running:
        body = {"email": "eve@example.com", "password": "correct horse"}
        answer = httpx.post(f"{running.url}/api/login", json=body)
        assert answer.json()["user"]["name"] == "Eve"


def test_a_session_lives_through_restarts_and_a_key_rotation(data: Path) -> None:
    with ServerProcess(data, demo=True) as running, httpx.Client() as http:
        body = {"email": "ann@example.com", "password": "demo-password"}
        http.post(f"{running.url}/api/login", json=body)
        assert running.stop() == 0
        rotated = run("key", "rotate", "--data", str(data))
        assert rotated.returncode == 0 and "1 older" in rotated.stdout
        assert stat.S_IMODE((data / KEY_FILE).stat().st_mode) == 0o600
        running.start()
        assert http.get(f"{running.url}/api/me").status_code == 200


def test_rotating_where_there_is_no_data_makes_none(data: Path) -> None:
    assert str(data) in refused("key", "rotate", "--data", str(data))
    assert str(data) in refused("user", "list", "--data", str(data))
    assert not data.exists()


def test_the_demo_shows_who_is_whose_friend(data: Path) -> None:
    with ServerProcess(data, demo=True) as running:
        shown = {}
        for name in ("ann", "bob", "cho", "dee"):
            with httpx.Client(base_url=running.url) as http:
                body = {"email": f"{name}@example.com", "password": "demo-password"}
                assert http.post("/api/login", json=body).status_code == 200
                friends = http.get("/api/friends").json()
                shown[name] = {
                    kind: [one["firstName"].lower() for one in friends[kind]]
                    for kind in ("friends", "incoming", "outgoing")
                }
        running.stop()
        running.start()  # making the accounts again changes nothing
    assert shown == {
        "ann": {"friends": ["bob", "cho"], "incoming": ["dee"], "outgoing": []},
        "bob": {"friends": ["ann"], "incoming": [], "outgoing": []},
        "cho": {"friends": ["ann"], "incoming": [], "outgoing": []},
        "dee": {"friends": [], "incoming": [], "outgoing": ["ann"]},
    }
    assert running.complaints() == []


def test_the_three_commands_of_the_demo_work_when_pasted(data: Path) -> None:
    with ServerProcess(data, demo=True) as running:
        sign_in, follow, write = (
            line.strip() for line in running.log if line.startswith("  curl ")
        )
        subprocess.run(sign_in, shell=True, check=True, capture_output=True, timeout=20)
        stream = subprocess.Popen(
            f"exec {follow}", shell=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert stream.stdout is not None
        try:
            while b'"presence"' not in (line := stream.stdout.readline()):
                assert line, "the stream ended"
            subprocess.run(write, shell=True, check=True, capture_output=True, timeout=20)
            while b'"text":"Hello"' not in (line := stream.stdout.readline()):
                assert line, "the stream ended"
        finally:
            stream.kill()
            stream.wait()
            stream.stdout.close()


def test_nothing_secret_is_logged_even_at_the_finest_level(data: Path) -> None:
    with ServerProcess(data, "--log-level", "debug") as running:
        with httpx.Client(base_url=running.url) as http:
            body = {"email": "eve@example.com", "password": "s3cret-word", "firstName": "Eve"}
            http.post("/api/register", json=body)
            http.post("/api/login", json=body | {"password": "wrong-s3cret"})
            token = http.post("/api/tokens", json={"label": "a"}).json()["token"]
            cookie = http.cookies["chatserver"]
            http.post("/api/messages", json={"text": "a private text"})
            http.get("/api/users?q=private-query")
            http.get("/api/me", headers={"Authorization": f"Bearer {token}"})
        running.stop()
    log = "\n".join(running.log)
    assert re.search(r"POST /api/messages 201", log)
    for secret in ("s3cret", "private", token, cookie, "eve@example.com"):
        assert secret not in log


def test_no_thread_of_a_password_keeps_a_stopped_server_alive(data: Path) -> None:
    with ServerProcess(data) as running:

        def register() -> None:
            body = {"email": "eve@example.com", "password": "correct horse", "firstName": "E"}
            with httpx.Client() as http, pytest.raises(httpx.HTTPError):
                while http.post(f"{running.url}/api/register", json=body).status_code < 600:
                    pass

        asking = threading.Thread(target=register)
        asking.start()
        httpx.get(f"{running.url}/healthz")
        assert running.stop() == 0
        asking.join(20)
        assert not asking.is_alive()
