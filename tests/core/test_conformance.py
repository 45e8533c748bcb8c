"""The frame parser against the cases of RFC 6455: whole, byte by byte, and cut anywhere."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatserver.core.framing import OP_BINARY, OP_CLOSE, OP_PING, OP_TEXT, FrameError, FrameParser
from tests.support.websocket_cases import CASES, MAX_BYTES, TEXT, Case, Token, close, frame

NAMES = {OP_TEXT: "text", OP_BINARY: "binary", OP_PING: "ping"}


def tokens(pieces: list[bytes], max_bytes: int = MAX_BYTES) -> list[Token]:
    """What the parser makes of bytes that come in these pieces."""
    parser = FrameParser(max_bytes)
    found: list[Token] = []
    for piece in pieces:
        try:
            received, failed = parser.receive_data(piece), None
        except FrameError as error:
            received, failed = error.before, error
        for message in received:
            if message.opcode == OP_CLOSE:
                found.append(("close", message.close_code))
            else:
                payload = message.text.encode() if message.opcode == OP_TEXT else message.data
                found.append((NAMES.get(message.opcode, "pong"), payload))
        if failed is not None:
            found.append(("fail", failed.close_code))
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
@pytest.mark.parametrize("step", [1, 1 << 20], ids=["bytes", "whole"])
def test_the_parser_makes_of_it_what_the_rfc_says(case: Case, step: int) -> None:
    pieces = [case.data[at : at + step] for at in range(0, len(case.data), step)]
    assert tokens(pieces) == list(case.tokens)


frames = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda opcode, payload, fin, rsv: frame(opcode, payload, fin=fin, rsv=rsv),
        st.sampled_from([0, 0, 1, 1, 2, 3, 8, 9, 10, 15]),
        st.one_of(st.text(max_size=200).map(str.encode), st.binary(max_size=200)),
        st.booleans(),
        st.sampled_from([0, 0, 0, 0, 0, 1, 4]),
    ),
    st.builds(close, st.integers(0, 65535), st.binary(max_size=20)),
)


@settings(deadline=None)
@given(st.lists(frames, max_size=6).map(b"".join), st.lists(st.integers(1, 60), min_size=1))
def test_what_bytes_mean_does_not_depend_on_how_they_are_cut(data: bytes, steps: list[int]) -> None:
    pieces: list[bytes] = []
    at = 0
    while at < len(data):
        step = steps[len(pieces) % len(steps)]
        pieces.append(data[at : at + step])
        at += step
    cut, whole = tokens(pieces, 300), tokens([data], 300)
    assert cut == whole
    assert cut == tokens([data[at : at + 1] for at in range(len(data))], 300)


def test_what_is_kept_of_a_frame_in_pieces_is_bounded_by_the_frame() -> None:
    parser = FrameParser(MAX_BYTES)
    data = frame(TEXT, b"x" * MAX_BYTES)
    for at in range(0, len(data) - 1, 7):
        parser.receive_data(data[at : min(at + 7, len(data) - 1)])
    assert parser._buffer is not None and parser._buffer.__sizeof__() < 1.3 * MAX_BYTES


def test_each_byte_costs_the_same_however_small_the_pieces_are() -> None:
    def per_byte_s(size: int) -> float:
        data = frame(TEXT, b"x" * size)
        best_s = 60.0
        for _ in range(3):
            parser = FrameParser(1 << 20)
            began_s = time.process_time()
            for at in range(len(data)):
                parser.receive_data(data[at : at + 1])
            best_s = min(best_s, time.process_time() - began_s)
        return best_s / size

    # Growing with the square of the size, this was 16 times as much.
    assert per_byte_s(256 * 1024) < 4 * per_byte_s(16 * 1024)
