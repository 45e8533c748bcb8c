"""The WebSocket frame parser, fed whole and byte by byte; and frames out."""

import struct

import pytest

from chatserver.core import framing
from chatserver.core.framing import FrameError, FrameParser, Received

MASK = b"\x37\xfa\x21\x3d"


def client_frame(opcode: int, payload: bytes = b"", fin: bool = True, first: int = 0) -> bytes:
    """A masked frame, as a client sends it."""
    size = len(payload)
    head = bytes([(0x80 if fin else 0) | opcode | first])
    if size <= 125:
        head += bytes([0x80 | size])
    elif size <= 0xFFFF:
        head += bytes([0x80 | 126]) + struct.pack("!H", size)
    else:
        head += bytes([0x80 | 127]) + struct.pack("!Q", size)
    return head + MASK + framing.unmask(payload, MASK)


def feed(data: bytes, step: int, max_bytes: int = 1 << 20) -> list[Received]:
    parser = FrameParser(max_bytes)
    received = []
    for at in range(0, len(data), step):
        received += parser.receive_data(data[at : at + step])
    return received


STEPS = [1, 2, 3, 7, 1 << 20]


def unfinished(*pieces: bytes) -> list[int | None]:
    """What the parser calls what has no end, after each of the pieces."""
    parser = FrameParser(1 << 20)
    found = []
    for piece in pieces:
        parser.receive_data(piece)
        found.append(parser.unfinished)
    return found


def test_what_has_no_end_yet_has_one_name_until_its_end() -> None:
    text, ping = client_frame(1, b"hello"), client_frame(9, b"are you there")
    first, last = client_frame(1, b"hel", fin=False), client_frame(0, b"lo")
    assert unfinished(text, text[:1], text[1:3], text[3:-1], text[-1:]) == [None, 2, 2, 2, None]
    assert unfinished(text + text[:4], text[4:] + ping[:3], ping[3:]) == [2, 3, None]
    pieces = (first[:2], first[2:], ping, ping[:3], ping[3:] + last[:2], last[2:] + text[:2])
    assert unfinished(*pieces) == [1, 1, 1, 1, 1, 5]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536])
def test_text_of_any_length_comes_through(step: int, size: int) -> None:
    if step == 1 and size > 200:
        step = 997
    text = ("é" * size).encode()[:size].decode("utf-8", "ignore")
    assert feed(client_frame(1, text.encode()), step) == [Received(1, text=text)]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("about_bytes", [1, 30, 512])
def test_frames_that_are_read_at_once_say_what_they_say_one_by_one(
    step: int, about_bytes: int
) -> None:
    data = (
        client_frame(1, b"one")
        + client_frame(1, b"x" * 200)
        + client_frame(9, b"are you there")
        + client_frame(1, b"")
        + client_frame(1, b"cut in", fin=False)
        + client_frame(0, b" two")
        + client_frame(1, b"last")
        + client_frame(8)
        + client_frame(1, b"behind the end")
    )
    parser, one_by_one, received = FrameParser(1 << 20), FrameParser(1 << 20), list[Received]()
    for start in range(0, len(data), step):
        piece, at = data[start : start + step], 0
        while at < len(piece):
            texts, end = parser.whole_texts(piece, at, about_bytes)
            received += [Received(1, text) for text in texts]
            if not texts:
                end = at + about_bytes
                received += parser.receive_data(piece[at:end])
            at = end
    assert received == one_by_one.receive_data(data)
    assert parser.frames == one_by_one.frames


@pytest.mark.parametrize(
    "data",
    [
        b"\x81\x05hello world",  # not masked
        b"\x81\xfe\0\x05"
        + MASK
        + framing.unmask(b"hello", MASK),  # a length of more bytes than need be
        b"\x81\xff" + struct.pack("!Q", 70) + bytes(4 + 70 + 100),
        client_frame(1, b"\xff hello"),
        client_frame(1, b"hello hello", first=0x40),
        client_frame(1, b"hello hello", fin=False),
        client_frame(2, b"hello hello"),
        client_frame(9, b"hello hello"),
        client_frame(1, b"x" * 301),  # too long
        client_frame(1, b"hello hello")[:-1],
        client_frame(1, b"x" * 127)[:9],
        client_frame(1, b""),
        b"\x81",
    ],
)
def test_what_is_no_whole_frame_of_text_is_left_to_be_looked_at_closely(data: bytes) -> None:
    parser = FrameParser(300)
    assert parser.whole_texts(data, 0, 512) == ([], 0)
    good = client_frame(1, b"good " * 3)
    assert parser.whole_texts(good + data, 0, 512) == (["good " * 3], len(good))
    assert parser.frames == 1


def test_no_frame_is_read_at_once_where_something_is_left_from_before() -> None:
    mask = b"\x80" * 4
    inner = b"\x81\x84" + mask + framing.unmask(b"trap", mask)
    outer = b"\x81" + bytes([0x80 | len(inner)]) + mask + inner
    parser = FrameParser(1 << 20)
    assert parser.receive_data(outer[:6]) == []
    assert parser.whole_texts(inner, 0, 512) == ([], 0)
    assert parser.receive_data(inner) == [Received(1, framing.unmask(inner, mask).decode())]
    assert parser.receive_data(client_frame(1, b"begun", fin=False)) == []
    assert parser.whole_texts(client_frame(1, b"new"), 0, 512) == ([], 0)
    closed = FrameParser(1 << 20)
    closed.receive_data(client_frame(8))
    assert closed.whole_texts(client_frame(1, b"late"), 0, 512) == ([], 0)


@pytest.mark.parametrize("step", STEPS)
def test_fragments_with_control_frames_between_are_one_message(step: int) -> None:
    whole = "Grüße, 世界".encode()
    data = (
        client_frame(1, whole[:3], fin=False)  # cut inside a character
        + client_frame(9, b"are you there")
        + client_frame(0, whole[3:9], fin=False)
        + client_frame(0, whole[9:])
        + client_frame(1, b"next")
    )
    assert feed(data, step) == [
        Received(9, data=b"are you there"),
        Received(1, text="Grüße, 世界"),
        Received(1, text="next"),
    ]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x81\x02hi", 1002),  # not masked
        (client_frame(1, b"x", first=0x40), 1002),  # reserved bits
        (client_frame(3, b"x"), 1002),
        (client_frame(11, b"x"), 1002),
        (client_frame(0, b"x"), 1002),  # nothing to continue
        (client_frame(1, b"x", fin=False) + client_frame(1, b"y"), 1002),
        (client_frame(9, b"x", fin=False), 1002),  # control frames are whole
        (client_frame(9, b"x" * 126), 1002),
        (client_frame(1, b"\xff"), 1007),
        (client_frame(1, b"\xc3"), 1007),  # half a character
        (client_frame(1, b"\xed\xa0\x80"), 1007),  # a surrogate
        (client_frame(1, b"\xc3", fin=False) + client_frame(0, b"("), 1007),
        (client_frame(1, b"x" * 1001), 1009),
        (client_frame(1, b"x" * 600, fin=False) + client_frame(0, b"x" * 600), 1009),
        (client_frame(8, b"\x03"), 1002),
        (client_frame(8, struct.pack("!H", 1005)), 1002),
        (client_frame(8, struct.pack("!H", 999)), 1002),
        (client_frame(8, struct.pack("!H", 2999)), 1002),
        (client_frame(8, struct.pack("!H", 5000)), 1002),
        (client_frame(8, struct.pack("!H", 1000) + b"\xff"), 1007),
    ],
)
def test_a_broken_rule_has_its_close_code(step: int, data: bytes, code: int) -> None:
    with pytest.raises(FrameError) as caught:
        feed(data, step, max_bytes=1000)
    assert caught.value.close_code == code


def test_too_big_is_told_from_the_header_before_the_bytes_come() -> None:
    with pytest.raises(FrameError) as caught:
        FrameParser(1000).receive_data(b"\x81\xff" + struct.pack("!Q", 1 << 62))
    assert caught.value.close_code == 1009


def test_endless_empty_fragments_are_not_kept() -> None:
    parser = FrameParser(1000)
    parser.receive_data(client_frame(1, b"", fin=False))
    with pytest.raises(FrameError):
        for _ in range(1000):
            parser.receive_data(client_frame(0, b"", fin=False))


@pytest.mark.parametrize("code", [1000, 1001, 1011, 3000, 4999])
def test_a_close_frame_tells_its_code(code: int) -> None:
    received = feed(client_frame(8, struct.pack("!H", code) + b"bye"), 1)
    assert received[0].close_code == code


def test_frames_out_have_the_shortest_length_and_no_mask() -> None:
    assert framing.ws_text(b"hi") == b"\x81\x02hi"
    assert framing.ws_text(b"x" * 126)[:4] == b"\x81\x7e\x00\x7e"
    assert framing.ws_text(b"x" * 65536)[:10] == b"\x81\x7f" + struct.pack("!Q", 65536)
    assert (
        framing.ws_close(4501, "é" * 100)
        == b"\x88\x7c" + struct.pack("!H", 4501) + "é".encode() * 61
    )


def test_an_sse_block_is_one_line_of_data() -> None:
    assert framing.sse_block(b'{"a":1}', 7) == b'id: 7\ndata: {"a":1}\n\n'
    assert framing.sse_block(b"{}", None) == b"data: {}\n\n"
