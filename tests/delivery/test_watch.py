"""Whose socket has something to read is told so, for as long as it is watched."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable, Iterator

import pytest

from chatserver.delivery.watch import Watch


class Line:
    """One end of a connection, watched; `say` writes at the other. What comes is read and kept."""

    def __init__(self, watch: Watch) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.setblocking(False)
        self.watch = watch
        self.heard = b""
        self.news = asyncio.Event()
        self.then: Callable[[], None] = lambda: None

    def begin(self) -> None:
        self.watch.add(self.ours.fileno(), self)

    def end(self) -> None:
        self.watch.drop(self.ours.fileno())

    def readable(self) -> None:
        self.heard += self.ours.recv(100)
        self.news.set()
        self.then()

    async def hears(self, said: bytes) -> None:
        """Say this, and wait until it has come, too."""
        until = self.heard + said
        self.theirs.send(said)
        await self.has_heard(until)

    async def has_heard(self, everything: bytes) -> None:
        async with asyncio.timeout(30):
            while self.heard != everything:
                self.news.clear()
                await self.news.wait()

    def close(self) -> None:
        self.ours.close()
        self.theirs.close()


Lines = Callable[[Watch], Line]


@pytest.fixture
def line() -> Iterator[Lines]:
    made: list[Line] = []

    def make(watch: Watch) -> Line:
        made.append(Line(watch))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("epoll", [True, False], ids=["epoll", "a system without it"])
async def test_what_comes_is_told_until_it_is_watched_no_more(
    line: Lines, epoll: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not epoll:
        monkeypatch.delattr(select, "epoll")
    watch = Watch()
    one, other = line(watch), line(watch)
    for each in (one, other):
        each.begin()
    await one.hears(b"a")
    await one.hears(b"b")
    one.end()
    one.theirs.send(b"c")
    await other.hears(b"d")
    await other.hears(b"e")
    assert (one.heard, other.heard) == (b"ab", b"de")
    one.begin()
    await one.has_heard(b"abc")
    for each in (one, other):
        each.end()
    watch.close()


async def test_the_end_of_the_other_side_is_told(line: Lines) -> None:
    watch = Watch()
    one = line(watch)
    one.begin()
    one.then = one.end
    one.theirs.close()
    await asyncio.wait_for(one.news.wait(), 30)
    assert one.heard == b"" and len(watch) == 0
    watch.close()


async def test_who_is_dropped_by_another_of_the_same_turn_is_not_told(
    line: Lines, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Watch()
    lines = [line(watch) for _ in range(2)]
    for at, each in enumerate(lines):
        each.theirs.send(b"x")
        each.then = lines[1 - at].end
        each.begin()
    async with asyncio.timeout(30):
        await asyncio.wait(
            [asyncio.create_task(each.news.wait()) for each in lines],
            return_when=asyncio.FIRST_COMPLETED,
        )
    assert sorted(each.heard for each in lines) == [b"", b"x"] and len(watch) == 1
    assert caplog.messages == []
    watch.close()


async def test_a_socket_that_somebody_else_has_closed_is_dropped_all_the_same(line: Lines) -> None:
    watch = Watch()
    one, other = line(watch), line(watch)
    one.begin()
    other.begin()
    fd = one.ours.fileno()
    one.ours.close()
    watch.drop(fd)
    assert len(watch) == 1
    await other.hears(b"x")
    watch.close()


async def test_what_is_closed_tells_nobody_and_can_be_closed_again(line: Lines) -> None:
    watch, another = Watch(), Watch()
    one, other = line(watch), line(another)
    one.begin()
    other.begin()
    watch.close()
    watch.close()
    one.theirs.send(b"x")
    await other.hears(b"y")
    assert (one.heard, len(watch)) == (b"", 0)
    one.end()  # its connection ends a moment later
    again = Watch()  # of the descriptor that is free now
    one.watch = again
    one.begin()
    await one.has_heard(b"x")
    for each in (another, again):
        each.close()
