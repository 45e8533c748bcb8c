"""What a WebSocket's frames may make wait, without a socket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from chatserver.core import framing
from chatserver.core.people import User
from chatserver.http.admission import Arrival
from chatserver.journal.contract import Answer, Appended
from chatserver.transports.talking import INBOX_FRAMES, SocketVerbs
from chatserver.transports.websocket import SocketReader
from tests.delivery.kit import Place, opened
from tests.store.kit import login
from tests.transports.kit import Paper


class Slow:
    """Messages whose place nobody learns before the test says so."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []

    def submit_now(self, user_id: str, fields: Any, answer: Answer) -> bool:
        self.answers.append(answer)
        return True


def frame(text: str) -> bytes:
    payload = text.encode()
    return bytes([0x81, 0x80 | len(payload)]) + bytes(4) + payload


ANN = User("ann", "ann", "", "#0000aa")


async def attached(place: Place) -> tuple[SocketReader, Paper, Slow]:
    """A WebSocket of Ann's before its greeting."""
    slow = Slow()
    verbs = SocketVerbs(slow, None)  # type: ignore[arg-type]
    arrival = Arrival(login("l", "ann"), ANN, None, "")
    mailbox = await place.delivery.mailboxes.open("ann")
    reader, paper = SocketReader(place.delivery, verbs, arrival, mailbox), Paper()
    reader.outlet = paper
    place.delivery.readers.attach(reader)
    return reader, paper, slow


async def joined(place: Place) -> tuple[SocketReader, Paper, Slow]:
    """A WebSocket of Ann's after its greeting."""
    reader, paper, slow = await attached(place)
    await reader.join(ANN, None)
    return reader, paper, slow


async def test_a_client_with_too_many_messages_under_way_is_not_read_until_half_are_answered(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as place:
        reader, paper, slow = await joined(place)
        for number in range(INBOX_FRAMES - 1):
            reader.receive_data(frame(f'{{"type":"send","text":"{number}"}}'))
        assert paper.said == []
        reader.receive_data(frame('{"type":"send","text":"one more"}'))
        assert paper.said == ["pause"]
        for answer in slow.answers[: INBOX_FRAMES // 2]:
            answer(Appended(1, 1, False))
        assert "resume" not in paper.said
        slow.answers[INBOX_FRAMES // 2](Appended(1, 1, False))
        assert "resume" in paper.said


async def test_frames_before_the_greeting_wait_and_their_number_is_bounded(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        reader, paper, _ = await attached(place)
        for _ in range(INBOX_FRAMES):
            reader.receive_data(frame('{"type":"ping"}'))
        assert paper.said == ["pause"] and paper.sent == []
        await reader.join(ANN, None)
        assert b"hello" in paper.sent[0]


async def test_what_makes_no_sense_is_refused_with_its_code(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        reader, paper, _ = await joined(place)
        paper.sent.clear()
        reader.receive_data(frame('{"type":5}'))
        said = json.loads(paper.sent[0][2:])
        assert (said["type"], said["code"]) == ("error", "bad_request")
        reader.receive_data(b"\x82\x80\0\0\0\0")
        assert b"Frames are text" in paper.sent[1]
        reader.receive_data(b"\x81\x05hello")
        assert paper.sent[-1][:1] == bytes([0x80 | framing.OP_CLOSE])
        assert paper.said == ["close_soon"] and not reader.attached
        reader.receive_data(frame('{"type":"ping"}'))
        assert paper.said == ["close_soon"], "what comes after the end does not count"
