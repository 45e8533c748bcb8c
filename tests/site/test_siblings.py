"""Several processes behind one port: `/readyz` and `/metrics` are those of the whole, whichever is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chatserver.core.histogram import Histogram
from chatserver.site import siblings
from chatserver.site.metrics import Metrics
from chatserver.site.siblings import STARTED, Siblings


class Process:
    """One of them, as the others see it."""

    def __init__(self, folder: Path, number: int, count: int) -> None:
        self.siblings = Siblings(folder, number, count)
        self.trouble: str | None = None
        self.metrics = Metrics()
        self.count = 10.0 * (number + 1)
        self.seconds = Histogram((0.1, 1.0))
        self.metrics.gauge("open", "Open.", lambda: self.count)
        self.metrics.gauge("head", "The newest.", lambda: self.count, max)
        self.metrics.gauge("accepting", "1 while so.", lambda: self.count, min)
        self.metrics.counters("ends", "Ends.", "reason", lambda: {f"only {number}": 1, "both": 2})
        self.metrics.histogram("wait_seconds", "Waits.", self.seconds)

    async def start(self) -> None:
        await self.siblings.start(lambda: self.trouble, self.metrics.numbers)

    async def page(self) -> list[str]:
        body, _ = self.metrics.page(await self.siblings.numbers())
        return body.decode().splitlines()


@asynccontextmanager
async def processes(folder: Path, count: int) -> AsyncIterator[list[Process]]:
    every = [Process(folder, number, count) for number in range(count)]
    for each in every:
        await each.start()
    (folder / STARTED).touch()
    try:
        yield every
    finally:
        for each in every:
            await each.siblings.close()


async def test_the_numbers_of_all_are_added_up_or_the_right_one_is_taken(tmp_path: Path) -> None:
    async with processes(tmp_path, 2) as (one, other):
        one.seconds.observe(0.05)
        other.seconds.observe(0.5)
        other.seconds.observe(5.0)
        lines = await one.page()
        assert set(lines) == set(await other.page())
        for line in (
            "chatserver_open 30.0",
            "chatserver_head 20.0",
            "chatserver_accepting 10.0",
            'chatserver_ends_total{reason="only 0"} 1.0',
            'chatserver_ends_total{reason="only 1"} 1.0',
            'chatserver_ends_total{reason="both"} 4.0',
            'chatserver_wait_seconds_bucket{le="0.1"} 1.0',
            'chatserver_wait_seconds_bucket{le="1.0"} 2.0',
            'chatserver_wait_seconds_bucket{le="+Inf"} 3.0',
        ):
            assert line in lines


async def test_ready_are_all_or_none(tmp_path: Path) -> None:
    async with processes(tmp_path, 3) as (one, other, third):
        assert await one.siblings.trouble() is None
        other.trouble = "The store cannot be used."
        assert await one.siblings.trouble() == await third.siblings.trouble() == other.trouble


async def test_not_ready_before_all_have_started_once(tmp_path: Path) -> None:
    async with processes(tmp_path, 2) as (one, _):
        (tmp_path / STARTED).unlink()
        assert await one.siblings.trouble() == "The server is starting."


async def test_one_that_has_died_and_is_being_replaced_does_not_count(tmp_path: Path) -> None:
    async with processes(tmp_path, 2) as (one, other):
        assert other.siblings._server is not None
        other.siblings._server.close()  # its socket stays behind, as after kill -9
        assert await one.siblings.trouble() is None
        assert "chatserver_open 10.0" in await one.page()
        await other.start()
        assert "chatserver_open 30.0" in await one.page()


async def test_one_that_does_not_answer_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(siblings, "PATIENCE_S", 0.05)

    async def says_nothing(reader: asyncio.StreamReader, writer: Any) -> None:
        await reader.read()
        writer.close()

    async with processes(tmp_path, 2) as (one, other):
        await other.siblings.close()
        silent = await asyncio.start_unix_server(says_nothing, tmp_path / "1.sock")
        assert await one.siblings.trouble() == "A process of the server does not answer."
        assert "chatserver_open 10.0" in await one.page()
        silent.close()
