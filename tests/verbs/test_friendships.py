"""Lists of thousands are made in slices: nobody else waits for the whole."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from chatserver.core.events import encode_json
from scripts.benchmark import seed
from tests.site.test_bounds import FRIENDS, fill
from tests.support.turns import without_collector
from tests.verbs.test_accounts import opened

TURN_S = 0.02


async def _longest_turn_s(ended: asyncio.Event) -> float:
    """The most CPU that this thread spent between two turns of this task."""
    longest_s, before_s = 0.0, time.thread_time()
    while not ended.is_set():
        await asyncio.sleep(0)
        now_s = time.thread_time()
        longest_s, before_s = max(longest_s, now_s - before_s), now_s
    return longest_s


async def test_a_list_of_five_thousand_friends_holds_no_turn_long(data: Path) -> None:
    fill(data)
    async with opened(data) as house:
        with without_collector():
            ended = asyncio.Event()
            watching = asyncio.create_task(_longest_turn_s(ended))
            found = await house.friendships.friends(seed.user_id(0))
            await asyncio.sleep(0)
            body = encode_json(found)
            await asyncio.sleep(0)
            ended.set()
            assert await watching < TURN_S
        assert len(found["friends"]) == FRIENDS and len(body) < 1_000_000
