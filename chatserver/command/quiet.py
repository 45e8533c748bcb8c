"""One rule for the whole log: what keeps happening is one line when it begins, a count at most once a second, and one
line when it is over.

An outage used to be a line for each request that it refused, which filled disks and hid what else went wrong.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TextIO

COUNT_EVERY_S = 1.0
OVER_AFTER_S = 5.0
"""So long it has to be quiet before it is called over."""

KINDS = 1000
"""Kinds of lines that are counted at the same time."""

_Kind = tuple[str, int, object, object]


class _Story:
    """What became of one kind of line since it was last written in full."""

    __slots__ = ("began_s", "counted_s", "last_s", "latest", "since_count", "total")

    def __init__(self, now_s: float) -> None:
        self.began_s = self.last_s = self.counted_s = now_s
        self.since_count = 0
        self.total = 1
        self.latest = ""


class QuietHandler(logging.StreamHandler[TextIO]):
    """Writes to `stream` (stderr). `settle` is to be called once a second or so. DEBUG lines are written as they come."""

    def __init__(
        self, stream: TextIO | None = None, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(stream)
        self._clock_s = clock_s
        self._stories: OrderedDict[_Kind, _Story] = OrderedDict()

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line, or count it."""
        if record.levelno <= logging.DEBUG:
            super().emit(record)
            return
        now_s, kind = self._clock_s(), _kind(record)
        story = self._stories.get(kind)
        if story is None:
            self._stories[kind] = _Story(now_s)
            if len(self._stories) > KINDS:
                self._stories.popitem(last=False)
            super().emit(record)
            return
        story.total += 1
        story.since_count += 1
        story.last_s = now_s
        story.latest = record.getMessage()
        if now_s - story.counted_s >= COUNT_EVERY_S:
            self._count(kind, story, now_s)

    def _count(self, kind: _Kind, story: _Story, now_s: float) -> None:
        more = "" if story.since_count == 1 else f" ({story.since_count} times like this)"
        self._write(kind, story.latest + more)
        story.since_count, story.counted_s = 0, now_s

    def settle(self) -> None:
        """Say what has been counted, and what is over."""
        self.acquire()
        try:
            for kind, story in list(self._stories.items()):
                self._settle(kind, story, self._clock_s())
        finally:
            self.release()

    def _settle(self, kind: _Kind, story: _Story, now_s: float) -> None:
        if now_s - story.last_s >= OVER_AFTER_S:
            del self._stories[kind]
            if story.total > 1:
                lasted_s = story.last_s - story.began_s
                self._write(kind, f"over: {story.total} times in {lasted_s:.0f} s: {story.latest}")
        elif story.since_count and now_s - story.counted_s >= COUNT_EVERY_S:
            self._count(kind, story, now_s)

    def _write(self, kind: _Kind, text: str) -> None:
        name, level, *_ = kind
        super().emit(logging.LogRecord(name, level, "", 0, text, None, None))


def _kind(record: logging.LogRecord) -> _Kind:
    """Lines of one kind: from the same place, and where there was an exception, of the same cause.

    Below WARNING only lines that say the same are of one kind: who has registered should not be lost in a count.
    """
    if record.levelno < logging.WARNING:
        return record.name, record.levelno, record.getMessage(), None
    place: object = record.msg if isinstance(record.msg, str) else type(record.msg)
    if not record.args:
        place = (record.pathname, record.lineno)  # its text may differ each time
    cause: object = None
    if record.exc_info and record.exc_info[1] is not None:
        frame = record.exc_info[2]
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        cause = (record.exc_info[0], frame.tb_lineno if frame else 0)
    return record.name, record.levelno, place, cause
