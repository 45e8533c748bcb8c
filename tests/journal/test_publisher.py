"""What is on its way into the stream is told to be there only by itself: answers, orders and repeats, without a server."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from nats.aio.msg import Msg

from chatserver.core.errors import Unavailable
from chatserver.core.events import Audience, Draft
from chatserver.journal.contract import Guard, Outrun
from chatserver.journal.envelope import Placed, Subjects, decode
from chatserver.journal.publisher import MAX_IN_FLIGHT, Publisher, Sending


class Link:
    """A connection that keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, str, dict[str, str]]] = []
        self.connected = True

    def publish(self, subject: str, data: bytes, reply: str, headers: dict[str, str]) -> bool:
        if self.connected:
            self.sent.append((subject, data, reply, headers))
        return self.connected


class Way:
    """A publisher, and what became of what."""

    def __init__(self) -> None:
        self.link = Link()
        link: Any = self.link
        self.repeated: list[tuple[int, Sending]] = []
        self.publisher = Publisher(
            link,
            Subjects("00"),
            "node",
            lambda *each: self.repeated.append(each),
            lambda: self.kept,
        )
        self.kept = True
        self.outcomes: dict[str, Any] = {}

    def send(
        self, name: str, actor: str = "ann", count: int = 1, guard: Guard | None = None
    ) -> Sending:
        drafts = [Draft("message", Audience.FRIENDS, actor, None, {"text": name})] * count

        def done(outcome: Any) -> None:
            assert name not in self.outcomes, "it is answered once"
            self.outcomes[name] = outcome

        sending = Sending(drafts, done, guard)
        self.publisher.prepare(sending)
        self.publisher.send(sending)
        return sending

    def texts(self) -> list[str]:
        return [orjson.loads(data.partition(b"\n")[2])["text"] for _, data, _, _ in self.link.sent]

    def come_back(self, sending: Sending, first_seq: int, parts: int | None = None) -> None:
        for index, body in enumerate(sending.bodies[:parts]):
            self.publisher.came_back(decode(body, first_seq + index, 7))

    def say(self, sending: Sending, **answer: Any) -> None:
        message: Any = Msg(None, f"inbox.{sending.number}", data=orjson.dumps(answer))  # type: ignore[arg-type]
        self.publisher._acknowledged(message)


def test_what_was_stored_is_answered_when_it_comes_back_and_not_before() -> None:
    way = Way()
    one = way.send("one", count=2)
    way.say(one, stream="CHAT", seq=5)
    assert way.outcomes == {}
    way.come_back(one, 5, parts=1)
    assert way.outcomes == {}
    way.come_back(one, 5)
    assert [each.seq for each in way.outcomes["one"]] == [5, 6] and way.publisher.idle


def test_what_comes_back_from_files_that_have_gone_is_not_acknowledged() -> None:
    """The stream has taken it in, and has nowhere to keep it."""
    way = Way()
    one, after = way.send("one", count=2), way.send("after")
    way.come_back(one, 5, parts=1)
    way.kept = False
    way.come_back(one, 5)
    assert isinstance(way.outcomes["one"], Unavailable)
    way.kept = True
    way.come_back(after, 7)
    assert [each.seq for each in way.outcomes["after"]] == [7] and way.publisher.idle


def test_of_one_actor_one_append_is_on_its_way_and_the_others_keep_their_order() -> None:
    way = Way()
    sent = [way.send(name) for name in ("first", "second", "third")]
    way.send("another's", actor="bob")
    assert way.texts() == ["first", "another's"]
    for sending, seq in zip(sent, (1, 2, 3), strict=True):
        way.come_back(sending, seq)
    assert way.texts() == ["first", "another's", "second", "third"]


def test_what_is_sent_again_has_the_same_id_and_a_batch_without_a_guard_goes_once() -> None:
    way = Way()
    way.send("one")
    way.send("two", actor="bob", count=2)
    way.send("guarded", actor="cho", count=2, guard=Guard(("cho",), 4))
    before = len(way.link.sent)
    way.publisher._send_again()
    again = way.link.sent[before:]
    assert [(data, headers) for _, data, _, headers in again[:1]] == [
        (data, headers) for _, data, _, headers in way.link.sent[:1]
    ]
    assert way.texts()[before:] == ["one", "guarded", "guarded"]
    first = again[1][3]
    assert first["Nats-Expected-Last-Subject-Sequence"] == "4"
    assert first["Nats-Batch-Id"] not in {
        h.get("Nats-Batch-Id") for *_, h in way.link.sent[:before]
    }


def test_what_the_connection_did_not_take_goes_when_there_is_one_again() -> None:
    way = Way()
    way.link.connected = False
    way.send("one", count=2)
    way.link.connected = True
    way.publisher._send_again()
    assert way.texts() == ["one", "one"]


def test_a_guard_that_was_passed_outruns_at_the_first_attempt_and_is_asked_for_at_a_later_one() -> (
    None
):
    way = Way()
    one = way.send("one", guard=Guard(("ann",), 4))
    way.say(one, error={"err_code": 10071, "code": 400})
    assert isinstance(way.outcomes["one"], Outrun)
    two = way.send("two", guard=Guard(("ann",), 4))
    way.publisher._send_again()
    way.say(two, error={"err_code": 10071, "code": 400})
    assert "two" not in way.outcomes and way.repeated == [(0, two)]


def test_a_repeat_is_asked_for_by_its_place_and_one_without_a_place_is_none() -> None:
    way = Way()
    one = way.send("one")
    way.say(one, duplicate=True, seq=0)
    assert way.repeated == [] and way.outcomes == {}
    way.say(one, duplicate=True, seq=9)
    assert way.repeated == [(9, one)] and way.outcomes == {}


def test_what_is_refused_for_good_is_told_and_what_may_pass_is_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    way = Way()
    one = way.send("one")
    for passing in ({"err_code": 10158, "code": 400}, {"err_code": 10023, "code": 503}):
        way.say(one, error=passing)
        assert way.outcomes == {}
    way.say(one, error={"err_code": 10054, "code": 400, "description": "too large"})
    assert isinstance(way.outcomes["one"], Unavailable)


def test_no_more_is_in_flight_than_the_stream_takes_in() -> None:
    way = Way()
    sent = [way.send(str(n), actor=f"u{n}") for n in range(MAX_IN_FLIGHT + 5)]
    assert len(way.link.sent) == MAX_IN_FLIGHT
    way.come_back(sent[0], 1)
    assert len(way.link.sent) == MAX_IN_FLIGHT + 1


def test_of_another_node_nothing_is_taken_for_its_own() -> None:
    way = Way()
    one = way.send("one")
    event = decode(one.bodies[0], 3, 7)
    other = Placed(event.event, None, "other", one.number, 0, 1)
    assert way.publisher.is_own(event, one) and not way.publisher.is_own(other, one)


async def test_what_is_on_its_way_at_the_end_is_told_that_it_is_not_known() -> None:
    way = Way()
    for name, actor in (("flying", "ann"), ("behind it", "ann"), ("another's", "bob")):
        way.send(name, actor=actor)
    await way.publisher.close()
    assert {name: type(each) for name, each in way.outcomes.items()} == {
        "flying": Unavailable,
        "behind it": Unavailable,
        "another's": Unavailable,
    }
    assert way.publisher.idle


def test_what_comes_back_twice_or_in_part_a_second_time_is_answered_once() -> None:
    way = Way()
    one = way.send("one", count=2)
    way.come_back(one, 5, parts=1)
    way.come_back(one, 5, parts=1)  # its first part again
    way.come_back(one, 5)
    way.come_back(one, 5)
    assert [each.seq for each in way.outcomes["one"]] == [5, 6]
    way.publisher.end(one, Outrun())
    assert isinstance(way.outcomes["one"], list) and way.publisher.idle


def test_who_fails_on_being_answered_keeps_nothing_of_the_actor_waiting(
    caplog: pytest.LogCaptureFixture,
) -> None:
    way = Way()
    one, two = way.send("one"), way.send("two")

    def fails(outcome: Any) -> None:
        raise RuntimeError("a mistake of ours")

    one.done = fails
    way.come_back(one, 1)
    way.come_back(two, 2)
    assert [each.seq for each in way.outcomes["two"]] == [2]
    assert caplog.text.count("somebody failed on being answered") == 1
    caplog.clear()


def test_a_batch_that_was_not_taken_as_a_whole_goes_again_under_another_name() -> None:
    way = Way()
    one = way.send("one", count=2)
    assert one.sent_s > 0
    way.say(one, error={"err_code": 10023, "code": 503})
    assert one.sent_s == 0.0 and way.outcomes == {}
    way.publisher._send_again()
    batches = [headers["Nats-Batch-Id"] for *_, headers in way.link.sent]
    assert len(set(batches[:2])) == len(set(batches[2:])) == 1 and batches[0] != batches[2]


def test_a_word_about_what_is_over_changes_nothing() -> None:
    way = Way()
    one = way.send("one")
    way.publisher._acknowledged(Msg(None, f"inbox.{one.number}", data=b""))  # type: ignore[arg-type]
    way.come_back(one, 1)
    way.say(one, error={"err_code": 10054, "code": 400})
    assert [each.seq for each in way.outcomes["one"]] == [1]
