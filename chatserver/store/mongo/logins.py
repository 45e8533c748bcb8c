"""Logins and tokens in MongoDB."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pymongo import errors

from chatserver.core.people import Login
from chatserver.store.mongo.database import MongoPart
from chatserver.store.mongo.shapes import generation_of, login_document, login_of, secret_key


class MongoLogins(MongoPart):
    """The logins and tokens of a `MongoStore`."""

    async def add_login(self, login: Login) -> bool:
        async with self._db.answering():
            await self._db["logins"].insert_one(login_document(login))
        # Asked behind it: a change of password that has not come this far takes this login with it.
        if await self._generation(login.user_id) == login.generation:
            return True
        await self._db.remove("logins", {"_id": login.id})
        return False

    async def login(self, login_id: str) -> Login | None:
        return await self._current({"_id": login_id})

    async def login_by_secret(self, secret_hash: bytes) -> Login | None:
        return await self._current({"secret": secret_key(secret_hash, "")})

    async def logins(self, user_id: str, kind: str) -> list[Login]:
        # The generation first: the other way round a login that is kept meanwhile would be missing.
        generation = await self._generation(user_id)
        docs = await self._db.all("logins", {"user": user_id})
        mine = [login_of(doc) for doc in docs if doc["kind"] == kind and _is_of(generation, doc)]
        return sorted(mine, key=lambda login: (-login.created_at, login.id))

    async def _current(self, where: dict[str, Any]) -> Login | None:
        doc = await self._db.one("logins", where)
        while doc is not None and not _is_of(await self._generation(doc["user"]), doc):
            # Or it was kept by a change of password that came in between: then it is of the new one now.
            old = generation_of(doc)
            doc = await self._db.one("logins", where)
            if doc is not None and generation_of(doc) == old:
                return None
        return None if doc is None else login_of(doc)

    async def _generation(self, user_id: str) -> int | None:
        """The account's, None where it is gone."""
        doc = await self._db.one("users", {"_id": user_id}, {"generation": 1})
        return None if doc is None else generation_of(doc)

    async def touch_logins(self, used: Mapping[str, int]) -> None:
        for login_id, at in used.items():
            await self._db.change("logins", {"_id": login_id}, {"$max": {"last_used_at": at}})

    async def drop_expired_logins(self, now_ms: int) -> None:
        await self._db.remove("logins", {"expires_at": {"$gt": 0, "$lte": now_ms}})


def _is_of(generation: int | None, doc: Mapping[str, Any]) -> bool:
    """Whether a login is of its account's generation.

    Above it counts too: a change of password reaches the login that it keeps first, and then the account.
    """
    return generation is not None and generation_of(doc) >= generation


class MongoSecrets(MongoPart):
    """The secrets of a `MongoStore`, by name: what all servers of one database must have alike. Each is ASCII text."""

    async def read(self, name: str) -> bytes | None:
        """The secret of this name, if there is one. Raises `Unavailable`."""
        doc = await self._db.one("meta", {"_id": f"secret {name}"})
        return None if doc is None else str(doc["value"]).encode()

    async def replace(self, name: str, seen: bytes | None, value: bytes) -> bool:
        """Keep `value` in the place of `seen` (None: of nothing); False where something else is there."""
        place = {"_id": f"secret {name}"}
        async with self._db.answering():
            meta = self._db["meta"]
            if seen is not None:
                found = await meta.update_one(
                    {**place, "value": seen.decode()}, {"$set": {"value": value.decode()}}
                )
                return bool(found.matched_count)
            try:
                await meta.insert_one({**place, "value": value.decode()})
            except errors.DuplicateKeyError:
                return False
            return True
