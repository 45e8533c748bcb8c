"""Presence, token buckets, the timer wheel, and how events are encoded."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatserver.core.events import Audience, Draft, encode_event, encode_json
from chatserver.core.histogram import FanoutLag, Histogram
from chatserver.core.limits import Limits
from chatserver.core.presence import Presence
from chatserver.core.prices import LOOKED_AT, Buckets, TokenBucket
from chatserver.core.timers import TimerWheel


def test_a_page_reload_does_not_flicker() -> None:
    presence = Presence(grace_s=10)
    assert presence.stream_opened("ann")
    presence.stream_closed("ann", now_s=100)
    assert presence.expire(now_s=109) == []
    assert not presence.stream_opened("ann"), "was online all the time"
    assert presence.expire(now_s=200) == []
    assert presence.is_online("ann")


def test_offline_comes_once_when_the_grace_after_the_last_stream_is_over() -> None:
    presence = Presence(grace_s=10)
    presence.stream_opened("ann")
    presence.stream_opened("ann")
    presence.stream_closed("ann", now_s=100)
    assert presence.expire(now_s=150) == []
    presence.stream_closed("ann", now_s=160)
    assert presence.expire(now_s=169) == []
    assert presence.expire(now_s=170) == ["ann"]
    assert presence.expire(now_s=171) == []
    assert not presence.is_online("ann")


def test_a_poller_is_online_until_its_next_poll_was_due_and_the_grace_is_over() -> None:
    presence = Presence(grace_s=10)
    assert presence.polled("ann", now_s=0, hold_s=25)
    assert presence.expire(now_s=34) == []
    assert not presence.polled("ann", now_s=34, hold_s=0)
    assert presence.expire(now_s=35) == []
    assert presence.expire(now_s=44) == ["ann"]


def test_a_poll_never_shortens_the_grace_of_a_longer_one() -> None:
    presence = Presence(grace_s=10)
    presence.polled("ann", now_s=0, hold_s=50)
    presence.polled("ann", now_s=1, hold_s=0)
    assert presence.expire(now_s=59) == []


def test_the_end_of_a_stream_does_not_shorten_the_grace_of_a_poll() -> None:
    presence = Presence(grace_s=10)
    presence.polled("ann", now_s=0, hold_s=50)
    presence.stream_opened("ann")
    presence.stream_closed("ann", now_s=1)
    assert presence.expire(now_s=59) == []


def test_a_poll_that_ended_before_its_time_leaves_only_the_grace() -> None:
    presence = Presence(grace_s=10)
    presence.polled("ann", now_s=0, hold_s=25)
    presence.poll_ended("ann", until_s=12)
    assert presence.expire(now_s=11) == []
    assert presence.expire(now_s=12) == ["ann"]
    presence.poll_ended("ann", until_s=99)
    assert not presence.is_online("ann")


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(rate=5, burst=20, now_s=0)
    assert [bucket.take(0) for _ in range(20)] == [0.0] * 20
    assert bucket.take(0) == 0.2
    assert bucket.take(0.2) == 0.0
    bucket.give_back()
    assert bucket.take(0.2) == 0.0
    assert bucket.take(-100) > 0, "a clock that steps back gives nothing"


@given(st.lists(st.floats(0, 3), max_size=60), st.floats(0.5, 50), st.integers(1, 30))
def test_a_bucket_never_gives_more_than_burst_and_rate(
    gaps: list[float], rate: float, burst: int
) -> None:
    bucket, now, taken = TokenBucket(rate, burst, 0), 0.0, 0
    for gap in gaps:
        now += gap
        taken += bucket.take(now) == 0
        assert taken <= burst + rate * now + 0.01


def test_a_bucket_that_rested_for_long_gives_its_burst_and_no_more() -> None:
    bucket = TokenBucket(rate=5, burst=3, now_s=0)
    assert bucket.take(0, 3) == 0.0
    assert [bucket.take(1000) == 0.0 for _ in range(5)] == [True] * 3 + [False] * 2
    bucket.give_back(100)
    assert [bucket.take(1000) == 0.0 for _ in range(5)] == [True] * 3 + [False] * 2


def test_buckets_are_bounded_and_forget_the_full_ones_first() -> None:
    buckets = Buckets(rate=1, burst=2, max_keys=10)
    buckets.take("flooder", 0, 2)
    for at in range(1000):
        buckets.take(f"key {at}", at * 0.001)
        assert len(buckets) <= 10
    assert buckets.take("flooder", 0.1) > 0, "the emptiest are the last to be forgotten"


def test_asking_takes_nothing_and_a_key_can_be_forgotten() -> None:
    buckets = Buckets(rate=1, burst=2)
    buckets.give_back("ann")
    assert buckets.wait_s("ann", 0) == 0.0
    assert buckets.take("ann", 0, 2) == 0.0
    assert buckets.wait_s("ann", 0) == pytest.approx(1.0)
    buckets.give_back("ann")
    assert buckets.wait_s("ann", 0) == 0.0 and len(buckets) == 1
    assert buckets.take("ann", 0) == 0.0
    buckets.forget("ann")
    assert buckets.take("ann", 0, 2) == 0.0


def test_of_buckets_that_are_all_in_use_the_fullest_are_forgotten() -> None:
    buckets = Buckets(rate=0.001, burst=100, max_keys=8)
    for number in range(8):
        buckets.take(f"key {number}", 0, 10 + number)
    buckets.take("one more", 0)
    assert len(buckets) == 5
    assert buckets.wait_s("key 7", 0, 100) > buckets.wait_s("key 4", 0, 100) > 0
    assert buckets.wait_s("key 0", 0, 100) == 0.0, "as good as a new one"


def test_room_among_many_buckets_is_made_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of 100,000 in one turn stopped the loop for 50 to 90 ms."""
    buckets = Buckets(rate=1, burst=100, max_keys=5 * LOOKED_AT)
    for number in range(5 * LOOKED_AT):
        buckets.take(str(number), 0, 1 + number % 7)
    looks = itertools.count()
    full_at_s = TokenBucket.full_at_s
    monkeypatch.setattr(TokenBucket, "full_at_s", lambda one: (next(looks), full_at_s(one))[1])
    before = 0
    for number in range(10 * LOOKED_AT):
        buckets.take(f"more {number}", 0)
        looked_at = next(looks)
        assert looked_at - before <= 2 * LOOKED_AT + 1
        before = looked_at
        assert len(buckets) <= 5 * LOOKED_AT
    assert before <= 60 * LOOKED_AT, "what stays is not looked at again for each that comes"


def test_whoever_has_gone_for_good_is_offline_at_once() -> None:
    presence = Presence(10)
    assert not presence.drop("ann")
    presence.stream_opened("ann")
    presence.polled("bob", 0, 5)
    assert presence.online() == {"ann", "bob"}
    assert presence.drop("ann") and not presence.is_online("ann")
    assert presence.expire(1000) == ["bob"] and presence.online() == set()


def test_every_limit_is_a_bound_with_some_room() -> None:
    assert all(getattr(Limits(), name) > 0 for name in Limits.__dataclass_fields__)


def test_the_wheel_is_never_early_and_at_most_a_tick_late() -> None:
    wheel: TimerWheel[str] = TimerWheel(tick_s=1, now_s=1000)
    wheel.add("a", 1002.5)
    wheel.add("b", 999)
    assert wheel.advance(1000.9) == []
    assert wheel.advance(1001) == ["b"]
    assert wheel.advance(1002.4) == []
    assert wheel.advance(1003.5) == ["a"]


def test_the_wheel_forgets_what_has_ended() -> None:
    wheel: TimerWheel[str] = TimerWheel(tick_s=1, now_s=0)
    wheel.add("a", 5)
    wheel.add("b", 5)
    wheel.drop("a")
    wheel.drop("never added")
    assert wheel.advance(10) == ["b"]


def test_a_clock_that_jumps_ahead_visits_everything_once() -> None:
    wheel: TimerWheel[int] = TimerWheel(tick_s=1, now_s=0)
    for at in range(50):
        wheel.add(at, at)
    assert wheel.advance(1e9) == list(range(50))
    assert wheel.advance(2e9) == []


def test_an_event_is_one_line_whatever_was_typed() -> None:
    text = "a\r\nb\u2028c\u2029d </script> é 😀"
    draft = Draft("message", Audience.FRIENDS, "ann", None, {"text": text})
    event = encode_event(draft, 7, 8)
    assert json.loads(event.payload) == {"seq": 7, "type": "message", "at": 8, "text": text}
    assert len(event.payload.decode().splitlines()) == 1


def test_json_is_compact_utf8() -> None:
    assert encode_json({"a": "é", "b": [1, None]}) == '{"a":"é","b":[1,null]}'.encode()


def test_json_has_no_place_for_what_is_none() -> None:
    assert encode_json({"a": float("nan"), "b": "\u2028—\u2029"}) == (
        '{"a":null,"b":"\\u2028—\\u2029"}'.encode()
    )
    for value in ("\ud800", 2**64, {1: 2}, object()):
        with pytest.raises(TypeError):
            encode_json({"a": value})


def test_a_histogram_counts_a_value_at_the_first_bound_that_is_not_below_it() -> None:
    sizes = Histogram((1, 2, 5))
    for value in (0, 1, 1.5, 2, 5, 6, 100):
        sizes.observe(value)
    assert sizes.counts == [2, 2, 1, 2] and sizes.total == 115.5


def test_the_lag_of_a_fan_out_is_that_of_its_oldest_event_and_never_negative() -> None:
    lag = FanoutLag()
    lag.end(5_000)
    lag.begin(1_000)
    lag.begin(1_090)
    lag.end(1_100)
    lag.begin(9_000)
    lag.end(8_000)  # the clock was stepped back
    assert sum(lag.seconds.counts) == 2 and lag.seconds.total == pytest.approx(0.1)
