"""A process in which everything is imported but the product and its tests; each run of pytest is a fork of it.

What a run costs is then what its tests cost, not what Python and pytest take to start. It is started in the copy
that it tests, and answers on lines: `{"tests": […], "test_s": 40, "run_s": 200, "options": […]}` is answered with
`{"code": 1, "printed": "…", "cpu_s": 0.7, "late": false}`.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

READY = "ready"

# What chatserver and its tests import, except themselves. Whatever is not there is left out.
PRELOADED = (
    *("pytest", "hypothesis.stateful", "asyncio"),
    *("_pytest.assertion.rewrite", "_pytest.pytester", "_pytest.junitxml", "_pytest.doctest"),
    *("orjson", "tornado.httpserver", "tornado.web", "tornado.websocket", "tornado.testing"),
    *("tornado.simple_httpclient", "cryptography.hazmat.primitives.kdf.argon2", "httpx"),
    *("websockets.asyncio.client", "prometheus_client", "sqlite3", "urllib.request", "logging"),
    *("pymongo", "motor.motor_tornado", "nats", "socketio", "uuid", "zoneinfo", "html.parser"),
)
QUIET = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
"""That plugins are there already is meant so."""
GRACE_S = 2.0
"""A run that is late is interrupted, so that its servers are ended with it; then it is killed."""


def preload() -> None:
    """Import what does not change between runs."""
    for name in PRELOADED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def _test(tests: list[str], options: list[str], printed: Path) -> None:
    """In the fork: run pytest as if it had just been started."""
    os.setsid()
    output = os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, source in ((0, nothing), (1, output), (2, output)):
        os.dup2(source, number)
    sys.stdout = os.fdopen(1, "w", buffering=1, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    code = 3
    try:
        import pytest

        code = int(pytest.main([*QUIET, *options, *tests]))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def _waited(child: int, run_s: float) -> tuple[int, float, bool]:
    """The exit code, the seconds of CPU of all that it started, and whether it had to be ended."""
    until, late = time.monotonic() + run_s, False
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code, usage.ru_utime + usage.ru_stime, late
        if time.monotonic() > until:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL if late else signal.SIGINT)
            until, late = time.monotonic() + GRACE_S, True
        time.sleep(0.02)


def run(asked: dict[str, Any]) -> dict[str, Any]:
    """One run of pytest over `asked["tests"]`, in a fork."""
    with tempfile.TemporaryDirectory() as folder:
        printed = Path(folder) / "printed"
        options = [*asked["options"], f"--timeout={asked['test_s']}"]
        # Other runs of pytest on this machine clear away what is in the usual place.
        options.append(f"--basetemp={Path(folder) / 'base'}")
        child = os.fork()
        if child == 0:
            _test(asked["tests"], options, printed)
        code, cpu_s, late = _waited(child, asked["run_s"])
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # What the tests left behind.
        text = printed.read_text(errors="replace") if printed.exists() else ""
    return {"code": code, "printed": text, "cpu_s": cpu_s, "late": late}


def serve(asking: TextIO, answering: TextIO) -> None:
    """Answer each line until there is none."""
    preload()
    print(READY, file=answering, flush=True)
    for line in asking:
        print(json.dumps(run(json.loads(line))), file=answering, flush=True)


if __name__ == "__main__":
    serve(sys.stdin, sys.stdout)
