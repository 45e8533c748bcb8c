"""What every verb costs, and which bucket pays: one row for each. The numbers are `core.limits`'."""

from __future__ import annotations

from collections.abc import Callable

from chatserver.core.limits import Limits
from chatserver.core.prices import AddressBuckets, Buckets, Till
from chatserver.verbs.turns import WAITING_MAX, Line, Turns

DAY_S = 86_400


class Prices:
    """The tills of one process, and the turns of its costly reads. `clock_s` is monotonic seconds."""

    def __init__(self, limits: Limits, clock_s: Callable[[], float]) -> None:
        self.limits = limits
        self.clock_s = clock_s
        self._add_what_people_write()
        self._add_who_comes_in()
        of_each = limits.reads_per_user if limits.meter else limits.reads_at_once
        waiting = limits.reads_waiting if limits.meter else WAITING_MAX
        line = Line(limits.reads_at_once, of_each, waiting, "You are asking for too much at once.")
        self.turns = Turns(limits.reads_at_once, line)
        """Of costly reads, by user."""

    def shared(self) -> dict[str, Buckets]:
        """The buckets that count for all nodes together, by name; of messages each node counts what it follows."""
        tills = {name: till for name, till in vars(self).items() if isinstance(till, Till)}
        del tills["sending"]
        return {
            f"{name} {number}": bucket
            for name, till in tills.items()
            for number, bucket in enumerate(till.buckets)
        }

    def _till(
        self, refusal: str, *rates: tuple[float, int], payers: type[Buckets] = Buckets
    ) -> Till:
        """A till with a bucket for each of `rates`: so much a second, so much at once."""
        meter = self.limits.meter
        buckets = [payers(rate, burst, metered=meter) for rate, burst in rates]
        return Till(refusal, self.clock_s, *buckets)

    def _add_what_people_write(self) -> None:
        """Each by user."""
        limits = self.limits
        sending = (limits.send_rate, limits.send_burst)
        self.sending = self._till("You are writing too fast.", sending)
        self.typing = self._till("You are typing too fast.", sending)
        self.requests = self._till(
            "You have asked for friendship too often: try again later.",
            (limits.request_rate, limits.request_burst),
            (limits.requests_per_day / DAY_S, limits.requests_per_day),
        )
        """By the pair of users (see `pair`), and by the one who asks."""
        self.relations = self._till(
            "You are changing your friendships too fast.",
            (limits.relation_rate, limits.relation_burst),
        )
        self.profiles = self._till(
            "You are changing your profile too often: try again later.",
            (limits.profile_per_minute / 60, limits.profile_burst),
        )
        # Enough for a hand at the settings; each is one row.
        self.alerts = self._till("You are changing your settings too fast.", (0.5, 30))
        self.reads = self._till("You are reading too fast.", (limits.read_rate, limits.read_burst))
        self.email_searches = self._till(
            "You are looking for too many email addresses: try again later.",
            (limits.email_search_rate, limits.email_search_burst),
        )

    def _add_who_comes_in(self) -> None:
        limits = self.limits
        logins = (limits.logins_per_minute / 60, limits.logins_burst)
        self.sign_ins = self._till("You have signed in too often: try again later.", logins)
        """By user, once the password was right: a stranger cannot use it up."""
        self.tokens = self._till("You have made too many tokens: try again later.", logins)
        """By user."""
        self.sign_in_tries = self._till(
            "Too many sign-ins come from this address: try again later.",
            (limits.sign_in_rate, limits.sign_in_burst),
            payers=AddressBuckets,
        )
        """By address, before anything is looked up."""
        self.registrations = self._till(
            "Too many registrations come from this address: try again later.",
            (limits.register_rate, limits.register_burst),
            payers=AddressBuckets,
        )
        """By address, before anything is looked at."""


def pair(user_id: str, other_id: str) -> str:
    """The key of what one user does to another."""
    return f"{user_id} {other_id}"
