"""The stream of one database in JetStream: made, checked, and asked; the names of the API are those of NATS' documentation
("JetStream API reference"). What is asked here is asked of the stream's leader, so it holds all that was acknowledged."""

from __future__ import annotations

import asyncio
import base64
import datetime
import time
from dataclasses import dataclass
from typing import Any

import orjson

from chatserver.core.errors import Unavailable
from chatserver.journal.envelope import Placed, Subjects, decode
from chatserver.journal.nats_link import NatsLink
from chatserver.journal.refusal import OrderRefused
from chatserver.journal.repeats import Repeats
from chatserver.journal.streamfiles import StreamFiles

SECOND_NS = 1_000_000_000
WINDOW_S = 600
"""How long a repeat of an id is refused by the stream itself: 215 bytes of the server for each."""
KEEP_S = 7 * 86_400
"""How long the stream keeps what is in the database by then."""
VERSION = "1"
NOT_FOUND = 404
_NO_MESSAGE, _NO_STREAM, _IN_USE = 10037, 10059, 10058
_NO_JETSTREAM = (10039, 10076)
"""Codes of NATS: for this account, at all."""
_NOT_YET = 10008
ASK_S = 2.0
WAIT_S = 10.0
"""Servers of NATS that were started together choose a leader first."""
PAUSE_S = 0.25


class ApiError(Exception):
    """What JetStream answers instead; `code` is its `err_code`."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(str(error.get("description", "an error without a word")))
        self.code = int(error.get("err_code", 0))


@dataclass(frozen=True, slots=True)
class State:
    """What the stream holds."""

    first_seq: int
    """The oldest that is there."""
    last_seq: int
    began_seq: int
    """The first that was ever there."""


class Stream:
    """The stream of the database `subjects` are for, on `replicas` servers if it has to be made."""

    def __init__(self, link: NatsLink, subjects: Subjects, replicas: int = 1) -> None:
        self.link = link
        self.subjects = subjects
        self.name = subjects.stream
        self._replicas = replicas
        self.repeats = Repeats()
        """What follows it here asks for each message whether it stood there before."""
        self.files: StreamFiles | None = None
        """Where the server keeps it, if that is in reach."""

    def is_kept(self) -> bool:
        """Whether what is acknowledged will be there after the server's next start, as far as can be seen."""
        return self.files is None or self.files.kept()

    def refuse_lost(self) -> None:
        """Raises `Unavailable` where it would not."""
        if not self.is_kept():
            raise Unavailable("The server cannot save messages at the moment.", 2.0)

    async def open(self, shown_seq: int, now_ms: int, new: bool = False) -> State:
        """Find the stream, or make it for a database that shows `shown_seq`: seqs go on above it.

        One that is gone is made anew only where it is `new`, or the database has never shown anything. Raises `OrderRefused`
        with a sentence where this cannot be the order of the database.
        """
        try:
            found = await self._find_patiently()
            if found is None:
                if shown_seq and not new:
                    raise OrderRefused(
                        f"The stream {self.name} is gone from NATS: start once with --nats-new-stream;"
                        " what the database had not shown yet is lost."
                    )
                found = await self._make(max(shown_seq + 1, now_ms * 1000))
            self._refuse_foreign(found["config"])
        except ApiError as error:
            raise self._refusal(error) from error
        except Unavailable as error:
            raise OrderRefused(
                "JetStream does not answer: turn it on in NATS, or grant this user its API."
            ) from error
        state = _state(found)
        if state.first_seq > max(shown_seq + 1, state.began_seq):
            raise OrderRefused(
                f"What the database has not shown yet has left the stream {self.name} (it shows {shown_seq}, the stream"
                f" begins at {state.first_seq}): restore a newer backup, or start once with --nats-new-stream after"
                f" deleting the stream."
            )
        if state.last_seq < shown_seq:
            raise OrderRefused(
                f"The stream {self.name} ends at {state.last_seq}, before what the database shows ({shown_seq}): it was"
                " restored from an older backup; delete it and start once with --nats-new-stream."
            )
        return state

    async def refuse_without_rights(self) -> None:
        """Raises `OrderRefused` where this user of NATS may not publish to what the stream keeps; nothing is stored."""
        nowhere = {"Nats-Expected-Last-Sequence": "1"}  # its places begin far above
        for subject in self.subjects.all:
            asked = subject.replace(">", "rights")
            try:
                answer = await self.link.request(asked, b"", ASK_S, nowhere)
            except Unavailable as error:
                raise OrderRefused(
                    f"NATS does not let this server publish to {asked}: grant its user chat.> and _INBOX.>, both to publish and"
                    " to subscribe."
                ) from error
            if "error" not in orjson.loads(answer.data):
                raise OrderRefused(
                    f"The stream {self.name} takes what it must not: it is none of ours."
                )

    async def state(self) -> State:
        """What it holds now. Raises `Unavailable`."""
        found = await self._ask(f"STREAM.INFO.{self.name}", {}, Unavailable)
        return _state(found)

    async def newest(self) -> int:
        """The seq of the newest message, were it gone by now. Raises `Unavailable`."""
        return await self.newest_message() or (await self.state()).last_seq

    async def newest_message(self) -> int:
        """The seq of the newest message that is there; 0 where there is none. Raises `Unavailable`."""
        return await self.last_of(">")

    async def last_of(self, subject: str) -> int:
        """The seq of the newest message under `subject`; 0 where there is none. Raises `Unavailable`."""
        found = await self._get({"last_by_subj": subject})
        return 0 if found is None else int(found["seq"])

    async def at(self, seq: int) -> Placed | None:
        """The event at `seq`, if it is there still. Raises `Unavailable`."""
        found = await self._get({"seq": seq})
        if found is None:
            return None
        placed = decode(base64.b64decode(found.get("data", "")), seq, _ms(found["time"]))
        return self.repeats.marked(placed)

    async def _get(self, which: dict[str, Any]) -> dict[str, Any] | None:
        try:
            found = await self._ask(f"STREAM.MSG.GET.{self.name}", which)
        except ApiError as error:
            if error.code == _NO_MESSAGE:
                return None
            raise Unavailable("The server cannot reach the order.") from error
        message: dict[str, Any] = found["message"]
        return message

    async def _ask(
        self, what: str, body: dict[str, Any], error: type[Unavailable] | None = None
    ) -> dict[str, Any]:
        answer = await self.link.request(f"$JS.API.{what}", orjson.dumps(body), ASK_S)
        found: dict[str, Any] = orjson.loads(answer.data)
        if "error" in found:
            wrong = ApiError(found["error"])
            if error is not None:
                raise error("The server cannot reach the order.") from wrong
            raise wrong
        return found

    async def _find(self) -> dict[str, Any] | None:
        try:
            return await self._ask(f"STREAM.INFO.{self.name}", {})
        except ApiError as error:
            if error.code == _NO_STREAM:
                return None
            raise

    async def _find_patiently(self) -> dict[str, Any] | None:
        until_s = time.monotonic() + WAIT_S
        while True:
            try:
                return await self._find()
            except (Unavailable, ApiError) as error:
                passes = isinstance(error, Unavailable) or error.code == _NOT_YET
                if not passes or time.monotonic() > until_s:
                    raise
            await asyncio.sleep(PAUSE_S)

    async def _make(self, first_seq: int) -> dict[str, Any]:
        config = {
            "name": self.name,
            "subjects": self.subjects.all,
            "retention": "limits",
            "storage": "file",
            "num_replicas": self._replicas,
            "max_age": KEEP_S * SECOND_NS,
            "duplicate_window": WINDOW_S * SECOND_NS,
            "discard": "new",
            "allow_direct": True,
            "allow_atomic": True,
            "first_seq": first_seq,
            "metadata": {"chatserver": VERSION, "database": self.subjects.database},
        }
        try:
            return await self._ask(f"STREAM.CREATE.{self.name}", config)
        except ApiError as error:
            # Another node was faster; its first seq is a little different.
            if error.code == _IN_USE and (found := await self._find()) is not None:
                return found
            raise

    def _refuse_foreign(self, config: dict[str, Any]) -> None:
        about = config.get("metadata") or {}
        if about.get("chatserver") is None or about.get("database") != self.subjects.database:
            raise OrderRefused(
                f"The stream {self.name} was made by another program: name another NATS, or delete it."
            )
        if about["chatserver"] != VERSION or not config.get("allow_atomic"):
            raise OrderRefused(
                f"The stream {self.name} was made by a newer chatserver than this one: install that newer version."
            )

    def _refusal(self, error: ApiError) -> OrderRefused:
        if error.code in _NO_JETSTREAM:
            return OrderRefused("JetStream is off in NATS, or for this user: turn it on there.")
        return OrderRefused(f"The stream {self.name} cannot be used ({error}).")


def _state(found: dict[str, Any]) -> State:
    state, config = found["state"], found["config"]
    began_seq = int(config.get("first_seq", 1))
    return State(int(state["first_seq"]), int(state["last_seq"]), began_seq)


def _ms(time: str) -> int:
    """RFC 3339 in UTC, to the nanosecond, as whole milliseconds since 1970, rounded down as the ack subject's are."""
    whole, _, rest = time.rstrip("Z").partition(".")
    at = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.UTC)
    return int(at.timestamp()) * 1000 + int(rest.ljust(9, "0")[:3] or 0)
