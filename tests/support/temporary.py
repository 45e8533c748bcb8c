"""The temporary folder of a run, in which whatever it makes ends with it."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


def _end_once(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # whoever is stuck meanwhile can still be ended
    raise KeyboardInterrupt


@contextmanager
def temporary_folder(prefix: str) -> Iterator[str]:
    """What this process and those it starts make in the temporary folder meanwhile is in this one, which is gone at the end.

    The first SIGTERM then ends the process as SIGINT does: by an exception, so that everything is taken down. To be
    called in the main thread.
    """
    before = os.environ.get("TMPDIR")
    # In the background of a shell script SIGINT is ignored; SIGTERM is what such a script sends.
    ended = signal.signal(signal.SIGTERM, _end_once)
    folder = tempfile.mkdtemp(prefix=prefix)
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    try:
        yield folder
    finally:
        tempfile.tempdir = None
        os.environ.pop("TMPDIR")
        if before is not None:
            os.environ["TMPDIR"] = before
        # What was killed a moment ago may still write.
        shutil.rmtree(folder, ignore_errors=True)
        signal.signal(signal.SIGTERM, ended)
