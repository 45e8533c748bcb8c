"""Who decides again, and who has waited for too long to decide at all."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from chatserver.core.errors import Unavailable
from chatserver.journal.contract import Guard, Journal, Outrun
from chatserver.verbs.decisions import DECIDE_S, TRIES, decided


class _Guards:
    """A journal that only gives guards; `frozen_s` pass while it is asked for the one of this number."""

    def __init__(self, frozen_at: int = -1) -> None:
        self.given = 0
        self._frozen_at = frozen_at
        self.passed_s = 0.0

    async def guard(self, *user_ids: str) -> Guard:
        if self.given == self._frozen_at:
            self.passed_s += DECIDE_S + 1
        self.given += 1
        return Guard(("ann",), self.given)


async def test_who_was_outrun_decides_again_and_in_the_end_gives_up() -> None:
    journal, seen = _Guards(), list[int]()

    async def outrun_twice(guard: Guard) -> str:
        seen.append(guard.seq)
        if len(seen) < 3:
            raise Outrun
        return "done"

    assert await decided(cast(Journal, journal), outrun_twice, "ann") == "done"
    assert seen == [1, 2, 3]

    async def always(guard: Guard) -> None:
        raise Outrun

    with pytest.raises(Unavailable):
        await decided(cast(Journal, journal), always, "ann")
    assert journal.given == 3 + TRIES


@pytest.mark.parametrize("frozen_at", [0, 1])
async def test_what_was_asked_before_a_freeze_is_not_done_after_it(
    frozen_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = _Guards(frozen_at)
    loop: Any = asyncio.get_running_loop()
    now_s = loop.time
    monkeypatch.setattr(loop, "time", lambda: now_s() + journal.passed_s)
    decisions = 0

    async def decide(guard: Guard) -> None:
        nonlocal decisions
        decisions += 1
        raise Outrun

    with pytest.raises(Unavailable):
        await decided(cast(Journal, journal), decide, "ann")
    assert decisions == frozen_at
