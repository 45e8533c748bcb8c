"""Mailboxes are opened once, at a place that this process has reached, and forgotten when nobody reads them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from chatserver.core.errors import Unavailable
from chatserver.core.hub import Hub
from chatserver.delivery.mailboxes import Mailboxes
from tests.delivery.kit import LIMITS, opened

LINGER_S = LIMITS.mailbox_linger_s


async def test_who_asks_at_once_gets_one_mailbox_that_is_opened_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        mailboxes = place.delivery.mailboxes
        assert mailboxes.known("ann") is None
        found = await asyncio.gather(*(mailboxes.open("ann") for _ in range(3)))
        assert len({id(one) for one in found}) == 1
        assert (mailboxes.opened, len(mailboxes)) == (1, 1)
        assert mailboxes.known("ann") is found[0] is await mailboxes.open("ann")


async def test_a_mailbox_begins_at_the_present_with_the_friends_of_now(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        since = await place.befriend("ann", "bob")
        await place.say("bob")
        mailbox = await place.delivery.mailboxes.open("ann")
        assert mailbox.friends == {"bob": since}
        assert (mailbox.floor_seq, mailbox.events) == (place.journal.head_seq, [])


class Friends:
    """A store whose answer is ahead of this process, comes when the test says, or does not come."""

    def __init__(self, at_seq: int, newest: int | None = None) -> None:
        self.at_seq = at_seq
        self.newest = at_seq if newest is None else newest
        self.error: Exception | None = None
        self.asked = 0

    async def friends_since(self, user_id: str) -> tuple[dict[str, int], int, int]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return {}, self.at_seq, self.newest


@pytest.mark.parametrize("at_seq", [None, 0], ids=["the whole answer", "one change in it"])
async def test_a_mailbox_is_opened_when_this_process_is_where_the_friends_were_read(
    tmp_path: Path, at_seq: int | None
) -> None:
    async with opened(tmp_path) as place:
        ahead = place.clock() * 1000
        friends = Friends(ahead if at_seq is None else at_seq, ahead)
        mailboxes = Mailboxes(place.hub, place.journal, friends, LINGER_S, lambda: place.now_s)
        opening = asyncio.create_task(mailboxes.open("ann"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not opening.done(), "the friends are from a place that is not here yet"
        await place.say("ann")
        assert (await opening).floor_seq >= ahead


async def test_a_store_that_cannot_be_read_is_asked_again_the_next_time(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        friends = Friends(0)
        friends.error = Unavailable("not now")
        mailboxes = Mailboxes(place.hub, place.journal, friends, LINGER_S, lambda: place.now_s)
        with pytest.raises(Unavailable):
            await mailboxes.open("ann")
        friends.error = None
        assert (await mailboxes.open("ann")).user_id == "ann"
        assert (friends.asked, mailboxes.opened) == (2, 1)


async def test_one_who_gives_up_waiting_does_not_stop_the_opening_for_the_others(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as place:
        mailboxes = place.delivery.mailboxes
        giving_up, waiting = (asyncio.create_task(mailboxes.open("ann")) for _ in range(2))
        await asyncio.sleep(0)
        giving_up.cancel()
        assert (await waiting).user_id == "ann"
        opening, giving_up, waiting = (asyncio.create_task(mailboxes.open("bob")) for _ in range(3))
        await asyncio.sleep(0)
        giving_up.cancel()
        assert await opening is await waiting


async def test_a_mailbox_is_forgotten_a_while_after_the_last_reader_left(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        mailboxes, readers = place.delivery.mailboxes, place.delivery.readers
        one, two = await place.reader("ann"), await place.reader("ann")
        mailboxes.hibernate(place.now_s + 10 * LINGER_S)
        assert len(mailboxes) == 1, "it is being read"
        readers.detach(one)
        mailboxes.hibernate(place.now_s + 10 * LINGER_S)
        assert len(mailboxes) == 1, "there is one reader left"
        readers.detach(two)
        mailboxes.hibernate(place.now_s + LINGER_S - 1)
        assert len(mailboxes) == 1
        mailboxes.hibernate(place.now_s + LINGER_S)
        assert len(mailboxes) == 0 and mailboxes.known("ann") is None


async def test_whoever_looks_at_a_mailbox_that_nobody_reads_keeps_it_a_while_longer(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as place:
        mailboxes = place.delivery.mailboxes
        await mailboxes.open("ann")
        place.now_s += LINGER_S - 1
        await mailboxes.open("ann")
        mailboxes.hibernate(place.now_s + 2)
        assert len(mailboxes) == 1
        mailboxes.hibernate(place.now_s + LINGER_S)
        assert len(mailboxes) == 0


async def test_a_forgotten_mailbox_is_in_no_index_of_who_hears_whom(tmp_path: Path) -> None:
    async with opened(tmp_path) as place:
        await place.befriend("ann", "bob")
        await place.delivery.mailboxes.open("ann")
        place.delivery.mailboxes.hibernate(place.now_s + LINGER_S)
        hub: Hub = place.hub
        assert list(hub.index.hearers("bob")) == [] and not hub.index._hearers


class NoFriends:
    async def friends_since(self, user_id: str) -> tuple[dict[str, int], int, int]:
        return {}, 0, 0

    async def caught_up(self, seq: int) -> None: ...


async def test_who_leaves_a_mailbox_that_is_forgotten_already_does_not_stop_the_clock() -> None:
    hub = Hub(0, 10, 10_000, lambda: None, lambda reader, error: None)
    nobody = NoFriends()
    mailboxes = Mailboxes(hub, cast(Any, nobody), nobody, 120.0, lambda: 0.0)
    mailbox = await mailboxes.open("ann")
    mailboxes.hibernate(121.0)
    assert len(mailboxes) == 0
    mailboxes.detach(mailbox)  # a poll without a name that was still being answered
    mailboxes.hibernate(242.0)
