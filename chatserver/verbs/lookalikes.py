"""Strangers whose names look like that of a friend are marked where people decide about strangers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from chatserver.core import vocabulary
from chatserver.core.lookalikes import skeletons
from chatserver.core.people import User

NAMES_A_TURN = 200
"""Names looked at before others have their turn: 7 us each where none is remembered."""


async def marked(
    strangers: Iterable[User], friends: Sequence[tuple[str, str]]
) -> list[dict[str, Any]]:
    """The `user` objects of `strangers`, `friends` by id and name; with `looksLike`, a friend's id, where a friend's name looks the same."""
    strangers = list(strangers)
    sought = {skeleton for stranger in strangers for skeleton in skeletons(stranger.name)}
    found: dict[str, str] = {}
    for at, friend in enumerate(friends if sought else ()):
        if at % NAMES_A_TURN == NAMES_A_TURN - 1:
            await asyncio.sleep(0)
        friend_id, name = friend
        for skeleton in sought & skeletons(name):
            found.setdefault(skeleton, friend_id)
    return [
        vocabulary.stranger(one, next((found[s] for s in skeletons(one.name) if s in found), None))
        for one in strangers
    ]
