"""One contract for all transports: the same events, byte-identical, resumed exactly, to whom they are for."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from tests.support.clients import (
    READERS,
    EventsReader,
    Person,
    PollReader,
    Reader,
    WebSocketReader,
)
from tests.support.process import ServerProcess
from tests.support.socketio_readers import SOCKETIO_READERS

BACKENDS = ("sqlite", "mongodb")
REPLAY = ("--mailbox-events", "100", "--replay-events", "400")
"""Less than by itself, so that a test of more than that writes few."""
OPTIONS = ("--socketio", *REPLAY)

STREAMS: list[type[Reader]] = [WebSocketReader, EventsReader, *SOCKETIO_READERS]
ALL = [*READERS, *SOCKETIO_READERS]
each_transport = pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
each_stream = pytest.mark.parametrize("kind", STREAMS, ids=lambda kind: kind.name)
each_waiting = pytest.mark.parametrize("kind", [*STREAMS, PollReader], ids=lambda kind: kind.name)


async def three(server: ServerProcess) -> tuple[Person, Person, Person]:
    """Ann, with the friends Bob and Cho, who are none of each other's."""
    ann, bob, cho = [await Person.register(server.url, name) for name in ("Ann", "Bob", "Cho")]
    await ann.befriend(bob)
    await ann.befriend(cho)
    return ann, bob, cho


async def head(person: Person) -> int:
    return int((await person.http.get("/api/friends")).json()["seq"])


async def parked(person: Person) -> None:
    """Return when a poll waits on the server."""
    async with asyncio.timeout(30):
        while "chatserver_polls_waiting 1.0" not in (await person.http.get("/metrics")).text:
            await asyncio.sleep(0)


async def fence(ann: Person) -> str:
    """A message of Ann's: once a friend has it, everything before it has arrived or never will."""
    text = f"fence {id(object())}"
    await ann.send(text)
    return text


async def texts_up_to(reader: Reader, last: str) -> list[str]:
    texts: list[str] = []
    while last not in texts:
        event = json.loads(await reader.next_event())
        texts.append(event.get("text", event["type"]))
    return texts


@each_transport
async def test_the_same_bytes_come_over_every_transport(
    server: ServerProcess, kind: type[Reader]
) -> None:
    ann, bob, _ = await three(server)
    start = await head(bob)
    for text in ("hello", "Grüße \u2028 😀", "two\nlines", '"quoted" </script>'):
        await ann.send(text)
    history = await bob.http.get("/api/messages", params={"after": start})
    expected = history.json()["messages"]
    reader = kind(server.url, bob.token)
    await reader.connect(start)
    for message in expected:
        payload = await reader.next_event()
        assert json.loads(payload) == message
        assert payload in history.content, "byte for byte as in the history"
    await reader.drop()


@each_transport
async def test_a_reader_resumes_after_its_cursor_exactly(
    server: ServerProcess, kind: type[Reader]
) -> None:
    ann, bob, _ = await three(server)
    reader = kind(server.url, bob.token)
    await reader.connect(await head(bob))
    await ann.send("first")
    assert json.loads(await reader.next_event())["text"] == "first"
    cursor = reader.cursor
    await reader.drop()
    await ann.send("second")
    await ann.send("third")
    again = kind(server.url, bob.token)
    await again.connect(cursor)
    assert await texts_up_to(again, "third") == ["second", "third"]
    await again.drop()


@each_transport
async def test_without_a_cursor_a_reader_starts_at_the_present(
    server: ServerProcess, kind: type[Reader]
) -> None:
    ann, bob, _ = await three(server)
    await ann.send("past")
    reader = kind(server.url, bob.token)
    await reader.connect()
    assert reader.cursor is not None and reader.cursor > 0
    await ann.send("present")
    assert await texts_up_to(reader, "present") == ["present"]
    await reader.drop()


@each_transport
async def test_from_zero_a_reader_gets_everything(
    server: ServerProcess, kind: type[Reader]
) -> None:
    ann, bob, _ = await three(server)
    await ann.send("one")
    await ann.send("two")
    reader = kind(server.url, bob.token)
    await reader.connect(0)
    # Asked, befriended, and the messages.
    assert await texts_up_to(reader, "two") == ["friend", "friend", "one", "two"]
    await reader.drop()


@each_transport
async def test_a_message_goes_to_friends_and_to_nobody_else(
    server: ServerProcess, kind: type[Reader]
) -> None:
    ann, bob, cho = await three(server)
    starts = await head(ann)
    readers = [kind(server.url, person.token) for person in (ann, bob, cho)]
    for reader in readers:
        await reader.connect(starts)
    await bob.send("from Bob to his friends")
    await ann.send("for Cho alone", to=cho)
    last = await fence(ann)
    seen = [await texts_up_to(reader, last) for reader in readers]
    assert seen[0] == ["from Bob to his friends", "for Cho alone", last], "own ones are echoed"
    assert seen[1] == ["from Bob to his friends", last]
    assert seen[2] == ["for Cho alone", last]
    for reader in readers:
        await reader.drop()


@each_waiting
async def test_a_change_of_friendship_acts_on_an_open_connection_at_its_place_in_the_order(
    server: ServerProcess, kind: type[Reader]
) -> None:
    ann, bob, cho = await three(server)
    reader = kind(server.url, bob.token, client="bob")
    await reader.connect(await head(bob))
    reading = asyncio.create_task(texts_up_to(reader, "the end"))
    if kind is PollReader:
        await parked(bob)
    await cho.send("not friends yet")
    await bob.befriend(cho)
    await cho.send("friends now")
    await cho.unfriend(bob)
    await cho.send("friends no more")
    await ann.send("the end")
    assert await reading == ["friend", "friend", "friends now", "friend", "the end"]


@each_transport
async def test_after_the_end_of_a_friendship_replay_and_history_show_nothing_of_the_other(
    server: ServerProcess, kind: type[Reader]
) -> None:
    ann, bob, cho = await three(server)
    start = await head(bob)
    await ann.send("of a friend")
    await ann.unfriend(bob)
    await bob.befriend(cho)
    await cho.send("of another friend")
    reader = kind(server.url, bob.token)
    await reader.connect(start)
    seen = await texts_up_to(reader, "of another friend")
    assert seen == ["friend", "friend", "friend", "of another friend"]
    history = (await bob.http.get("/api/messages")).json()["messages"]
    assert [message["text"] for message in history] == ["of another friend"]
    await reader.drop()


@each_stream
async def test_signing_out_ends_open_streams_at_once(
    server: ServerProcess, kind: type[Reader]
) -> None:
    _, bob, _ = await three(server)
    reader = kind(server.url, bob.token)
    await reader.connect()
    assert (await bob.http.post("/api/logout", json={})).status_code == 204
    bye = await reader.next_signal("bye")
    assert bye["reason"] == "signed out" and bye["retry"] is False
    with pytest.raises(Exception):  # noqa: B017 - each transport ends in its own way
        await asyncio.wait_for(reader.receive(), 30)


@each_stream
async def test_a_stream_ends_within_five_seconds_of_its_logins_expiry(
    server: ServerProcess, kind: type[Reader]
) -> None:
    _, bob, _ = await three(server)
    body = {"label": "short", "expiresIn": 1}
    token = (await bob.http.post("/api/tokens", json=body)).json()["token"]
    reader = kind(server.url, token)
    await reader.connect()
    bye = await asyncio.wait_for(reader.next_signal("bye"), 6)
    assert bye["reason"] == "session expired" and bye["retry"] is False


@each_stream
async def test_changing_the_password_ends_the_streams_of_tokens(
    server: ServerProcess, kind: type[Reader]
) -> None:
    _, bob, _ = await three(server)
    reader = kind(server.url, bob.token)
    await reader.connect()
    await bob.http.patch(
        "/api/me", json={"password": "a new password", "currentPassword": "correct horse"}
    )
    assert (await reader.next_signal("bye"))["reason"] == "signed out"


@each_transport
async def test_more_than_a_replay_holds_is_a_reset_and_not_a_part(
    server: ServerProcess, kind: type[Reader]
) -> None:
    ann, bob, _ = await three(server)
    start = await head(bob)
    socket = WebSocketReader(server.url, ann.token)
    await socket.connect()
    for number in range(450):
        await socket.say(type="send", text=f"{number}", clientId=f"{number}")
    while json.loads(await socket.next_event()).get("text") != "449":
        pass
    reader = kind(server.url, bob.token)
    await reader.connect(start)
    reset = json.loads(await reader.next_event())
    assert reset["type"] == "reset" and reset["reason"] == "too much missed"
    # What is left below the mailbox is read page by page, and then goes on with what the mailbox holds.
    recent = kind(server.url, bob.token)
    page = (await bob.http.get("/api/messages", params={"limit": 200})).json()["messages"]
    await recent.connect(page[0]["seq"])
    seen = await texts_up_to(recent, "449")
    assert seen == [f"{number}" for number in range(251, 450)]


async def test_signing_out_answers_a_waiting_poll_at_once(server: ServerProcess) -> None:
    _, bob, _ = await three(server)
    reader = PollReader(server.url, bob.token, "page")
    await reader.connect(await head(bob))
    waiting = asyncio.create_task(reader.next_signal("bye"))
    await parked(bob)
    assert (await bob.http.post("/api/logout", json={})).status_code == 204
    assert (await waiting)["reason"] == "signed out"


@each_transport
async def test_a_cursor_beyond_the_head_is_answered_with_a_reset(
    server: ServerProcess, kind: type[Reader]
) -> None:
    ann, bob, _ = await three(server)
    reader = kind(server.url, bob.token)
    await reader.connect(2**53 - 1)
    reset = json.loads(await reader.next_event())
    assert reset["type"] == "reset" and reset["lost"] == "all" and reset["reason"]
    await ann.send("after the reset")
    seen = await texts_up_to(reader, "after the reset")
    assert seen == ["after the reset"], "goes on from the cursor that the reset gave"
    await reader.drop()


async def test_a_client_hops_at_one_cursor_and_the_older_reader_is_told(
    server: ServerProcess,
) -> None:
    ann, bob, _ = await three(server)
    poll = PollReader(server.url, bob.token, "page")
    await poll.connect(await head(bob))
    await ann.send("over the poll")
    assert json.loads(await poll.next_event())["text"] == "over the poll"
    socket = WebSocketReader(server.url, bob.token, "page")
    await socket.connect(poll.cursor)
    await ann.send("over the socket")
    assert json.loads(await socket.next_event())["text"] == "over the socket"
    events = EventsReader(server.url, bob.token, "page")
    await events.connect(socket.cursor)
    bye = await socket.next_signal("bye")
    assert bye["reason"] == "superseded" and bye["retry"] is False
    await ann.send("over the stream")
    assert json.loads(await events.next_event())["text"] == "over the stream"
    await events.drop()


async def test_the_newest_of_two_polls_wins_and_the_older_ends_empty(server: ServerProcess) -> None:
    ann, bob, _ = await three(server)
    start = await head(bob)
    query = {"after": str(start), "client": "page", "wait": "20"}
    first = asyncio.create_task(bob.http.get("/poll", params=query))
    await parked(bob)
    second = asyncio.create_task(bob.http.get("/poll", params=query))
    older = (await asyncio.wait_for(first, 30)).json()
    assert older["events"] == [] and older["cursor"] == start
    await ann.send("for the newer")
    newer = (await asyncio.wait_for(second, 30)).json()
    assert [event["text"] for event in newer["events"]] == ["for the newer"]


async def test_a_poll_answers_with_the_documented_members(server: ServerProcess) -> None:
    ann, bob, _ = await three(server)
    first = (await bob.http.get("/poll", params={"client": "c"})).json()
    assert first["events"] == [{"type": "presence", "online": []}]
    empty = (await bob.http.get("/poll", params={"after": first["cursor"], "wait": 0})).json()
    assert empty == {
        "cursor": first["cursor"],
        "events": [],
        "more": False,
        "timeout": empty["timeout"],
    }
    assert empty["timeout"] >= 1000
    for number in range(5):
        await ann.send(f"burst {number}")
    texts: list[str] = []
    burst = first
    while (
        len(texts) < 5
    ):  # a poll answers with what is there; of several servers one may have less of it
        burst = (await bob.http.get("/poll", params={"after": burst["cursor"]})).json()
        texts += [event["text"] for event in burst["events"]]
        assert burst["cursor"] == burst["events"][-1]["seq"]
    assert texts == [f"burst {n}" for n in range(5)]
    early = asyncio.get_running_loop().time()
    held = (await bob.http.get("/poll", params={"after": burst["cursor"], "wait": "0.5"})).json()
    assert held["events"] == []
    assert 0.4 <= asyncio.get_running_loop().time() - early < 5


@each_stream
async def test_a_stream_starts_with_hello_and_the_whole_presence(
    server: ServerProcess, kind: type[Reader]
) -> None:
    ann, bob, _ = await three(server)
    anns = WebSocketReader(server.url, ann.token)
    await anns.connect()
    reader = kind(server.url, bob.token)
    await reader.connect()
    assert reader.hello["user"] == {k: v for k, v in bob.user.items() if k not in ("email", "zone")}
    assert reader.hello["heartbeat"] == 25
    assert reader.hello["resumed"] is False
    assert json.loads(await reader.receive()) == {"type": "presence", "online": [ann.id]}
    came = await anns.next_signal("presence")
    while came.get("user") != bob.id:
        came = await anns.next_signal("presence")
    assert came["online"] is True
    await ann.http.post("/api/typing", json={})
    assert await reader.next_signal("typing") == {"type": "typing", "from": ann.id, "to": None}
    await reader.drop()
    resumed = kind(server.url, bob.token)
    await resumed.connect(reader.cursor)
    assert resumed.hello["resumed"] is True and resumed.hello["seq"] == reader.cursor
    await resumed.drop()
    await anns.drop()


async def test_signals_between_two_polls_of_a_client_are_kept(server: ServerProcess) -> None:
    ann, bob, _ = await three(server)
    start = (await bob.http.get("/poll", params={"client": "page"})).json()["cursor"]
    await ann.http.post("/api/typing", json={})
    query = {"after": start, "client": "page"}
    # Where several nodes stand behind the address, it is still on its way to the one that is asked.
    kept = (await bob.http.get("/poll", params=query | {"wait": 25})).json()
    assert {"type": "typing", "from": ann.id, "to": None} in kept["events"]
    assert kept["cursor"] == start, "a signal never moves a cursor"
    again = (await bob.http.get("/poll", params=query | {"wait": 0})).json()
    assert again["events"] == []


async def test_over_the_limit_of_readers_the_oldest_goes(server: ServerProcess) -> None:
    _, bob, _ = await three(server)
    readers = [WebSocketReader(server.url, bob.token) for _ in range(21)]
    for reader in readers:
        await reader.connect()
    bye = await readers[0].next_signal("bye")
    assert bye["reason"] == "too many connections" and bye["retry"] is True
    for reader in readers[1:]:
        await reader.say(type="ping")
        await reader.next_signal("pong")
        await reader.drop()


async def test_the_head_of_a_stream_is_as_documented(server: ServerProcess) -> None:
    _, bob, _ = await three(server)
    async with bob.http.stream("GET", "/events") as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert answer.headers["X-Accel-Buffering"] == "no"
        assert answer.headers["Cache-Control"] == "no-store, no-transform"
        first = await answer.aiter_raw().__anext__()
        assert first.startswith(b"retry: ")
        assert b"\nevent:" not in first
    async with httpx.AsyncClient(base_url=server.url) as nobody:
        assert (await nobody.get("/events")).status_code == 204
        bad = await nobody.get("/events", headers={"Authorization": "Bearer nonsense"})
        assert bad.status_code == 401 and bad.json()["code"] == "unauthenticated"
