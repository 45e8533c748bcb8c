"""Trying a fault: a copy of the checkout, the fault in it, the tests over it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from scripts.mutation.fault import Fault, planted

COPIED = ("chatserver", "web", "tests", "scripts", "docs")
FILES = ("setup.cfg", "pyproject.toml", "ruff.toml", "README.md", "CHANGELOG.md")

TEST_S = 45
"""How long one test may take: many faults show as a wait without end."""
TRIAL_S = 240.0
"""How long all tests of one fault may take together."""

TEST_FAILED = 1
"""What pytest returns where a test failed; everything above is that it could not test at all."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a fault."""

    fault: Fault
    noticed_by: str | None
    """The first test that failed; None where the fault survived."""
    took_s: float
    trouble: str = ""
    """Why nothing can be said: the tests could not run."""


class Copy:
    """A copy of the checkout at `home`, in which one fault at a time is planted."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.folder = folder
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        for name in COPIED:
            shutil.copytree(home / name, folder / name, ignore=ignored)
        for name in FILES:
            shutil.copy(home / name, folder / name)
        self._mtime = int(time.time()) - 10**6

    def try_out(self, fault: Fault) -> Verdict:
        """Plant `fault`, run its tests, take it out again. Raises `Misfit`."""
        path = self.folder / fault.file
        source = path.read_text()
        self._write(path, planted(fault, source))
        began_s = time.monotonic()
        try:
            code, noticed_by, printed = self._run_tests(fault.tests)
        finally:
            self._write(path, source)
        took_s = time.monotonic() - began_s
        if code > TEST_FAILED:
            return Verdict(fault, None, took_s, f"pytest ended with {code}:\n{printed[-1500:]}")
        return Verdict(fault, noticed_by if code else None, took_s)

    def complaint(self, tests: tuple[str, ...]) -> str | None:
        """What `tests` have to say without any fault; None where they are green."""
        code, noticed_by, printed = self._run_tests(tests)
        return None if code == 0 else f"{noticed_by}\n{printed[-3000:]}"

    def _write(self, path: Path, source: str) -> None:
        path.write_text(source)
        # Compiled modules are known by size and second of change: each state has a second of its own.
        self._mtime += 1
        os.utime(path, (self._mtime, self._mtime))

    def _run_tests(self, tests: tuple[str, ...]) -> tuple[int, str, str]:
        """The exit code of pytest, the first test that failed, and what was printed."""
        command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider"]
        command += [f"--timeout={TEST_S}", "-r", "fE", "--tb", "short", *tests]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CHATSERVER_")}
        environment["PYTHONPATH"] = str(self.folder)
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=TRIAL_S,
            )
        except subprocess.TimeoutExpired:
            return TEST_FAILED, f"no test: after {TRIAL_S:.0f} s there was no end", ""
        found = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
        if found is None:
            # pytest-timeout ends the whole run where a test does not let itself be interrupted.
            found = re.search(r"(tests/\S+) .*Timeout", done.stdout)
        return done.returncode, found[1] if found else "?", done.stdout
