"""What a projector that was frozen writes late into MongoDB: steps of before, which must change nothing that came after."""

from __future__ import annotations

import pytest
from pymongo.errors import PyMongoError

from chatserver.core.changes import AccountEnd, BlockChange, Change, FriendChange
from chatserver.core.events import encode_event
from chatserver.journal.contract import Appended
from chatserver.journal.eventlog import Entry, InDoubt
from chatserver.store.mongo.changes import apply_change
from chatserver.store.mongo.projection import MongoProjection
from chatserver.store.mongo.store import MongoStore
from tests.store.kit import MongoHome, friend_draft, message

OWNER = 7
BLOCKED, LIFTED = BlockChange("ann", "bob", True), BlockChange("ann", "bob", False)
PARTED = FriendChange("ann", "bob", "none", block=True)


@pytest.fixture
def later(mongo: MongoHome) -> MongoStore:
    """A store of one of several servers, not started yet."""
    return MongoStore(mongo.uri, mongo.clock, wait_s=5, order="stream")


def entry(seq: int, change: Change | None, actor: str = "ann") -> Entry:
    draft = message(actor) if change is None else friend_draft(actor, "cho", "none", change)
    return Entry((encode_event(draft, seq, 1_800_000_000_000),), None)


@pytest.mark.parametrize(
    ("shown", "blocked"),
    [
        ([BLOCKED, LIFTED], False),
        ([PARTED, LIFTED], False),
        ([BLOCKED, LIFTED, BLOCKED], True),
        ([PARTED, LIFTED, PARTED], True),
    ],
)
async def test_what_is_written_late_neither_blocks_nor_lifts_a_block(
    later: MongoStore, shown: list[Change], blocked: bool
) -> None:
    await later.start()
    try:
        log = later.log
        assert isinstance(log, MongoProjection) and await log.take_lease(OWNER, None)
        await log.project([entry(5 + n, each) for n, each in enumerate(shown)], 9, OWNER)
        for late_by in range(len(shown)):
            # Each step again, as a holder of the lease does that was frozen behind its last look at it.
            await apply_change(log._db, shown[late_by], 5 + late_by, 5 + late_by)
            assert await later.blocked("ann", "bob") is blocked
            assert [
                user.id for user in await later.blocks("ann")
            ] == []  # of nobody there is an account
            assert await later.archive.count("blocks") == blocked
    finally:
        await later.close()


async def test_what_is_written_late_of_an_ended_account_goes_with_the_next_holder_of_the_lease(
    later: MongoStore,
) -> None:
    await later.start()
    try:
        log = later.log
        assert isinstance(log, MongoProjection) and await log.take_lease(OWNER, None)
        before = [entry(5, None), entry(6, FriendChange("bob", "ann", "asked"), "bob")]
        await log.project([*before, entry(7, AccountEnd("ann"))], 9, OWNER)
        for behind in (FriendChange("bob", "ann", "friend"), BlockChange("bob", "ann", True)):
            await log.project([entry(10, behind, "bob")], 10, OWNER)
        assert await later.relation("bob", "ann") == "none"
        assert not await later.blocked("bob", "ann")
        # The one before goes on in the middle of its batch.
        await log._insert(before)
        await apply_change(log._db, FriendChange("bob", "ann", "asked"), 6, 6)
        assert await _is_there(log, 5) and await later.relation("bob", "ann") != "none"
        await log.end_again()
        assert not await _is_there(log, 5) and await later.relation("bob", "ann") == "none"
    finally:
        await later.close()


async def _is_there(log: MongoProjection, seq: int) -> bool:
    return await log._db.one("events", {"seq": seq}) is not None


async def test_what_could_not_be_written_is_not_noted_as_shown(
    later: MongoStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next holder of the lease goes on where the note says."""
    await later.start()
    try:
        log = later.log
        assert await log.take_lease(OWNER, None)
        await log.project([entry(5, None)], 5, OWNER)

        async def fails(run: list[Entry]) -> list[Appended | None]:
            raise PyMongoError("gone in the middle")

        with monkeypatch.context() as broken:
            broken.setattr(log, "_project_run", fails)
            with pytest.raises(InDoubt):
                await log.project([entry(6, None)], 6, OWNER)
        assert await log.projected() == 5
        await log.project([entry(6, None)], 6, OWNER)
        assert await log.projected() == 6 and await later.archive.count("events") == 2
    finally:
        await later.close()
