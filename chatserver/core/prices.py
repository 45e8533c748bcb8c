"""What work costs, and who pays: token buckets, the tills that take from them, and the payment that the journal asks for.

Nothing is appended without a `Payment`, and only a `Till` makes one, by taking from buckets (or `free_of_charge`, which says
why). So no verb can forget to let its user pay: it would have nothing to give to the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from chatserver.core.addresses import SITE_TIMES, site_of
from chatserver.core.errors import RateLimited


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
        passed_s = now_s - self._at_s
        self._at_s = now_s
        # Not by `max` and `min`: each frame and each message comes here, and they take four times as long.
        if passed_s > 0.0:
            tokens = self._tokens + passed_s * self.rate
            self._tokens = tokens if tokens < self.burst else self.burst
        return self._tokens

    def take(self, now_s: float, tokens: float = 1.0) -> float:
        """Take `tokens`; return 0.0, or (taking nothing) the seconds until there will be enough."""
        have = self._fill(now_s)
        # A sum of fractions may fall short of a whole token by a rounding error.
        if have + 1e-9 >= tokens:
            self._tokens = have - tokens
            return 0.0
        return (tokens - have) / self.rate

    def borrow(self, now_s: float, tokens: float, longest_s: float) -> float:
        """Take `tokens`, also before they are there; the seconds until they will be.

        More than `longest_s` seconds: it is too much, and nothing was taken.
        """
        left = self._fill(now_s) - tokens
        wait_s = max(0.0, (-1e-9 - left) / self.rate)
        if wait_s <= longest_s:
            self._tokens = left
        return wait_s

    def wait_s(self, now_s: float, tokens: float = 1.0) -> float:
        """Seconds until `tokens` can be taken, without taking them."""
        return max(0.0, (tokens - 1e-9 - self._fill(now_s)) / self.rate)

    def give_back(self, tokens: float = 1.0) -> None:
        """Return what was taken for something that then did not count."""
        self._tokens = min(self.burst, self._tokens + tokens)

    def owe(self, now_s: float, tokens: float) -> None:
        """Take `tokens` that somebody has had already, as far as a whole burst below nothing; negative ones come back."""
        self._tokens = max(-self.burst, min(self.burst, self._fill(now_s) - tokens))

    def full_at_s(self) -> float:
        """When this bucket will be as good as a new one, and so may be forgotten."""
        return self._at_s + (self.burst - self._tokens) / self.rate


LOOKED_AT = 1000
"""Buckets that are looked at in one turn where room is needed, in about 1 ms: all of 100,000 took 50 to 90."""


class Buckets:
    """A token bucket for each key, bounded: past `max_keys` full ones are forgotten, and some of the fuller ones too.

    Forgetting a bucket that is not full favours its key, so `max_keys` is far above what honest
    use reaches; an attacker with that many keys has no use for the favour. Not `metered`: nobody ever waits.
    """

    def __init__(
        self, rate: float, burst: float, max_keys: int = 100_000, metered: bool = True
    ) -> None:
        self._rate = rate
        self._burst = burst
        self._max_keys = max_keys
        self._metered = metered
        self._buckets: dict[str, TokenBucket] = {}
        self.on_taken: Callable[[str, float], None] | None = None
        """Hears of what was taken here, or (negative) given back, where others count the same."""

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str, now_s: float, tokens: float = 1.0) -> float:
        """As `TokenBucket.take`, for this key."""
        if not self._metered:
            return 0.0
        bucket = self._buckets.get(key)
        wait_s = (bucket or self._new(key, now_s)).take(now_s, tokens)
        if self.on_taken is not None and not wait_s:
            self.on_taken(key, tokens)
        return wait_s

    def borrow(self, key: str, now_s: float, tokens: float, longest_s: float) -> float:
        """As `TokenBucket.borrow`, for this key."""
        if not self._metered:
            return 0.0
        bucket = self._buckets.get(key)
        wait_s = (bucket or self._new(key, now_s)).borrow(now_s, tokens, longest_s)
        if self.on_taken is not None and wait_s <= longest_s:
            self.on_taken(key, tokens)
        return wait_s

    def wait_s(self, key: str, now_s: float, tokens: float = 1.0) -> float:
        """As `TokenBucket.wait_s`, for this key."""
        bucket = self._buckets.get(key)
        return 0.0 if bucket is None else bucket.wait_s(now_s, tokens)

    def give_back(self, key: str, tokens: float = 1.0) -> None:
        """As `TokenBucket.give_back`, for this key."""
        bucket = self._buckets.get(key)
        if bucket is not None:
            bucket.give_back(tokens)
            if self.on_taken is not None:
                self.on_taken(key, -tokens)

    def spent_elsewhere(self, key: str, now_s: float, tokens: float = 1.0) -> None:
        """As much was taken from this key's bucket at another node."""
        if self._metered:
            (self._buckets.get(key) or self._new(key, now_s)).owe(now_s, tokens)

    def forget(self, key: str) -> None:
        """The next use of `key` starts with a full bucket."""
        self._buckets.pop(key, None)

    def _new(self, key: str, now_s: float) -> TokenBucket:
        if len(self._buckets) >= self._max_keys:
            self._make_room(now_s)
        bucket = self._buckets[key] = TokenBucket(self._rate, self._burst, now_s)
        return bucket

    def _make_room(self, now_s: float) -> None:
        """Of some that stand first, forget the full ones, and at least the fuller half; the others stand last then."""
        buckets = self._buckets
        some = [(key, buckets.pop(key)) for key in list(islice(buckets, LOOKED_AT))]
        some.sort(key=lambda item: item[1].full_at_s())
        full = sum(bucket.full_at_s() <= now_s for _, bucket in some)
        buckets.update(some[max(full, (len(some) + 1) // 2) :])


class AddressBuckets(Buckets):
    """Buckets of addresses: what an IPv6 /64 takes, its site has to have as well, which has `SITE_TIMES` as much.

    Or whoever has a /48, which costs little, would have 65,536 buckets.
    """

    def __init__(
        self, rate: float, burst: float, max_keys: int = 100_000, metered: bool = True
    ) -> None:
        super().__init__(rate, burst, max_keys, metered)
        self._sites = Buckets(SITE_TIMES * rate, SITE_TIMES * burst, max_keys, metered)

    def take(self, key: str, now_s: float, tokens: float = 1.0) -> float:
        site = site_of(key)
        if site is None:
            return super().take(key, now_s, tokens)
        wait_s = self._sites.wait_s(site, now_s, tokens) or super().take(key, now_s, tokens)
        if not wait_s:
            self._sites.take(site, now_s, tokens)
        return wait_s

    def borrow(self, key: str, now_s: float, tokens: float, longest_s: float) -> float:
        site = site_of(key)
        if site is None:
            return super().borrow(key, now_s, tokens, longest_s)
        of_site_s = self._sites.wait_s(site, now_s, tokens)
        if of_site_s > longest_s:
            return of_site_s
        wait_s = super().borrow(key, now_s, tokens, longest_s)
        if wait_s <= longest_s:
            self._sites.borrow(site, now_s, tokens, longest_s)
        return max(wait_s, of_site_s)

    def wait_s(self, key: str, now_s: float, tokens: float = 1.0) -> float:
        wait_s, site = super().wait_s(key, now_s, tokens), site_of(key)
        return wait_s if site is None else max(wait_s, self._sites.wait_s(site, now_s, tokens))

    def give_back(self, key: str, tokens: float = 1.0) -> None:
        super().give_back(key, tokens)
        site = site_of(key)
        if site is not None:
            self._sites.give_back(site, tokens)

    def spent_elsewhere(self, key: str, now_s: float, tokens: float = 1.0) -> None:
        super().spent_elsewhere(key, now_s, tokens)
        site = site_of(key)
        if site is not None:
            self._sites.spent_elsewhere(site, now_s, tokens)


class Unpaid(TypeError):
    """Something was to be appended for which nobody has paid: a bug of ours, never a client's fault."""


_MINT = object()


class Payment:
    """That somebody has paid for one append. Only a `Till` and `free_of_charge` can make one; it is good for one."""

    __slots__ = ("_keys", "_spent", "_till")

    def __init__(self, mint: object, till: Till | None, keys: tuple[str, ...]) -> None:
        if mint is not _MINT:
            raise Unpaid("A payment is made by a till.")
        self._till = till
        self._keys = keys
        self._spent = False

    def give_back(self) -> None:
        """What was paid for has turned out to be nothing, such as a repeat. Once is enough."""
        till, self._till = self._till, None
        if till is not None:
            till.give_back(*self._keys)

    @staticmethod
    def collect(payment: Payment) -> None:
        """Take a payment, at the journal's entrance. Raises `Unpaid` for anything else, and for one that was taken before."""
        if type(payment) is not Payment:
            raise Unpaid(f"Nobody pays for this append: {type(payment).__name__} is no payment.")
        if payment._spent:
            raise Unpaid("This payment has paid for another append already.")
        payment._spent = True

    @staticmethod
    def hand_back(payment: Payment) -> None:
        """Undo `collect`: nothing was appended, and the payment is good as before."""
        payment._spent = False


def free_of_charge(reason: str) -> Payment:
    """For what nobody has to pay for, because the server itself does it, or because it was paid for before.

    `reason` says which; `tests/verbs/test_payments.py` keeps the list of them.
    """
    if not reason:
        raise Unpaid("Nothing is free without a reason.")
    return Payment(_MINT, None, ())


A_MOMENT_S = 0.001


class Till:
    """Where one kind of work is paid: from a bucket of each of its `buckets`, or not at all.

    `refusal` is the sentence for whoever cannot pay. `clock_s` is monotonic seconds.
    """

    def __init__(self, refusal: str, clock_s: Callable[[], float], *buckets: Buckets) -> None:
        self._refusal = refusal
        self._clock_s = clock_s
        self._buckets = buckets
        self._first = buckets[0]

    @property
    def buckets(self) -> Sequence[Buckets]:
        """What is paid from."""
        return self._buckets

    def offer(self, key: str) -> Payment | None:
        """A payment from the only bucket of `key`; None where there is not enough in it."""
        return None if self._first.take(key, self._clock_s()) else Payment(_MINT, self, (key,))

    def pay(self, *keys: str) -> Payment:
        """A payment from the buckets of `keys`, one key for each. Raises `RateLimited`, and nothing is taken then."""
        now_s = self._clock_s()
        pairs = list(zip(self._buckets, keys, strict=True))
        wait_s = max(bucket.wait_s(key, now_s) for bucket, key in pairs)
        if wait_s:
            raise RateLimited(self._refusal, wait_s)
        for bucket, key in pairs:
            bucket.take(key, now_s)
        return Payment(_MINT, self, keys)

    def spent_elsewhere(self, key: str) -> None:
        """`key` has paid at another node: there is as much less here."""
        self._first.spent_elsewhere(key, self._clock_s())

    def wait_s(self, key: str) -> float:
        """Seconds until the first bucket of `key` has enough."""
        return self._first.wait_s(key, self._clock_s())

    def refuse(self, key: str) -> RateLimited:
        """The refusal for `key`, which had nothing left in the first bucket. What has come meanwhile is for the next try."""
        return RateLimited(self._refusal, max(A_MOMENT_S, self.wait_s(key)))

    def give_back(self, *keys: str) -> None:
        """Return what was taken."""
        for bucket, key in zip(self._buckets, keys, strict=True):
            bucket.give_back(key)
