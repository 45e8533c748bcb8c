"""A file of the database that is taken away under a running server: nothing is acknowledged that would be gone after it."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from chatserver.core.errors import Unavailable
from chatserver.store.sqlite import database as sqlite_db
from chatserver.store.sqlite import opening as sqlite_opening
from chatserver.store.sqlite.opening import FILE, LOCK, Displaced, OpenFiles
from tests.store.kit import SqliteHome, World, opened

NAMES = [FILE, f"{FILE}-wal", f"{FILE}-shm", LOCK]


def move(file: Path) -> Callable[[], object]:
    """Take it away; what brings it back."""
    elsewhere = file.with_name("elsewhere")
    file.rename(elsewhere)
    return lambda: elsewhere.rename(file)


def replace(file: Path) -> Callable[[], object]:
    """Put a copy into its place, as an editor and a careless restore do; what brings it back."""
    kept = file.with_name("kept")
    os.link(file, kept)
    shutil.copy(file, file.with_name("copy"))
    file.with_name("copy").rename(file)
    return lambda: kept.rename(file)


async def until_healthy(world: World, healthy: bool) -> None:
    async with asyncio.timeout(30):
        while world.store.healthy is not healthy:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("harm", [move, replace])
async def test_what_would_be_gone_after_a_restart_is_not_acknowledged(
    tmp_path: Path,
    name: str,
    harm: Callable[[Path], Callable[[], object]],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sqlite_db, "PROBE_S", 0.05)
    async with opened(SqliteHome(tmp_path)) as world:
        await world.say("ann", "before")
        back = harm(tmp_path / name)
        for _ in range(3):
            with pytest.raises(Unavailable):
                await world.say("ann", "lost", client_id="c")
        assert not world.store.healthy and not world.journal.healthy
        back()
        await until_healthy(world, True)
        assert not (await world.say("ann", "after", client_id="c")).duplicate
    async with opened(SqliteHome(tmp_path)) as world:
        assert await world.texts("ann") == ["before", "after"]
    lines = [each.getMessage() for each in caplog.records if each.name == "chatserver.store"]
    assert [str(tmp_path / name) in line for line in lines] == [True, False], lines


async def test_health_hears_of_a_file_that_has_gone_though_nobody_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite_db, "IDLE_S", 0.05)
    monkeypatch.setattr(sqlite_db, "PROBE_S", 0.05)
    async with opened(SqliteHome(tmp_path / "data")) as world:
        back = move(tmp_path / "data")
        await until_healthy(world, False)
        back()
        await until_healthy(world, True)
    assert "was deleted, moved or replaced" in caplog.text


async def test_a_connection_is_not_taken_to_another_file_than_the_writers(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(SqliteHome(tmp_path)) as world:
        db = world.store._db  # type: ignore[attr-defined]
        await world.join("ann")
        back = replace(tmp_path / FILE)
        reader = db._readers[0]
        reader.close()
        with pytest.raises(Displaced):
            reader.read(sqlite_db._look)
        back()
        reader.read(sqlite_db._look)


def test_a_change_that_the_folder_does_not_tell_is_seen_in_time(tmp_path: Path) -> None:
    """Two names that change within one tick of the disk's clock leave the folder with one time."""
    now_s = 0.0
    file = tmp_path / FILE
    file.touch()
    files = OpenFiles(tmp_path, [file], lambda: now_s)
    files.check()
    was = os.stat(tmp_path)
    file.unlink()
    os.utime(tmp_path, ns=(was.st_atime_ns, was.st_mtime_ns))
    files.check()
    now_s = sqlite_opening.CLOSELY_S
    with pytest.raises(Displaced, match="restore a backup"):
        files.check()
