"""What all readers share: the signals that wait for one are few, and its stages follow a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatserver.core import vocabulary
from chatserver.core.conversations import BROADCASTS
from chatserver.transports.reader import SIGNALS_KEPT, STAGES, Reader, Stage
from tests.delivery.kit import opened
from tests.transports.kit import stream


def befriend(reader: Reader, user_id: str) -> None:
    reader.mailbox.friends[user_id] = 1


async def test_what_waits_of_somebody_goes_with_the_friendship(tmp_path: Path) -> None:
    """Else a poll after the end, or a block, would say that the other is typing."""
    async with opened(tmp_path) as place:
        reader, _ = await stream(place, "ann")
        for who in ("bob", "cho"):
            befriend(reader, who)
            reader.offer(vocabulary.typing(who, BROADCASTS))
            reader.offer(vocabulary.presence(who, True, 1))
        reader.offer(vocabulary.ping(1))
        del reader.mailbox.friends["bob"]
        assert [signal.about for signal in reader.take_signals()] == ["cho", "cho", ""]


async def test_of_more_signals_than_may_wait_the_oldest_go(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        reader, paper = await stream(place, "ann")
        paper.waits = True
        for number in range(SIGNALS_KEPT + 10):
            befriend(reader, f"user{number}")
            reader.offer(vocabulary.typing(f"user{number}", BROADCASTS))
        about = [signal.about for signal in reader.take_signals()]
        assert about == [f"user{number}" for number in range(10, SIGNALS_KEPT + 10)]
        assert reader.take_signals() == []


async def test_a_stream_whose_peer_reads_is_told_of_all_who_come_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        reader, paper = await stream(place, "ann")
        before = len(paper.sent)
        for number in range(3 * SIGNALS_KEPT):
            befriend(reader, f"user{number}")
            reader.offer(vocabulary.presence(f"user{number}", True, 1))
        reader.flush()
        told = b"".join(paper.sent[before:])
        assert all(b'"user%d"' % number in told for number in range(3 * SIGNALS_KEPT))
        assert len(paper.sent) - before == 3


async def test_of_one_kind_about_one_user_only_the_newest_waits(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        reader, _ = await stream(place, "ann")
        old, new = (vocabulary.presence("bob", online, 1) for online in (True, False))
        befriend(reader, "bob")
        typing = vocabulary.typing("bob", BROADCASTS)
        for signal in (old, typing, new):
            reader.offer(signal)
        assert reader.take_signals() == [typing, new]


@pytest.mark.parametrize("before", Stage)
@pytest.mark.parametrize("after", Stage)
async def test_a_stage_follows_only_where_the_table_says_so(
    tmp_path: Path, before: Stage, after: Stage
) -> None:
    async with opened(tmp_path) as place:
        reader, _ = await stream(place, "ann")
        reader.stage = before
        if after in STAGES[before]:
            reader.enter(after)
            assert reader.stage is after
        else:
            with pytest.raises(RuntimeError):
                reader.enter(after)
            assert reader.stage is before
