"""The collections of the MongoDB store: their indexes, and which version of them a database has."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from pymongo import errors

from chatserver.core.names import given_names, words
from chatserver.store.contract import StoreRefused
from chatserver.store.mongo.ranges import compound

SCHEMA = 3
"""2: accounts and logins have a generation; a document without one is of generation 0.
3: the given name in a full name that was given as one is among the words of a name."""

# Fields, which of a compound index stand with a space between them, and options.
_INDEXES: dict[str, tuple[tuple[str, dict[str, Any]], ...]] = {
    "users": (("email_key", {"unique": True}),),
    "words": (("word", {}), ("user", {})),
    "pairs": (("a", {}), ("b", {})),
    "blocks": (("by", {}), ("user", {})),
    "logins": (("secret", {"unique": True}), ("user", {}), ("expires_at", {})),
    "subscriptions": (("user_id", {}), ("login_id", {})),
    "reads": (("user", {}), ("peer", {})),
    "events": (
        ("key", {"unique": True}),
        ("seq", {}),
        ("by", {}),
        ("cast", {}),
        ("actor cast", {}),
        ("sent", {}),
        ("talk", {}),
        ("about", {}),
        ("passing", {}),
    ),
}
_TTL_INDEX = ("expires", {"expireAfterSeconds": 0})
"""On events; only a net under the hourly job, which drops what has passed on every server."""


async def check_schema(db: Any, clock_ms: Callable[[], int]) -> int:
    """Note the version in a new database, or check it; the seq that every seq in it is above.

    Raises `StoreRefused` where the database belongs to another program, or to a newer version of this
    one; it is then left as it was.
    """
    schema = await db["meta"].find_one({"_id": "schema"})
    if schema is None:
        if await db.list_collection_names():
            raise StoreRefused(
                f"The database {db.name} was made by another program: name another one in the URI."
            )
        created_seq = clock_ms() * 1000 - 1
        schema = {"_id": "schema", "version": SCHEMA, "created_seq": created_seq}
        await db["meta"].insert_one(schema)
    if schema["version"] > SCHEMA:
        raise StoreRefused(
            f"The database {db.name} was made by a newer chatserver than this one:"
            " install that newer version."
        )
    return int(schema["created_seq"])


async def make_indexes(db: Any) -> None:
    """Make the indexes that are not there yet, and note that the database is of this version."""
    for collection, indexes in _INDEXES.items():
        for fields, options in indexes:
            keys = [(field, 1) for field in fields.split()]
            await db[collection].create_index(keys, **options)
    # nx-27017 looks for expired documents before each query: 90 ms a query at 60,000 events. MongoDB,
    # which names its storage engines, does it once a minute, aside.
    if (await db.command("buildInfo")).get("storageEngines"):
        field, options = _TTL_INDEX
        await db["events"].create_index([(field, 1)], **options)
    schema = await db["meta"].find_one({"_id": "schema"})
    if schema["version"] < 3:
        await _add_given_names(db)
    await db["meta"].update_one({"_id": "schema"}, {"$set": {"version": SCHEMA}})


async def _add_given_names(db: Any) -> None:
    """Step 3; may be repeated, and done by several servers at once."""
    async for user in db["users"].find({}, {"first_name": 1, "last_name": 1}):
        for own in words(f"{user['first_name']} {user['last_name']}"):
            for word in given_names(own):
                row = {"_id": compound(user["_id"], word), "word": word, "user": user["_id"]}
                with suppress(errors.DuplicateKeyError):
                    await db["words"].insert_one(row)
