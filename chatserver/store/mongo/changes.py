"""What an event changes in MongoDB: single-document steps that may be repeated, in any number.

There are no transactions. Each step is guarded by the seq of its event, so that a repetition, or an old
attempt that the server carries out late, changes nothing. An ended friendship and a lifted block stay as documents with
the seq of their end, for the same reason.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from pymongo import errors

from chatserver.core.changes import (
    AccountEnd,
    BlockChange,
    Change,
    FriendChange,
    LoginsEnd,
    PasswordChange,
    ProfileChange,
    ReadChange,
)
from chatserver.core.names import name_key, name_words
from chatserver.core.visibility import SEEN
from chatserver.store.archive import conversation_key
from chatserver.store.mongo.database import MongoDb
from chatserver.store.mongo.ranges import by_actor, compound
from chatserver.store.mongo.shapes import pair

_NONE = {"$exists": False}
"""Generation 0, as in a document of version 1 of the schema."""


async def apply_change(db: MongoDb, change: Change, seq: int, first_seq: int) -> None:
    """Do what the event at `seq` says; `first_seq` is where its append began."""
    match change:
        case FriendChange():
            await _friend(db, change, seq)
        case BlockChange():
            await _block(db, change.user_id, change.other, seq, lifted=not change.blocked)
        case ProfileChange():
            await _profile(db, change, seq)
        case ReadChange():
            await _read(db, change)
        case LoginsEnd():
            for login_id in change.login_ids:
                await db["logins"].delete_many({"_id": login_id, "user": change.user_id})
                await db["subscriptions"].delete_many(
                    {"login_id": login_id, "user_id": change.user_id}
                )
        case PasswordChange():
            await _password(db, change, seq)
        case AccountEnd():
            await end(db, change.user_id, first_seq)


async def upsert(collection: Any, where: dict[str, Any], update: dict[str, Any]) -> None:
    """Update the document that `where` says, or make it.

    Where there is one with this `_id` but the rest of `where` does not hold, nothing happens: MongoDB
    then tries to make it, and finds the `_id` taken.
    """
    with suppress(errors.DuplicateKeyError):
        await collection.update_one(where, update, upsert=True)


async def write_words(db: MongoDb, user_id: str, first_name: str, last_name: str) -> None:
    """Make a user findable by the words of this name. New ones first: there is no moment without any."""
    fresh = {compound(user_id, word): word for word in name_words(first_name, last_name)}
    for key, word in fresh.items():
        await upsert(db["words"], {"_id": key}, {"$set": {"word": word, "user": user_id}})
    for old in await db["words"].find({"user": user_id}, {"_id": 1}).to_list(None):
        if old["_id"] not in fresh:
            await db["words"].delete_many({"_id": old["_id"]})


async def _friend(db: MongoDb, change: FriendChange, seq: int) -> None:
    one, other = sorted((change.asker, change.other))
    key = {"_id": pair(one, other), "seq": {"$lt": seq}}
    place = {"a": one, "b": other, "seq": seq, "since": seq, "asker": change.asker}
    if change.relation == "none":
        await db["pairs"].update_one(key, {"$set": {"state": "none", "seq": seq}})
    elif change.relation == "asked":
        where = {**key, "state": "none"}
        await upsert(db["pairs"], where, {"$set": {**place, "state": "asked"}})
    elif change.relation == "friend":
        where = {**key, "state": {"$ne": "friend"}}
        await upsert(db["pairs"], where, {"$set": {**place, "state": "friend"}})
    else:
        raise ValueError(f"A friendship cannot become {change.relation!r}.")
    if change.block:
        await _block(db, change.asker, change.other, seq, lifted=False)


async def _block(db: MongoDb, by: str, user: str, seq: int, lifted: bool) -> None:
    """`by` blocks `user` from this seq on, or does so no more: then the document stays, as that of a friendship does."""
    key, blocks = compound(by, user), db["blocks"]
    update = {"$set": {"by": by, "user": user, "seq": seq, "lifted": lifted}}
    # One that an older version wrote, or that came from another store, is older than everything in the order.
    await blocks.update_one({"_id": key, "seq": _NONE}, update)
    await upsert(blocks, {"_id": key, "seq": {"$lt": seq}}, update)


async def _profile(db: MongoDb, change: ProfileChange, seq: int) -> None:
    first, last = change.first_name, change.last_name
    fields = {
        "first_name": first,
        "last_name": last,
        "name_key": name_key(first, last),
        "color": change.color,
        "seq": seq,
    }
    # At its own seq too: a repetition has to reach the words behind it.
    guard = {"_id": change.user_id, "seq": {"$lte": seq}}
    changed = await db["users"].update_one(guard, {"$set": fields})
    if changed.matched_count:
        await write_words(db, change.user_id, first, last)


async def _read(db: MongoDb, change: ReadChange) -> None:
    peer = conversation_key(change.conversation)
    await upsert(
        db["reads"],
        {"_id": compound(change.user_id, peer)},
        {"$set": {"user": change.user_id, "peer": peer}, "$max": {"up_to": change.up_to}},
    )


async def _password(db: MongoDb, change: PasswordChange, seq: int) -> None:
    user_id = change.user_id
    # The login that is kept first: so it is at no moment of an older generation than the account.
    kept = {"_id": change.kept, "user": user_id}
    await db["logins"].update_one(kept, {"$max": {"generation": seq}})
    for older in ({"$lt": seq}, _NONE):
        await db["users"].update_one(
            {"_id": user_id, "generation": older},
            {"$set": {"password": change.password, "generation": seq}},
        )
    await _end_older_logins(db, user_id, seq)
    await db["subscriptions"].delete_many({"user_id": user_id, "login_id": {"$ne": change.kept}})


async def _end_older_logins(db: MongoDb, user_id: str, generation: int) -> None:
    for older in ({"$lt": generation}, _NONE):
        await db["logins"].delete_many({"user": user_id, "generation": older})


async def end(db: MongoDb, user_id: str, first_seq: int) -> None:
    """The account goes, with what it did before `first_seq`."""
    await db["users"].delete_many({"_id": user_id})
    for collection, fields in (
        ("words", ("user",)),
        ("logins", ("user",)),
        ("subscriptions", ("user_id",)),
        ("wishes", ("_id",)),
        ("pairs", ("a", "b")),
        ("blocks", ("by", "user")),
        ("reads", ("user", "peer")),
        ("unread", ("_id",)),
        ("casts", ("_id",)),
        ("newest", ("_id",)),
    ):
        for field in fields:
            await db[collection].delete_many({field: user_id})
    for audience in SEEN:
        await db["events"].delete_many(by_actor(user_id, audience).between(0, first_seq))
    await db["events"].delete_many({"about": user_id, "seq": {"$lt": first_seq}})
