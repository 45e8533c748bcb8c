"""Where a node's process is, so that a node on the same machine can tell that it is no more. Linux; elsewhere nobody can.

A number of a process means something only among those who count in the same way: on the same machine since the same start of
it, in the same namespace (proc(5), pid_namespaces(7)).
"""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")
_STATE, _STARTED = 0, 19
"""Of `/proc/<pid>/stat`, behind the name of the program: fields 3 and 22."""


def here() -> list[str | int]:
    """This process: who counts, its number, and when it was started. Empty where that cannot be known."""
    pid = os.getpid()
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        counting = os.readlink(_PROC / "self/ns/pid")
        return [f"{boot} {counting}", pid, _fields(pid)[_STARTED]]
    except OSError:
        return []


def is_gone(there: list[str | int], here: list[str | int]) -> bool:
    """Whether the process `there` has certainly ended, as seen from the one `here`."""
    if not there or not here or there[0] != here[0]:
        return False
    try:
        fields = _fields(int(there[1]))
    except FileNotFoundError:
        return True
    except OSError:
        return False
    # One that nobody has reaped yet does nothing any more; another one may have its number by now.
    return fields[_STATE] in ("Z", "X") or fields[_STARTED] != there[2]


def _fields(pid: int) -> list[str]:
    text = (_PROC / str(pid) / "stat").read_text()
    return text.rpartition(")")[2].split()
