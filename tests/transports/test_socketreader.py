"""What a WebSocket's frames may make wait, without a socket."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chatserver.core import framing
from chatserver.core.errors import (
    SIGNED_OUT,
    ChatError,
    Forbidden,
    InvalidField,
    RateLimited,
    Unavailable,
)
from chatserver.core.people import User
from chatserver.http.admission import Arrival
from chatserver.journal.contract import Answer, Appended
from chatserver.transports.talking import BAD_FRAMES_MAX, INBOX_FRAMES, SocketVerbs
from chatserver.transports.websocket import SocketReader
from tests.delivery.kit import LIMITS, Place, opened
from tests.store.kit import login
from tests.transports.kit import Paper


class Slow:
    """Messages whose place nobody learns before the test says so."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.refusal: ChatError | None = None
        """Why the next ones are refused, once somebody has been looked up."""

    def submit_now(self, user_id: str, fields: Any, answer: Answer) -> bool:
        if self.refusal is not None:
            return False
        self.answers.append(answer)
        return True

    async def submit(self, user_id: str, fields: Any, answer: Answer) -> None:
        await asyncio.sleep(0)
        if self.refusal is not None:
            raise self.refusal
        self.answers.append(answer)


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


TEXT = frame('{"type":"ping"}')
HEAD_OF_MANY = b"\x01" + TEXT[1:]
PING = b"\x89\x80" + bytes(4)


def visits(place: Place, reader: SocketReader, drip: bytes, until_s: float) -> None:
    """Let time pass, visit by visit; a second before each of them `drip` comes."""
    while reader.attached and place.now_s < until_s:
        in_s = reader.visit(place.now_s)
        if in_s is not None:
            place.now_s += max(in_s, 1.0)
            reader.receive_data(drip)


@pytest.mark.parametrize(
    ("head", "drip"),
    [
        (b"\x81\xfe\x10\x00" + bytes(4), b" "),  # 4,096 bytes to come
        (b"\x89\xfd", b" "),  # of a ping, which is a frame as others are
        (HEAD_OF_MANY, PING),
        (HEAD_OF_MANY, b"\x00\x81" + bytes(4) + b" "),
    ],
    ids=["frame", "control frame", "message among pings", "message of fragments"],
)
async def test_whoever_drips_and_never_finishes_is_ended_in_time(
    tmp_path: Path, head: bytes, drip: bytes
) -> None:
    async with opened(tmp_path) as place:
        reader, paper, _ = await joined(place)
        began_s = place.now_s
        reader.receive_data(head)
        visits(place, reader, drip, began_s + 3600)
        assert not reader.attached and paper.said == ["close_soon"]
        assert b"too slow" in paper.sent[-1]
        assert place.now_s - began_s <= LIMITS.heartbeat_s + LIMITS.body_s + 1


async def test_whoever_finishes_what_it_says_lives_however_it_is_cut(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        reader, _, _ = await joined(place)
        reader.receive_data(TEXT[:3])
        # The end of one and the beginning of the next, each time.
        visits(place, reader, TEXT[3:] + TEXT[:3], place.now_s + 300)
        assert reader.attached


async def test_while_we_do_not_listen_no_time_of_the_peers_passes(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        reader, _, slow = await joined(place)
        for number in range(INBOX_FRAMES - 1):
            reader.receive_data(frame(f'{{"type":"send","text":"{number}"}}'))
        reader.receive_data(SEND + HEAD_OF_MANY)
        visits(place, reader, b"", place.now_s + LIMITS.heartbeat_s)
        assert reader.attached and len(slow.answers) == INBOX_FRAMES
        assert reader._finish_in_s(place.now_s + 3600) == LIMITS.body_s


async def test_what_stands_behind_the_frame_that_ends_a_connection_is_not_read(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as place:
        reader, paper, slow = await joined(place)
        paper.sent.clear()
        reader.receive_data(frame("5") * BAD_FRAMES_MAX + SEND)
        assert len(refusals(paper)) == BAD_FRAMES_MAX and not slow.answers
        assert b"bad frames" in paper.sent[-1] and not reader.attached


async def test_what_waits_for_the_next_turn_of_a_connection_that_ends_before_is_not_read(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, replace(LIMITS, turn_frames=1)) as place:
        reader, _, slow = await joined(place)
        reader.receive_data(SEND * 40)
        heard = len(slow.answers)
        assert 0 < heard < 40
        reader.end(SIGNED_OUT)
        await turns()
        assert len(slow.answers) == heard


SEND = frame('{"type":"send","text":"hi","clientId":"c"}')


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def refusals(paper: Paper) -> list[tuple[str, Any]]:
    """The codes that were said, and of which message."""
    found = []
    for sent in paper.sent:
        if sent.startswith(b"\x81") and b'"type":"error"' in sent:
            item = json.loads(sent[sent.index(b"{") :])
            found.append((item["code"], item.get("clientId")))
    return found


async def test_a_message_that_cannot_be_kept_is_refused_by_its_id_and_none_is_under_way(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as place:
        reader, paper, slow = await joined(place)
        reader.receive_data(SEND)
        slow.answers.pop()(Unavailable("The server cannot save messages at the moment.", 1.0))
        slow.refusal = Forbidden("You can write to friends only.")
        reader.receive_data(SEND)
        await turns()
        assert refusals(paper) == [("unavailable", "c"), ("forbidden", "c")]
        assert reader._unanswered == 0 and reader.attached


async def test_a_client_that_hears_nothing_of_a_refused_rate_is_ended(tmp_path: Path) -> None:
    async with opened(tmp_path, replace(LIMITS, refusals=3)) as place:
        reader, paper, slow = await joined(place)
        slow.refusal = RateLimited("You are writing too fast.", 1.0)
        for _ in range(3):
            reader.receive_data(SEND)
            await turns()
        assert reader.attached and refusals(paper) == [("rate_limited", "c")] * 3
        place.now_s += 1.0
        reader.receive_data(SEND)
        await turns()
        assert reader.attached, "one a second is heard"
        reader.receive_data(SEND)
        await turns()
        assert not reader.attached and "close_soon" in paper.said


async def test_a_client_that_says_what_makes_no_sense_again_and_again_is_ended(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as place:
        reader, paper, slow = await joined(place)
        slow.refusal = InvalidField("text", "The text is empty.")
        for number in range(BAD_FRAMES_MAX):
            assert reader.attached
            reader.receive_data(SEND if number % 2 else frame('{"type":"nothing"}'))
            await turns()
        assert not reader.attached and len(refusals(paper)) == BAD_FRAMES_MAX


async def test_what_was_said_before_the_end_of_the_connection_is_answered_to_nobody(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as place:
        reader, paper, slow = await joined(place)
        reader.receive_data(SEND)
        slow.refusal = Forbidden("You can write to friends only.")
        reader.receive_data(SEND)
        reader.connection_lost()
        paper.sent.clear()
        slow.answers.pop()(Appended(1, 1, False))
        await turns()
        assert paper.sent == [] and "cork" not in paper.said


async def test_the_acknowledgement_of_a_repeat_leaves_though_no_event_follows(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as place:
        reader, _, slow = await joined(place)
        place.hub.flush()
        reader.receive_data(frame('{"type":"send","text":"x","clientId":"c"}'))
        assert not reader.dirty
        slow.answers.pop()(Appended(1, 1, True))
        assert reader.dirty
