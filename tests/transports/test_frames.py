"""The short way of a frame that comes alone: it says what the parser says of the same bytes, or nothing."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from chatserver.core.framing import FrameError, FrameParser, Received
from chatserver.transports.frames import QuickParser
from tests.core.test_framing import MASK, client_frame

MAX_BYTES = 70_000


def same(data: bytes, max_bytes: int = MAX_BYTES) -> str | None:
    """What the short way says of `data`, where that is all that the parser finds in it."""
    quick, slow = QuickParser(max_bytes), FrameParser(max_bytes)
    text = quick.whole_text(data)
    if text is None:
        assert quick.frames == 0
    else:
        assert slow.receive_data(data) == [Received(1, text)]
        assert (quick.frames, quick.unfinished) == (slow.frames, slow.unfinished) == (1, None)
    return text


@pytest.mark.parametrize("size", [1, 2, 124, 125, 126, 127, 128, 65_534, 65_535])
def test_a_whole_text_alone_is_read_at_once(size: int) -> None:
    text = "é" * (size // 2) + "x" * (size % 2)
    data = client_frame(1, text.encode())
    assert same(data) == text
    assert same(data + b"\x81") is same(data[:-1]) is None


def damaged() -> Iterator[bytes]:
    """Frames with any two first bytes, and with lengths that are a little wrong."""
    for size in (1, 5, 125, 126, 300):
        whole = client_frame(1, b"x" * size)
        for first in (0x00, 0x01, 0x02, 0x08, 0x09, 0x80, 0x81, 0x82, 0x88, 0x89, 0xC1, 0xA1, 0x91):
            for second in range(256):
                yield bytes((first, second)) + whole[2:]
        for end in range(min(len(whole), 16)):
            yield whole[:end]
    for length in (0, 1, 124, 125, 126, 127):
        for there in (length - 1, length, length + 1):
            yield b"\x81\xfe" + struct.pack("!H", length) + MASK + b"x" * there
            yield b"\x81\xff" + struct.pack("!Q", length) + MASK + b"x" * there


def test_what_is_damaged_is_left_to_the_parser_or_said_as_it_says_it() -> None:
    read = 0
    for data in damaged():
        try:
            read += same(data) is not None
        except FrameError as error:
            raise AssertionError(f"{data[:12]!r} was taken, and is wrong: {error}") from error
    # Whole frames, and those whose length happens to be right.
    assert read >= 5


def test_what_is_no_text_or_too_long_is_left_to_the_parser() -> None:
    assert same(client_frame(1, b"\xff hello")) is None
    assert same(client_frame(1, b"")) is None
    assert same(client_frame(1, b"x" * 300), max_bytes=300) == "x" * 300
    assert same(client_frame(1, b"x" * 301), max_bytes=300) is None
    assert same(client_frame(1, b"x" * 66_000)) is None, "its length takes eight bytes"


def test_nothing_is_read_at_once_behind_what_is_not_finished_or_after_the_end() -> None:
    text = client_frame(1, b"hello")
    for before in (text[:3], client_frame(1, b"begun", fin=False), client_frame(8)):
        parser = QuickParser(MAX_BYTES)
        parser.receive_data(before)
        assert parser.whole_text(text) is None
