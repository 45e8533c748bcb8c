"""What a WebSocket server must make of which bytes, after the categories of the Autobahn test suite.

Each case says what it shows, what a client sends after the handshake, and what that amounts to: the messages and
control frames that count, and how it ends. Run over the parser alone, whole and byte by byte, and over a socket.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAX_BYTES = 64 * 1024
"""The bound of a message in the contract."""

MASK = b"\x37\xfa\x21\x3d"

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

Token = tuple[str, bytes | int | None]
"""("text" | "binary" | "ping" | "pong", payload), ("close", the peer's code) or ("fail", our close code)."""


@dataclass(frozen=True)
class Case:
    """`name` begins with the number of Autobahn's category."""

    name: str
    data: bytes
    tokens: tuple[Token, ...]


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes = MASK
) -> bytes:
    """A masked frame, as a client sends it."""
    size = len(payload)
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    if size <= 125:
        head += bytes([0x80 | size])
    elif size <= 0xFFFF:
        head += bytes([0x80 | 126]) + struct.pack("!H", size)
    else:
        head += bytes([0x80 | 127]) + struct.pack("!Q", size)
    key = (mask * (size // 4 + 1))[:size]
    return head + mask + bytes(a ^ b for a, b in zip(payload, key, strict=True))


def fragments(payload: bytes, step: int, opcode: int = TEXT, between: bytes = b"") -> bytes:
    """`payload` in fragments of `step` bytes, with the frame `between` after each but the last."""
    pieces = [payload[at : at + step] for at in range(0, len(payload), step)] or [b""]
    last = len(pieces) - 1
    return b"".join(
        frame(0 if index else opcode, piece, fin=index == last) + (between if index < last else b"")
        for index, piece in enumerate(pieces)
    )


def close(code: int, reason: bytes = b"") -> bytes:
    """A close frame of the client."""
    return frame(CLOSE, struct.pack("!H", code) + reason)


END = close(1000)
ENDED: Token = ("close", 1000)
LETTERS = b"Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!"


def _framing() -> list[Case]:
    cases = []
    for size in (0, 125, 126, 127, 128, 65535, 65536):
        for opcode, name in ((TEXT, "text"), (BINARY, "binary")):
            payload = b"*" * size
            cases.append(
                Case(
                    f"1 {name} of {size} bytes",
                    frame(opcode, payload) + END,
                    ((name, payload), ENDED),
                )
            )
    return cases


def _pings() -> list[Case]:
    ten = [b"payload-%d" % number for number in range(10)]
    return [
        Case("2 an empty ping is answered", frame(PING) + END, (("ping", b""), ENDED)),
        Case("2 a pong repeats the text of its ping", frame(PING, b"Hello") + END, (("ping", b"Hello"), ENDED)),
        Case("2 a ping may hold any bytes", frame(PING, b"\x00\xff\xfe") + END, (("ping", b"\x00\xff\xfe"), ENDED)),
        Case("2 a ping of 125 bytes", frame(PING, b"\xfe" * 125) + END, (("ping", b"\xfe" * 125), ENDED)),
        Case("2 a ping of 126 bytes is refused", frame(PING, b"\xfe" * 126), (("fail", 1002),)),
        Case("2 an unasked empty pong", frame(PONG) + END, (("pong", b""), ENDED)),
        Case("2 an unasked pong", frame(PONG, b"unasked") + END, (("pong", b"unasked"), ENDED)),
        Case(
            "2 an unasked pong, then a ping",
            frame(PONG, b"unasked") + frame(PING, b"asked") + END,
            (("pong", b"unasked"), ("ping", b"asked"), ENDED),
        ),
        Case(
            "2 ten pings",
            b"".join(frame(PING, payload) for payload in ten) + END,
            (*(("ping", payload) for payload in ten), ENDED),
        ),
    ]  # fmt: skip


def _reserved() -> list[Case]:
    cases = []
    for rsv in range(1, 8):
        for opcode, name in ((TEXT, "text"), (PING, "ping"), (CLOSE, "close"), (BINARY, "binary")):
            data = frame(TEXT, b"before") + frame(opcode, b"", rsv=rsv) + frame(PING, b"behind")
            cases.append(
                Case(
                    f"3 reserved bits {rsv} on {name}", data, (("text", b"before"), ("fail", 1002))
                )
            )
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        for payload in (b"", b"x"):
            data = frame(TEXT, b"before") + frame(opcode, payload) + frame(PING)
            cases.append(
                Case(
                    f"4 opcode {opcode} with {len(payload)} bytes means nothing",
                    data,
                    (("text", b"before"), ("fail", 1002)),
                )
            )
    return cases


def _fragmentation() -> list[Case]:
    two = frame(TEXT, b"fragment1", fin=False) + frame(0, b"fragment2")
    whole: Token = ("text", b"fragment1fragment2")
    ping = frame(PING, b"?")
    refused: Token = ("fail", 1002)
    return [
        Case("5 a ping in two fragments", frame(PING, b"a", fin=False) + frame(0, b"b"), (refused,)),
        Case("5 a pong in two fragments", frame(PONG, b"a", fin=False) + frame(0, b"b"), (refused,)),
        Case("5 a close in two fragments", frame(CLOSE, b"", fin=False) + frame(0, b""), (refused,)),
        Case("5 a text in two fragments", two + END, (whole, ENDED)),
        Case(
            "5 a ping between two fragments",
            frame(TEXT, b"fragment1", fin=False) + ping + frame(0, b"fragment2") + END,
            (("ping", b"?"), whole, ENDED),
        ),
        Case("5 a binary in fragments", fragments(b"\xff" * 9, 2, BINARY) + END, (("binary", b"\xff" * 9), ENDED)),
        Case("5 a continuation of nothing", frame(0, b"x") + frame(TEXT, b"y"), (refused,)),
        Case("5 an open continuation of nothing", frame(0, b"x", fin=False) + frame(TEXT, b"y"), (refused,)),
        Case("5 a continuation after the end", two + frame(0, b"x", fin=False) + ping, (whole, refused)),
        Case("5 a text within a text", frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"), (refused,)),
        Case("5 a binary within a text", frame(TEXT, b"a", fin=False) + frame(BINARY, b"b"), (refused,)),
        Case(
            "5 a ping after each of five fragments",
            fragments(b"abcde", 1, between=ping) + END,
            (*[("ping", b"?")] * 4, ("text", b"abcde"), ENDED),
        ),
    ]  # fmt: skip


VALID = {
    "no character": b"",
    "letters of all kinds": LETTERS,
    "Greek": "κόσμε".encode(),
    "the last of one byte": b"\x7f",
    "the first of two bytes": b"\xc2\x80",
    "the last of two bytes": b"\xdf\xbf",
    "the first of three bytes": b"\xe0\xa0\x80",
    "below the surrogates": b"\xed\x9f\xbf",
    "above the surrogates": b"\xee\x80\x80",
    "the replacement character": b"\xef\xbf\xbd",
    "a noncharacter": b"\xef\xbf\xbe",
    "the last of three bytes": b"\xef\xbf\xbf",
    "the first of four bytes": b"\xf0\x90\x80\x80",
    "the last of all": b"\xf4\x8f\xbf\xbf",
}

INVALID = {
    "a lone continuation byte": b"\x80",
    "two of them": b"\x80\xbf",
    "letters before and after": LETTERS + b"\xed\xa0\x80edited",
    "a lone first byte of two": b"\xc3 ",
    "a lone first byte of three": b"\xe0 ",
    "a lone first byte of four": b"\xf0 ",
    "half of three": b"\xe2\x82",
    "three of four": b"\xf0\x9f\x98",
    "the bytes that never occur": b"\xfe\xfe\xff\xff",
    "an overlong slash of two bytes": b"\xc0\xaf",
    "an overlong slash of three": b"\xe0\x80\xaf",
    "an overlong slash of four": b"\xf0\x80\x80\xaf",
    "a five byte sequence": b"\xf8\x88\x80\x80\x80",
    "an overlong NUL": b"\xc0\x80",
    "a high surrogate": b"\xed\xa0\x80",
    "a low surrogate": b"\xed\xbf\xbf",
    "a pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "behind the last": b"\xf4\x90\x80\x80",
}


def _texts() -> list[Case]:
    cases = []
    refused: Token = ("fail", 1007)
    for name, text in VALID.items():
        cases.append(Case(f"6 valid: {name}", frame(TEXT, text) + END, (("text", text), ENDED)))
        cases.append(
            Case(
                f"6 valid in single bytes: {name}",
                fragments(text, 1) + END,
                (("text", text), ENDED),
            )
        )
    for name, text in INVALID.items():
        cases.append(Case(f"6 invalid: {name}", frame(TEXT, text) + END, (refused,)))
        cases.append(
            Case(f"6 invalid in single bytes: {name}", fragments(text, 1) + END, (refused,))
        )
    begun = frame(TEXT, LETTERS + b"\xf4\x90", fin=False)
    cases += [
        Case("6 three empty fragments", frame(TEXT, b"", fin=False) + frame(0, b"", fin=False) + frame(0) + END,
             (("text", b""), ENDED)),
        Case("6 refused at the fragment, not at the end", begun, (refused,)),
        Case("6 refused in the middle of a frame", frame(TEXT, b"\xce\xba\xf4\x90" + b"x" * 90)[:20], (refused,)),
        Case(
            "6 refused in the middle of a continuation",
            frame(TEXT, b"\xe2", fin=False) + frame(0, b"\x82\x82\x82" + b"x" * 90)[:20],
            (refused,),
        ),
    ]  # fmt: skip
    return cases


def _closing() -> list[Case]:
    cases = [
        Case("7 a message, then the end", frame(TEXT, b"Hello") + END, (("text", b"Hello"), ENDED)),
        Case("7 two ends", END + close(1001), (ENDED,)),
        Case("7 a ping behind the end", END + frame(PING, b"?"), (ENDED,)),
        Case("7 a text behind the end", END + frame(TEXT, b"Hello"), (ENDED,)),
        Case("7 garbage behind the end", END + b"\xff\xff\xff\xff", (ENDED,)),
        Case("7 no UTF-8 behind the end", END + frame(TEXT, b"\xff"), (ENDED,)),
        Case("7 the end within a message", frame(TEXT, b"a", fin=False) + END + frame(0, b"b"), (ENDED,)),
        Case("7 an end without a code", frame(CLOSE), (("close", None),)),
        Case("7 half a code", frame(CLOSE, b"\x03"), (("fail", 1002),)),
        Case("7 an end with a reason", close(1000, b"Hello"), (ENDED,)),
        Case("7 the longest reason", close(1000, b"*" * 123), (ENDED,)),
        Case("7 a reason too long", close(1000, b"*" * 124), (("fail", 1002),)),
        Case("7 a reason that is no UTF-8", close(1000, b"\xce\xba\xed\xa0\x80"), (("fail", 1007),)),
    ]  # fmt: skip
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
        cases.append(Case(f"7 the code {code} may be sent", close(code), (("close", code),)))
    for code in (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535):
        cases.append(Case(f"7 the code {code} may not be sent", close(code), (("fail", 1002),)))
    return cases


def _limits() -> list[Case]:
    big = b"*" * MAX_BYTES
    too_big: Token = ("fail", 1009)
    refused: Token = ("fail", 1002)
    return [
        Case("9 the largest message in fragments", fragments(big, 4096) + END, (("text", big), ENDED)),
        Case("9 the largest binary in fragments", fragments(big, 1300, BINARY) + END, (("binary", big), ENDED)),
        Case("9 one byte more", frame(TEXT, big + b"*"), (too_big,)),
        Case("9 one byte more, in fragments", frame(TEXT, big, fin=False) + frame(0, b"*"), (too_big,)),
        Case("9 told from the header", b"\x81\xff" + struct.pack("!Q", 1 << 40) + MASK, (too_big,)),
        Case("10 an unmasked frame", b"\x81\x02hi", (refused,)),
        Case("10 an unmasked ping", b"\x89\x00", (refused,)),
        Case("10 a length of 5 in two bytes", b"\x81\xfe\x00\x05" + MASK + b"abcde", (refused,)),
        Case("10 a length of 125 in two bytes", b"\x82\xfe\x00\x7d" + MASK + b"x" * 125, (refused,)),
        Case("10 a length of 5 in eight bytes", b"\x81\xff" + struct.pack("!Q", 5) + MASK + b"abcde", (refused,)),
        Case("10 a length of 65535 in eight bytes", b"\x81\xff" + struct.pack("!Q", 65535) + MASK, (refused,)),
        Case("10 a length with its highest bit", b"\x81\xff" + struct.pack("!Q", 1 << 63) + MASK, (refused,)),
    ]  # fmt: skip


CASES = [
    *_framing(),
    *_pings(),
    *_reserved(),
    *_fragmentation(),
    *_texts(),
    *_closing(),
    *_limits(),
]
