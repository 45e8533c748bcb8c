"""Subscriptions to Web Push and the wishes of accounts, in MongoDB."""

from __future__ import annotations

from typing import Any

from chatserver.core.alerts import Subscription
from chatserver.store.mongo.database import MongoPart

_FIELDS = ("user_id", "login_id", "p256dh", "auth", "created_at")


def subscription_document(one: Subscription) -> dict[str, Any]:
    """As it is kept."""
    return {"_id": one.endpoint, **{name: getattr(one, name) for name in _FIELDS}}


def subscription_of(doc: dict[str, Any]) -> Subscription:
    """What a document keeps."""
    return Subscription(doc["_id"], *(doc[name] for name in _FIELDS))


class MongoAlerts(MongoPart):
    """What a `MongoStore` keeps of being called."""

    async def add_subscription(self, subscription: Subscription, keep: int) -> bool:
        one = subscription
        async with self._db.answering():
            await self._db["subscriptions"].replace_one(
                {"_id": one.endpoint}, subscription_document(one), upsert=True
            )
        # Asked behind it: a login's end that has not come this far takes this subscription with it.
        login = await self._db.one("logins", {"_id": one.login_id, "user": one.user_id})
        if login is None:
            await self._db.remove("subscriptions", {"_id": one.endpoint})
            return False
        for old in (await self.subscriptions(one.user_id))[:-keep]:
            await self.drop_subscription(one.user_id, old.endpoint)
        return True

    async def subscriptions(self, user_id: str) -> list[Subscription]:
        docs = await self._db.all("subscriptions", {"user_id": user_id})
        found = [subscription_of(doc) for doc in docs]
        return sorted(found, key=lambda one: (one.created_at, one.endpoint))

    async def drop_subscription(self, user_id: str, endpoint: str) -> None:
        await self._db.remove("subscriptions", {"_id": endpoint, "user_id": user_id})

    async def subscribers(self) -> set[str]:
        docs = await self._db.all("subscriptions", {})
        return {str(doc["user_id"]) for doc in docs}

    async def wishes(self, user_id: str) -> str | None:
        doc = await self._db.one("wishes", {"_id": user_id})
        return None if doc is None else str(doc["wishes"])

    async def set_wishes(self, user_id: str, wishes: str) -> None:
        async with self._db.answering():
            await self._db["wishes"].replace_one(
                {"_id": user_id}, {"_id": user_id, "wishes": wishes}, upsert=True
            )
        # Asked behind it: the end of an account that has not come this far takes this with it.
        if await self._db.one("users", {"_id": user_id}, {"_id": 1}) is None:
            await self._db.remove("wishes", {"_id": user_id})
