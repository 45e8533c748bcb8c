"""Who comes in, in MongoDB: for each the questions one after another. `$in` may be a scan there, and is not faster."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Mapping, Sequence

from chatserver.core.people import Newcomer
from chatserver.store.mongo.friendships import MongoFriendships
from chatserver.store.mongo.logins import MongoLogins
from chatserver.store.mongo.people import MongoPeople


class MongoNewcomers(MongoPeople, MongoFriendships, MongoLogins):
    """Who comes in to a `MongoStore`."""

    async def newcomers(
        self, login_ids: Sequence[str], secret_hashes: Sequence[bytes], here: Container[str]
    ) -> Mapping[str | bytes, Newcomer]:
        keys: list[str | bytes] = [*login_ids, *secret_hashes]
        found = await asyncio.gather(*(self._newcomer(key, here) for key in keys))
        return {key: one for key, one in zip(keys, found, strict=True) if one is not None}

    async def _newcomer(self, key: str | bytes, here: Container[str]) -> Newcomer | None:
        login = await (self.login_by_secret(key) if isinstance(key, bytes) else self.login(key))
        user = None if login is None else (await self.users((login.user_id,))).get(login.user_id)
        if login is None or user is None:
            return None
        if user.id in here:
            return Newcomer(login, user, None, (0, 0))
        friends, *seqs = await self.friends_since(user.id)
        return Newcomer(login, user, friends, (seqs[0], seqs[1]))
