"""The stream as an order: what is read of it, who makes it, and why it cannot be had; on a real nats-server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from chatserver.core.errors import Unavailable
from chatserver.core.events import Audience, Draft
from chatserver.journal import stream as module
from chatserver.journal.envelope import Subjects, encode
from chatserver.journal.nats_link import Access, NatsLink
from chatserver.journal.refusal import OrderRefused
from chatserver.journal.stream import Stream
from tests.support.nats_server import TOKEN, NatsServer


@asynccontextmanager
async def linked(server: NatsServer) -> AsyncIterator[NatsLink]:
    link = NatsLink([server.uri], "test", Access(token=TOKEN), wait_s=20)
    await link.connect()
    try:
        yield link
    finally:
        await link.close()


async def made(link: NatsLink, subjects: Subjects, **more: object) -> None:
    """A stream that somebody else has made."""
    config = {"name": subjects.stream, "subjects": subjects.all, **more}
    answer = await link.request(
        f"$JS.API.STREAM.CREATE.{subjects.stream}", json.dumps(config).encode()
    )
    assert "error" not in json.loads(answer.data)


async def test_an_event_is_read_at_its_place_and_nothing_where_none_is(nats: NatsServer) -> None:
    async with linked(nats) as link:
        stream = Stream(link, Subjects("ab01"))
        state = await stream.open(0, 1)
        assert await stream.newest_message() == 0
        assert await stream.newest() == state.last_seq == state.began_seq - 1
        draft = Draft("message", Audience.FRIENDS, "ann", None, {"text": "hi"})
        (body,) = encode([draft], "node", 7)
        stored = await link.request(stream.subjects.of_draft(draft), body)
        seq = json.loads(stored.data)["seq"]
        placed = await stream.at(seq)
        assert placed is not None and (placed.node, placed.number) == ("node", 7)
        assert (placed.event.seq, orjson.loads(placed.event.payload)["text"]) == (seq, "hi")
        assert await stream.at(seq + 1) is None
        assert await stream.newest() == await stream.newest_message() == seq == state.began_seq


async def test_of_nodes_that_make_it_at_once_one_makes_it_and_all_have_it(nats: NatsServer) -> None:
    async with linked(nats) as link:
        streams = [Stream(link, Subjects("ab02")) for _ in range(3)]
        states = await asyncio.gather(*(one.open(0, n) for n, one in enumerate(streams, 1)))
        assert len({state.began_seq for state in states}) == 1


async def test_a_stream_that_is_gone_while_it_is_asked_is_away_and_no_answer(
    nats: NatsServer,
) -> None:
    async with linked(nats) as link:
        stream = Stream(link, Subjects("ab03"))
        for asked in (
            stream.state(),
            stream.newest(),
            stream.at(5),
            stream.last_of("chat.ab03.e.x"),
        ):
            with pytest.raises(Unavailable):
                await asked


async def test_a_stream_of_a_newer_server_or_of_nobody_is_not_used(nats: NatsServer) -> None:
    async with linked(nats) as link:
        newer, plain, open_ = Subjects("ab04"), Subjects("ab05"), Subjects("ab06")
        about = {"chatserver": "999", "database": newer.database}
        await made(link, newer, metadata=about, allow_atomic=True)
        about = {"chatserver": module.VERSION, "database": plain.database}
        await made(link, plain, metadata=about)
        for subjects in (newer, plain):
            with pytest.raises(OrderRefused, match="made by a newer chatserver"):
                await Stream(link, subjects).open(0, 1)
        # One whose places begin at 1 takes the word by which rights are looked at.
        await made(link, open_)
        await link.request(open_.all[0].replace(">", "x"), b"first")
        with pytest.raises(OrderRefused, match="it is none of ours"):
            await Stream(link, open_).refuse_without_rights()


class Saying(NatsLink):
    """A link on which the API says this first: what no server of a test can be made to say."""

    def say(self, *answers: dict[str, Any] | Unavailable) -> None:
        self.answers = list(answers)

    async def request(self, subject: str, *rest: Any, **more: Any) -> Any:
        if not self.answers:
            return await super().request(subject, *rest, **more)
        answer = self.answers.pop(0)
        if isinstance(answer, Unavailable):
            raise answer
        return SimpleNamespace(data=orjson.dumps({"error": answer}))


NOT_YET = {
    "code": 503,
    "err_code": 10008,
    "description": "JetStream system temporarily unavailable",
}


async def test_what_passes_is_waited_for_and_what_does_not_is_a_sentence(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0.001)
    link = Saying([nats.uri], "test", Access(token=TOKEN), wait_s=20)
    await link.connect()
    try:
        stream = Stream(link, Subjects("ab07"))
        link.say({"code": 503, "err_code": 10039, "description": "not enabled for account"})
        with pytest.raises(OrderRefused, match="JetStream is off in NATS, or for this user"):
            await stream.open(0, 1)
        link.say({"code": 500, "err_code": 10049, "description": "of another kind"})
        with pytest.raises(OrderRefused, match="cannot be used .*of another kind"):
            await stream.open(0, 1)
        link.say(Unavailable("no answer"), NOT_YET, Unavailable("no answer"))
        assert (await stream.open(0, 1)).last_seq > 0 and link.answers == []
    finally:
        await link.close()
