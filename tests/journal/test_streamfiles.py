"""Files of a stream that are taken away under its running server: nothing is acknowledged that would be gone after it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chatserver.core.errors import Unavailable
from chatserver.journal import streamfiles
from chatserver.journal.streamfiles import StreamFiles
from tests.store.kit import SqliteHome
from tests.support.jetstream import node, world_of
from tests.support.nats_server import NatsServer

PARTS = ["data", "data/jetstream", "{stream}", "{stream}/msgs", "{stream}/msgs/*.blk"]
"""Each as a pattern that one file or folder fits."""


async def test_what_would_be_gone_after_a_restart_is_not_acknowledged(
    tmp_path: Path, own_nats: NatsServer, caplog: pytest.LogCaptureFixture
) -> None:
    home = SqliteHome(tmp_path / "home")
    async with node(home, own_nats.uri) as one:
        world = world_of(one, home.clock)
        await world.say("ann", "before")
        one.stream.files = StreamFiles(own_nats.folder / "data", one.stream.name)
        folder = f"data/jetstream/$G/streams/{one.stream.name}"
        for number, part in enumerate(PARTS):
            (where,) = own_nats.folder.glob(part.format(stream=folder))
            where.rename(tmp_path / "elsewhere")
            caplog.clear()
            for _ in range(2):
                with pytest.raises(Unavailable):
                    await world.say("ann", f"lost {number}", client_id=f"c{number}")
            assert not one.journal.healthy
            (tmp_path / "elsewhere").rename(where)
            assert one.journal.healthy
            again = await world.say("ann", f"after {number}", client_id=f"c{number}")
            assert not again.duplicate, "it had not been sent"
            lines = [each.getMessage() for each in caplog.records]
            assert ["was deleted" in line for line in lines] == [True, False], lines
        texts = await world.texts("ann")
    assert texts == ["before", *[f"after {number}" for number in range(len(PARTS))]]


def test_a_change_that_the_folder_does_not_tell_is_seen_in_time(tmp_path: Path) -> None:
    """Two names that change within one tick of the disk's clock leave the folder with one time."""
    now_s = 0.0
    messages = tmp_path / "jetstream" / "$G" / "streams" / "S" / "msgs"
    messages.mkdir(parents=True)
    (messages / "7.blk").touch()
    files = StreamFiles(tmp_path, "S", lambda: now_s)
    assert files.kept()
    was = os.stat(messages)
    (messages / "7.blk").rename(messages / "6.blk")
    os.utime(messages, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert files.kept()
    now_s = streamfiles.CLOSELY_S
    assert not files.kept()
    (messages / "8.blk").touch()
    assert files.kept(), "the server begins a new one, and drops old ones"
