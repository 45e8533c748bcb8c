"""Whether the files of a stream are still where its NATS server has put them: of a server whose folder is in reach.

nats-server goes on with files that were deleted or moved away: it says of each message that it is stored, and at its next start
nothing of it is there.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

_log = logging.getLogger("chatserver.journal")

CLOSELY_S = 5.0
"""How often each is looked at. Between, the folder of the messages tells: its time changes with each name in it."""

_Identity = tuple[int, int]


class StreamFiles:
    """Those of the stream `name` in `store`, the server's `store_dir`, as they are now. `clock_s` is monotonic seconds.

    Raises OSError where there are none.
    """

    def __init__(self, store: Path, name: str, clock_s: Callable[[], float] = time.monotonic):
        self._stream = store / "jetstream" / "$G" / "streams" / name
        # A path is as slow to become one as the look itself.
        self._messages = str(self._stream / "msgs")
        self._opened = _identity(os.stat(self._stream))
        self._newest = _newest_block(self._messages)
        self._clock_s = clock_s
        self._was: tuple[_Identity, int] | None = None
        self._closely_s = 0.0
        self._lost = False

    def kept(self) -> bool:
        """Whether they are there, so that what the server says is stored will be there after its next start."""
        try:
            lost = not self._look()
        except OSError:
            lost = True
        if lost:
            self._was = None
        if lost is not self._lost:
            self._lost = lost
            self._say()
        return not lost

    def _look(self) -> bool:
        now_s = self._clock_s()
        status = os.stat(self._messages)
        folder_is = (_identity(status), status.st_mtime_ns)
        if folder_is == self._was and now_s < self._closely_s:
            return True
        if _identity(os.stat(self._stream)) != self._opened:
            return False
        newest = _newest_block(self._messages)
        if newest < self._newest:
            return False
        self._newest = newest
        self._was, self._closely_s = folder_is, now_s + CLOSELY_S
        return True

    def _say(self) -> None:
        if self._lost:
            _log.error(
                "%s was deleted, moved or replaced while it was in use: nothing is saved until it is back; where it is gone,"
                " stop the server, and start it once with --nats-new-stream.",
                self._stream,
            )
        else:
            _log.warning("%s is back: events can be made durable again", self._stream)


def _identity(status: os.stat_result) -> _Identity:
    return status.st_dev, status.st_ino


def _newest_block(folder: str) -> int:
    """The number of the file that is written to: they are numbered, and there is always one. Raises OSError."""
    numbers = [name.removesuffix(".blk") for name in os.listdir(folder) if name.endswith(".blk")]
    return max((int(number) for number in numbers if number.isdecimal()), default=-1)
