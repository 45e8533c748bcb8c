"""A run of the tests leaves nothing in the temporary folder, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

TEST = """
import signal, subprocess, sys, tempfile
import pytest

@pytest.fixture
def server():
    # Like a server that makes a folder and is killed.
    child = subprocess.Popen([sys.executable, "-c", "import tempfile; print(tempfile.mkdtemp()); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    yield child.stdout.readline()
    child.communicate()
    print("taken down")

def test_it(server, tmp_path):
    (tmp_path / "a").touch()
    tempfile.mkdtemp()
    print("under way", flush=True)
    {end}
"""


@pytest.mark.parametrize("number", [0, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_and_all_is_taken_down(tmp_path: Path, number: int) -> None:
    folder, test = tmp_path / "tmp", tmp_path / "test_it.py"
    folder.mkdir()
    test.write_text(TEST.replace("{end}", "signal.pause()" if number else "assert False"))
    options = ["-s", "-p", "no:cacheprovider", "-p", "tests.conftest", f"--rootdir={tmp_path}"]
    run = subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, str(test)],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert run.stdout is not None
    try:
        said = ""
        while "under way" not in said:
            line = run.stdout.readline()
            assert line, said
            said += line
        assert list(folder.iterdir()) != []
        if number:
            run.send_signal(number)
        rest, _ = run.communicate(timeout=60)
        assert "taken down" in rest
        assert run.returncode == (pytest.ExitCode.INTERRUPTED if number else 1)
        assert list(folder.iterdir()) == []
    finally:
        run.kill()
        run.wait()
