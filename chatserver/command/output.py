"""What a command prints, in any locale and down any pipe."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress


def prepare() -> None:
    """Have whatever the locale cannot say be written as an escape, instead of ending the command half way."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def plain(text: str) -> str:
    """`text` for a terminal and for one line of a list: nothing in it moves the cursor, breaks the line or turns it round."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii")
        for c in text
    )


def flush() -> None:
    """Have everything out. Raises OSError: BrokenPipeError where nobody reads any more, else the disk is full."""
    if sys.stdout is not None:
        sys.stdout.flush()


def give_up() -> None:
    """Print no more: Python's own last flush would complain once again."""
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def complain(sentence: str) -> None:
    """One sentence on stderr, if there is anybody who reads it."""
    with suppress(OSError, ValueError):
        print(f"chatserver: {sentence}", file=sys.stderr, flush=True)
