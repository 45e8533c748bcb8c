"""What a command prints comes through in any locale and down any pipe, and an odd name cannot play with the terminal."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from unicodedata import normalize

import pytest

from chatserver.command.output import plain
from chatserver.store.sqlite.opening import FILE
from tests.command.test_command import run

NAMES = ("Zo\u00eb", "\u5f20\u4f1f", "\u05d3\u05e0\u05d4", "\U0001f600", "e\u0301")


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("people") / "data"
    for number, name in enumerate(NAMES):
        add = ("user", "add", "--data", str(data), f"p{number}@example.com", "--first-name", name)
        made = run(
            *add, "--password-stdin", stdin="correct horse\n", PYTHONIOENCODING="ascii", LC_ALL="C"
        )
        assert (made.returncode, made.stderr) == (0, "")
    return data


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"LANG": "C"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "utf-8", "LC_ALL": "C.UTF-8"},
    ],
)
def test_the_accounts_are_listed_in_any_locale(people: Path, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "chatserver", "user", "list", "--data", str(people)],
        capture_output=True,
        timeout=90,
        env={"PATH": os.environ["PATH"]} | environment,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert len(done.stdout.splitlines()) == len(NAMES)
    if environment.get("PYTHONIOENCODING") == "utf-8":
        assert all(normalize("NFC", name) in done.stdout.decode() for name in NAMES)


@pytest.mark.parametrize(
    "command",
    ["user list --data {data}", "serve --help", "--version", "key rotate --data {data}"],
)
def test_a_closed_pipe_ends_a_command_without_a_word(people: Path, command: str) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "chatserver", *command.format(data=people).split()],
        stdout=write,
        stderr=subprocess.PIPE,
        timeout=90,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_disk_under_the_output_is_told(people: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "chatserver", "user", "list", "--data", str(people)],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=90,
            text=True,
        )
    assert done.returncode == 2
    assert done.stderr == "chatserver: the output cannot be written (No space left on device).\n"


def test_a_name_of_an_older_version_cannot_play_with_the_terminal(people: Path) -> None:
    with sqlite3.connect(people / FILE) as db:
        name = "\x1b[2J\nroot  root@example.com \u202e\ud800"
        db.execute(
            "UPDATE users SET last_name = CAST(? AS TEXT) WHERE email = 'p0@example.com'",
            (name.encode("utf-8", "replace"),),
        )
    db.close()
    listed = run("user", "list", "--data", str(people))
    assert listed.returncode == 0 and len(listed.stdout.splitlines()) == len(NAMES)
    assert "\x1b" not in listed.stdout and "\u202e" not in listed.stdout


def test_what_does_not_print_is_written_as_an_escape() -> None:
    assert plain("a\nb\x1b\u202e\ud800") == "a\\nb\\x1b\\u202e\\ud800"
    assert plain("\u5f20\u4f1f Zo\u00eb") == "\u5f20\u4f1f Zo\u00eb"
