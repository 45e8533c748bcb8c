"""The collections of the MongoDB store: their indexes, and which version of them a database has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chatserver.store.contract import StoreRefused

SCHEMA = 2
"""2: accounts and logins have a generation; a document without one is of generation 0."""

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
    await db["meta"].update_one({"_id": "schema"}, {"$set": {"version": SCHEMA}})
