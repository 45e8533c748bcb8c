"""Trying a fault: a copy of the checkout, the fault in it, the tests over it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.mutation.fault import Fault, Misfit, planted

COPIED = ("chatserver", "web", "tests", "scripts", "docs")
FILES = ("setup.cfg", "pyproject.toml", "ruff.toml", "README.md", "CHANGELOG.md")

TEST_S = 40
"""How long one test may take with a fault in the code: many faults show as a wait without end."""
TRIAL_S = 150.0
"""How long all tests of one fault may take together."""
CALM_S = 20.0
"""A wait without end is believed where the same test, without the fault, ends within so much. Right afterwards, so
that a busy machine is busy for both."""
WHOLE_S = 1800.0
"""How long all tests of the table may take together, without a fault."""

TEST_FAILED = 1
"""What pytest returns where a test failed; everything above is that it could not test at all."""
OPTIONS = ("-p", "no:cacheprovider", "-r", "fE", "--tb", "short")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a fault."""

    fault: Fault
    noticed_by: str | None
    """The first test that failed; None where the fault survived."""
    took_s: float
    """Of CPU, all processes together: what the wall clock says depends on what else the machine does."""
    trouble: str = ""
    """Why nothing can be said: the tests could not run, or fail without the fault too."""


@dataclass(frozen=True, slots=True)
class Run:
    """What pytest had to say."""

    code: int
    failed: tuple[str, ...]
    printed: str
    cpu_s: float
    took_s: float
    late: bool

    @property
    def waited(self) -> bool:
        """Whether something failed because it took too long, or may have."""
        return self.late or re.search(r"Timeout|timed out", self.printed) is not None


class Copy:
    """A copy of the checkout at `home`, in which one fault at a time is planted, with a process that runs tests."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.folder = folder
        ignored = shutil.ignore_patterns("__pycache__", ".*")
        for name in COPIED:
            shutil.copytree(home / name, folder / name, ignore=ignored)
        for name in FILES:
            shutil.copy(home / name, folder / name)
        self._mtime = int(time.time()) - 10**6
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CHATSERVER_")}
        environment["PYTHONPATH"] = str(folder)
        self._nursery = subprocess.Popen(
            [sys.executable, "-m", "scripts.mutation.nursery"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._line()

    def close(self) -> None:
        """End the process."""
        assert self._nursery.stdin is not None and self._nursery.stdout is not None
        self._nursery.stdin.close()
        self._nursery.wait()
        self._nursery.stdout.close()

    def try_out(self, fault: Fault) -> Verdict:
        """Plant `fault`, run its tests, take it out again. Raises `Misfit`."""
        path = self.folder / fault.file
        source = path.read_text()
        self._write(path, planted(fault, source))
        try:
            run = self.run(fault.tests, TRIAL_S, "-x")
        finally:
            self._write(path, source)
        if run.code == 0:
            return Verdict(fault, None, run.cpu_s)
        if run.code > TEST_FAILED and not run.late and not run.failed:
            trouble = f"pytest ended with {run.code}:\n{run.printed[-1500:]}"
            return Verdict(fault, None, run.cpu_s, trouble)
        noticed_by = run.failed[0] if run.failed else f"no end after {TRIAL_S:.0f} s"
        if run.waited:
            calm = self.run(run.failed[:1] or fault.tests, TRIAL_S, "-x")
            if calm.code or (calm.took_s > CALM_S and run.failed):
                trouble = f"{noticed_by} takes {calm.took_s:.0f} s without the fault, or fails."
                return Verdict(fault, None, run.cpu_s, trouble)
        return Verdict(fault, noticed_by, run.cpu_s)

    def red(self, tests: tuple[str, ...]) -> tuple[str, ...]:
        """Those of `tests` that fail without any fault, twice. Raises `Misfit` where nothing can be tested at all."""
        run = self._second_go(self.run(tests, WHOLE_S))
        if run.code and not run.failed:
            raise Misfit(f"Without any fault pytest ended with {run.code}:\n{run.printed[-3000:]}")
        return tuple(test for test in tests if any(each.startswith(test) for each in run.failed))

    def _second_go(self, run: Run) -> Run:
        return self.run(run.failed, WHOLE_S) if run.code and run.failed else run

    def run(self, tests: tuple[str, ...], run_s: float, *options: str) -> Run:
        """Run `tests` as the code in the copy is now."""
        began_s = time.monotonic()
        asked = {"tests": tests, "test_s": TEST_S, "run_s": run_s, "options": [*OPTIONS, *options]}
        assert self._nursery.stdin is not None
        print(json.dumps(asked), file=self._nursery.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._line())
        printed: str = answer["printed"]
        failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", printed, re.MULTILINE)
        # pytest-timeout ends the whole run where a test does not let itself be interrupted.
        failed = failed or re.findall(r"(tests/\S+) .*Timeout", printed)
        took_s = time.monotonic() - began_s
        return Run(answer["code"], tuple(failed), printed, answer["cpu_s"], took_s, answer["late"])

    def _line(self) -> str:
        assert self._nursery.stdout is not None
        line = self._nursery.stdout.readline()
        if not line:
            raise RuntimeError("The process that runs the tests has ended.")
        return line

    def _write(self, path: Path, source: str) -> None:
        path.write_text(source)
        # Compiled modules are known by size and second of change: each state has a second of its own.
        self._mtime += 1
        os.utime(path, (self._mtime, self._mtime))
