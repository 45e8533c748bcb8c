"""How many descriptors there are, and how many of them connections may have."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
from dataclasses import replace

from chatserver.core.limits import Limits

RESERVE = 192
"""Descriptors for everything that is no connection with a seat: 64 for connections that are being refused, the others
for the store (a database, its log and its index for each thread), files that are being read, the loop and the log."""

FEWEST = 16


def raise_limit() -> tuple[int, int]:
    """Raise the soft limit to the hard one; what it was and what it is.

    The soft one is 1,024 for the sake of programs that use `select` (systemd's documentation of LimitNOFILE); this
    one does not.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):  # macOS says "unlimited" and takes less
        return soft, soft
    return soft, hard


def make_room(most: int) -> None:
    """Have the kernel make room for `most` descriptors now, 8 bytes each.

    It doubles its table when that is full, and in a process with threads has all processors agree first
    (`synchronize_rcu` in Linux, fs/file.c): 10 to 30 ms, in which the loop stood still, eight times on the way to 5,000.
    Best before there are threads; the table does not shrink again.
    """
    # Where that fails it grows as it always did.
    with contextlib.suppress(OSError), open(os.devnull, "rb") as any_file:
        os.close(fcntl.fcntl(any_file.fileno(), fcntl.F_DUPFD_CLOEXEC, most - 1))


def within_descriptors(limits: Limits) -> tuple[Limits, str]:
    """The same with as many connections as the descriptors allow, whose limit is raised and for which there is room from
    now on; and a line for the log."""
    before, now = raise_limit()
    allowed = limits.connections
    if now != resource.RLIM_INFINITY:
        allowed = min(allowed, max(FEWEST, now - RESERVE))
    make_room(allowed + RESERVE)
    raised = f", raised from {before}" if now != before else ""
    line = f"descriptors: {now}{raised}; connections: {allowed}"
    return replace(limits, connections=allowed), line
