"""How much of anything one client may have: the numbers, and the token bucket that enforces rates."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Every bound of the contract with its default. `chatserver.settings` makes each an option."""

    text_chars: int = 4000
    body_bytes: int = 64 * 1024
    """An HTTP body or a WebSocket message."""
    readers_per_user: int = 20
    """Streams and polling clients together; one more ends the oldest."""
    send_rate: float = 5.0
    """Messages a second and user, sustained."""
    send_burst: int = 20
    sign_in_failures_per_account: int = 5
    """A minute."""
    sign_in_failures_per_address: int = 20
    """A minute."""
    register_rate: float = 1.0
    """Registrations a second and address, sustained."""
    register_burst: int = 1000
    mailbox_events: int = 1000
    mailbox_bytes: int = 1024 * 1024
    mailbox_linger_s: float = 120.0
    """How long a mailbox is kept after its last reader left."""
    replay_events: int = 2000
    friends: int = 5000
    page_events: int = 200
    """The largest page of history; also what one page of a replay holds."""
    offline_grace_s: float = 10.0
    """A page reload must not flicker."""
    heartbeat_s: float = 25.0
    """Under the 30 to 60 s after which home routers and proxies cut a quiet connection."""
    silence_s: float = 20.0
    """A WebSocket peer that says nothing for so long past a ping is gone."""
    poll_wait_s: float = 25.0
    poll_wait_max_s: float = 55.0
    """Under the 60 s of nginx and of most load balancers."""
    stuck_s: float = 30.0
    """A stream whose kernel buffer takes no byte for so long is closed as too slow."""


class TokenBucket:
    """A rate with bursts: `take` succeeds while there are tokens, which come back at `rate` a second.

    Ref: the token bucket of RFC 2697 without its colours.
    """

    __slots__ = ("_at_s", "_tokens", "burst", "rate")

    def __init__(self, rate: float, burst: float, now_s: float) -> None:
        self.rate = rate
        self.burst = burst
        self._tokens = float(burst)
        self._at_s = now_s

    def _fill(self, now_s: float) -> float:
        # A clock that steps back gives nothing and takes nothing.
        passed_s = max(0.0, now_s - self._at_s)
        self._at_s = now_s
        self._tokens = min(self.burst, self._tokens + passed_s * self.rate)
        return self._tokens

    def take(self, now_s: float, tokens: float = 1.0) -> float:
        """Take `tokens`; return 0.0, or (taking nothing) the seconds until there will be enough."""
        have = self._fill(now_s)
        # A sum of fractions may fall short of a whole token by a rounding error.
        if have + 1e-9 >= tokens:
            self._tokens = have - tokens
            return 0.0
        return (tokens - have) / self.rate

    def wait_s(self, now_s: float, tokens: float = 1.0) -> float:
        """Seconds until `tokens` can be taken, without taking them."""
        return max(0.0, (tokens - 1e-9 - self._fill(now_s)) / self.rate)

    def give_back(self, tokens: float = 1.0) -> None:
        """Return what was taken for something that then did not count."""
        self._tokens = min(self.burst, self._tokens + tokens)

    def full_at_s(self) -> float:
        """When this bucket will be as good as a new one, and so may be forgotten."""
        return self._at_s + (self.burst - self._tokens) / self.rate


class Buckets:
    """A token bucket for each key, bounded: full ones are forgotten, and past `max_keys` the fullest too.

    Forgetting a bucket that is not full favours its key, so `max_keys` is far above what honest
    use reaches; an attacker with that many keys has no use for the favour.
    """

    def __init__(self, rate: float, burst: float, max_keys: int = 100_000) -> None:
        self._rate = rate
        self._burst = burst
        self._max_keys = max_keys
        self._buckets: dict[str, TokenBucket] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str, now_s: float, tokens: float = 1.0) -> float:
        """As `TokenBucket.take`, for this key."""
        bucket = self._buckets.get(key)
        return (bucket or self._new(key, now_s)).take(now_s, tokens)

    def wait_s(self, key: str, now_s: float, tokens: float = 1.0) -> float:
        """As `TokenBucket.wait_s`, for this key."""
        bucket = self._buckets.get(key)
        return 0.0 if bucket is None else bucket.wait_s(now_s, tokens)

    def give_back(self, key: str, tokens: float = 1.0) -> None:
        """As `TokenBucket.give_back`, for this key."""
        bucket = self._buckets.get(key)
        if bucket is not None:
            bucket.give_back(tokens)

    def forget(self, key: str) -> None:
        """The next use of `key` starts with a full bucket."""
        self._buckets.pop(key, None)

    def _new(self, key: str, now_s: float) -> TokenBucket:
        if len(self._buckets) >= self._max_keys:
            self._prune(now_s)
        bucket = self._buckets[key] = TokenBucket(self._rate, self._burst, now_s)
        return bucket

    def _prune(self, now_s: float) -> None:
        kept = {k: b for k, b in self._buckets.items() if b.full_at_s() > now_s}
        if len(kept) > self._max_keys * 3 // 4:
            emptiest = sorted(kept.items(), key=lambda item: -item[1].full_at_s())
            kept = dict(emptiest[: self._max_keys // 2])
        self._buckets = kept
