"""Memory that was freed goes back to the system."""

from __future__ import annotations

import ctypes

# Of glibc's malloc.h.
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

LARGE_BYTES = 256 * 1024
"""From here on a block is mapped by itself, and is given back when it is freed."""

ARENAS = 2


def give_back() -> None:
    """Keep the C library from holding on to what was large once.

    It raises its threshold with each large block that is freed, and then keeps such blocks: after 120 answers of 3 MB
    that nobody read, the process went on holding 331 MB, now 112 (`scripts/attack unread`). Does nothing without glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        mallopt(_M_ARENA_MAX, ARENAS)
