"""Who is online: one rule for streams and polls, with a grace so that a page reload does not flicker."""

from __future__ import annotations

from collections.abc import Iterable


class Presence:
    """Online are users with a stream, and users whose grace is not over.

    The grace begins when the last stream ends, or when a polling client's next poll is due. Every time
    is seconds of one monotonic clock.
    """

    def __init__(self, grace_s: float) -> None:
        self.grace_s = grace_s
        self._here: dict[str, int] = {}
        """How many streams each has who is online; none of whoever polls, or is within the grace."""
        self._until_s: dict[str, float] = {}
        """When the grace ends of everyone who polls, or whose last stream has ended."""

    def stream_opened(self, user_id: str) -> bool:
        """Count a stream; True where this brings the user online."""
        came = not self.is_online(user_id)
        self._here[user_id] = self._here.get(user_id, 0) + 1
        return came

    def stream_closed(self, user_id: str, now_s: float) -> None:
        """Count a stream's end; with the last one the grace begins."""
        left = self._here[user_id] = max(0, self._here.get(user_id, 0) - 1)
        if not left:
            until_s = now_s + self.grace_s
            self._until_s[user_id] = max(until_s, self._until_s.get(user_id, until_s))

    def polled(self, user_id: str, now_s: float, hold_s: float) -> bool:
        """A poll that is held for `hold_s` seconds at the most came; True where it brings the user online."""
        until_s, before_s = now_s + hold_s + self.grace_s, self._until_s.get(user_id)
        came = False
        if before_s is None:  # whoever polls nearly always polled a moment ago
            came = not self.is_online(user_id)
            self._here.setdefault(user_id, 0)
        if before_s is None or until_s > before_s:
            self._until_s[user_id] = until_s
        return came

    def poll_ended(self, user_id: str, until_s: float) -> None:
        """A poll ended before its time; whatever else polls for this user keeps it online to `until_s`."""
        if user_id in self._until_s:
            self._until_s[user_id] = min(self._until_s[user_id], until_s)

    def expire(self, now_s: float) -> list[str]:
        """Those whose grace ended: told once, from then on offline."""
        over = [user_id for user_id, until_s in self._until_s.items() if until_s <= now_s]
        for user_id in over:
            del self._until_s[user_id]
        gone = [user_id for user_id in over if not self._here[user_id]]
        for user_id in gone:
            del self._here[user_id]
        return gone

    def drop(self, user_id: str) -> bool:
        """Forget a user at once (signed out everywhere, deleted); True where they were online."""
        was = self.is_online(user_id)
        self._here.pop(user_id, None)
        self._until_s.pop(user_id, None)
        return was

    def is_online(self, user_id: str) -> bool:
        """Whether the user counts as online, as of the last `expire`."""
        return user_id in self._here

    def online_of(self, users: Iterable[str]) -> list[str]:
        """Those of `users` who count as online."""
        return list(filter(self._here.__contains__, users))

    def online(self) -> set[str]:
        """Everyone who counts as online."""
        return set(self._here)
