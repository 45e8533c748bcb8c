"""Time zones by their IANA names: what an account may choose, and what time it is there."""

from __future__ import annotations

import datetime
import re
from functools import lru_cache
from zoneinfo import ZoneInfo

from chatserver.core.errors import InvalidField, Unavailable

ZONE_CHARS = 64
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+){0,3}")
"""What a name looks like; nothing else becomes the path of a file."""
_KEPT = 128
_NONE = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
"""There is none of this name, or a folder of zones."""


def zone(value: object) -> str:
    """A zone as an account keeps it; '' where none is chosen.

    Raises `InvalidField` where this machine knows none of that name, and `Unavailable` where it cannot look.
    """
    if not isinstance(value, str):
        raise InvalidField("zone", "The field zone must be a string.")
    if value and _zone(value) is None:
        raise InvalidField("zone", "There is no time zone of this name.")
    return value


def local_time(at_ms: int, name: str) -> datetime.datetime:
    """When that was by the clocks of a zone; by UTC where none is chosen, or this machine knows it no more.

    Raises `Unavailable` where it cannot look.
    """
    found = (_zone(name) if name else None) or datetime.UTC
    return datetime.datetime.fromtimestamp(at_ms / 1000, found)


@lru_cache(_KEPT)
def _zone(name: str) -> datetime.tzinfo | None:
    if len(name) > ZONE_CHARS or not _NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (*_NONE, ValueError, KeyError):
        return None
    except OSError as error:
        # No descriptor, no memory: what is said then must not be remembered.
        raise Unavailable("The server cannot look this up at the moment.", 1.0) from error


COMMON = (
    *("UTC", "Africa/Cairo", "Africa/Johannesburg", "Africa/Lagos", "Africa/Nairobi"),
    *("America/Bogota", "America/Chicago", "America/Denver", "America/Los_Angeles"),
    *(
        "America/Mexico_City",
        "America/New_York",
        "America/Sao_Paulo",
        "Asia/Dubai",
        "Asia/Hong_Kong",
    ),
    *("Asia/Jakarta", "Asia/Jerusalem", "Asia/Karachi", "Asia/Kathmandu", "Asia/Kolkata"),
    *("Asia/Seoul", "Asia/Shanghai", "Asia/Singapore", "Asia/Taipei", "Asia/Tehran", "Asia/Tokyo"),
    *("Australia/Sydney", "Europe/Berlin", "Europe/Istanbul", "Europe/London", "Europe/Madrid"),
    *("Europe/Moscow", "Europe/Paris", "Europe/Zurich", "Pacific/Auckland", "Pacific/Honolulu"),
)
"""Offered to choose from; any other may be written."""
