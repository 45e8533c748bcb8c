"""What work costs, and who pays: token buckets."""

from __future__ import annotations


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
