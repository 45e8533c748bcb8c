"""Where somebody wants to be called, and when not: subscriptions to Web Push, and the wishes of an account. Shapes and rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chatserver.core.errors import InvalidField
from chatserver.core.fields import Fields, an_id, integer

DAY_MINUTES = 24 * 60
MUTED_MAX = 1000
ZONE_CHARS = 64


@dataclass(frozen=True, slots=True)
class Subscription:
    """A browser that can be woken (W3C Push API): the address of its push service, and its keys as base64url.

    It is of one login, and ends with it.
    """

    endpoint: str
    user_id: str
    login_id: str
    p256dh: str
    auth: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Wishes:
    """What an account says of being called. Minutes are of the day in `zone` (an IANA name); equal ones: never quiet."""

    text: bool = False
    quiet_from: int = 0
    quiet_to: int = 0
    zone: str = ""
    muted: tuple[str, ...] = ()
    """Conversations, by the friend's id; '' for the broadcasts."""

    def is_quiet(self, minute: int) -> bool:
        """Whether nobody is to be called at this minute of the day."""
        if self.quiet_from <= self.quiet_to:
            return self.quiet_from <= minute < self.quiet_to
        return minute >= self.quiet_from or minute < self.quiet_to

    def as_fields(self) -> dict[str, Any]:
        """As it stands in answers, and as it is kept."""
        return {
            "text": self.text,
            "quietFrom": self.quiet_from,
            "quietTo": self.quiet_to,
            "zone": self.zone,
            "muted": list(self.muted),
        }


NO_WISHES = Wishes()


def wishes_of(fields: Fields, before: Wishes = NO_WISHES) -> Wishes:
    """`before`, with what is given. Raises `InvalidField`."""
    given = {name: value for name, value in fields.items() if value is not None}
    text = given.get("text", before.text)
    if not isinstance(text, bool):
        raise InvalidField("text", "It must be true or false.")
    begins = integer(given.get("quietFrom", before.quiet_from), "quietFrom", 0, DAY_MINUTES - 1)
    ends = integer(given.get("quietTo", before.quiet_to), "quietTo", 0, DAY_MINUTES - 1)
    zone = given.get("zone", before.zone)
    if not isinstance(zone, str) or len(zone) > ZONE_CHARS:
        raise InvalidField("zone", "It must be the name of a time zone.")
    return Wishes(text, begins, ends, zone, _muted(given.get("muted", list(before.muted))))


def _muted(given: object) -> tuple[str, ...]:
    if not isinstance(given, list) or len(given) > MUTED_MAX:
        raise InvalidField("muted", f"It must be a list of at most {MUTED_MAX} ids.")
    return tuple(dict.fromkeys("" if each == "" else an_id(each, "muted") for each in given))
