"""How the database is opened: the driver's limits, what the URI may say, and why it could not be."""

from __future__ import annotations

from typing import Any

from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import errors
from pymongo.uri_parser import parse_uri

from chatserver.store.contract import StoreRefused

DEFAULT_NAME = "chatserver"
"""The database where the URI names none."""
OPTIONS: dict[str, Any] = {
    "appname": "chatserver",
    "w": "majority",
    "wTimeoutMS": 5000,
    "serverSelectionTimeoutMS": 2000,
    "connectTimeoutMS": 5000,
    "socketTimeoutMS": 8000,
    "waitQueueTimeoutMS": 4000,
    "maxPoolSize": 32,
}
"""Everything ends in bounded time. The URI may say otherwise. `connectTimeoutMS` is also the driver's for its
own heartbeats: at 2000 a database that took 2 s for an answer was given up, connections and all."""

_REFUSED = {
    13: "grant it the readWrite role there",
    18: "check the name and the password in the URI",
    8000: "check the name and the password in the URI",
}
"""Codes of MongoDB about rights: Unauthorized, AuthenticationFailed, AtlasError."""


def connect(uri: str) -> Any:
    """A client for `uri`; it asks nothing yet. Raises `StoreRefused` where the URI makes no sense."""
    try:
        # The driver takes any word for a host name, and leaves a client behind where it does not.
        if uri.startswith("mongodb://"):
            parse_uri(uri)
        elif not uri.startswith("mongodb+srv://"):
            raise ValueError("it begins with neither mongodb:// nor mongodb+srv://")
        client: Any = AsyncIOMotorClient(uri, **_unless_in_uri(uri))
        client.get_default_database(DEFAULT_NAME)
        return client
    except (errors.PyMongoError, ValueError) as error:
        raise StoreRefused(
            f"The MongoDB URI cannot be used ({first_line(error)}):"
            " it looks like mongodb://host:27017/chatserver."
        ) from error


def _unless_in_uri(uri: str) -> dict[str, Any]:
    """Our options, but for those that the operator gave (MongoDB: option names ignore case)."""
    given = {part.partition("=")[0].lower() for part in uri.partition("?")[2].split("&")}
    return {name: value for name, value in OPTIONS.items() if name.lower() not in given}


def refusal(error: errors.PyMongoError) -> StoreRefused:
    """What the operator is to do about an error while it was opened."""
    code = getattr(error, "code", None)
    if code in _REFUSED:
        return StoreRefused(f"MongoDB refuses this user ({first_line(error)}): {_REFUSED[code]}.")
    return StoreRefused(
        f"MongoDB cannot be used ({first_line(error)}): start it, or correct the address in the URI."
    )


def first_line(error: Exception | None) -> str:
    """What an error says, without the driver's dump of the topology behind it."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text.split(", Timeout:")[0].split(", full error:")[0].split(" (configured timeouts")[0]
