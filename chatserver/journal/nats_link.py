"""The one connection of a process to NATS: everything that is sent there and comes from there goes through it.

Each connection is a client of the library's that never reconnects; the link makes the next one, at the next server, without
end. The library's own reconnecting ends for good at an error of the server that it does not know, asks for a sign of life
every 120 s, and keeps 2 MB of what it could not send for later. Here what cannot be sent at once is refused.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import re
import secrets
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import AuthorizationError
from nats.errors import Error as NatsError

from chatserver.core.errors import Unavailable
from chatserver.journal.refusal import OrderRefused

_log = logging.getLogger("chatserver.journal")

OLDEST = (2, 15)
"""NATS: before 2.10 replicas could differ for ever after a freeze, and 2.10 could take a repeat for a duplicate of nothing
and lose it. 2.15 is what the tests run."""
WAIT_S = 60.0
"""How long a start waits for a NATS that does not answer yet: both may have been started together."""
SAY_EVERY_S = 10.0
CONNECT_S = 2.0
PING_S = 1
PINGS_MISSED = 2
"""A server that says nothing for about 3 s is given up."""
PAUSE_S = (0.05, 1.0)
"""Shortest and longest pause before another server is tried."""
LOOK_S = 0.2
"""How often it is looked whether the connection has ended: a client that cannot flush is late to say so."""
MAX_WAITING = 10_000
"""Messages that wait to be handed to the socket in this turn of the loop; one more is refused."""

_CUT_OFF = "The server is cut off from the others."
_NO_RESPONDERS = "503"
_SERVER = re.compile(r"(?:nats|tls)://\S+")

Receive = Callable[[Msg], None]
"""Whoever hears a message, on the loop. It must not raise."""


@dataclass(frozen=True, slots=True)
class Access:
    """How one comes in: what the URI does not say."""

    token: str | None = None
    credentials: Path | None = None
    tls: ssl.SSLContext | None = None


@dataclass(slots=True, eq=False)
class Hearing:
    """A subscription that outlives connections; `NatsLink.unsubscribe` ends it."""

    subject: str
    receive: Receive
    _now: Subscription | None = field(default=None, repr=False)


_Waiting = tuple[str, bytes, str, "dict[str, str] | None"]


class NatsLink:
    """A connection to one of `servers` (`nats://host:port`, `tls://…`, with user and password if need be), made anew whenever
    it ends. `name` is what the monitoring of NATS shows. `wait_s` is how long `connect` waits at the most.
    """

    def __init__(
        self, servers: Sequence[str], name: str, access: Access = Access(), wait_s: float = WAIT_S
    ) -> None:
        self._servers = [_checked(server) for server in servers]
        if not self._servers:
            raise OrderRefused("No NATS server is named: one looks like nats://host:4222.")
        random.shuffle(self._servers)
        self._name = name
        self._access = access
        self._wait_s = wait_s
        self._client: Client | None = None
        self._hearings: list[Hearing] = []
        self._waiting: list[_Waiting] = []
        self._sending: asyncio.Task[None] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._trouble = ""
        self._closing = False
        self._inbox = self.new_inbox()
        self._hearings.append(Hearing(f"{self._inbox}.*", self._answered))
        self._asked = 0
        self._answers: dict[str, asyncio.Future[Msg]] = {}
        self.on_connected: list[Callable[[], None]] = []
        """Called after each connection but the first, when all subscriptions stand again."""

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as this process knows: a server may be silent for about 3 s first."""
        return self._client is not None and self._client.is_connected

    async def connect(self) -> None:
        """Connect, and keep connected until `close`. Raises `OrderRefused` where nobody answers or lets it in."""
        until_s, say_s = time.monotonic() + self._wait_s, time.monotonic()
        while not await self._try_next():
            now_s = time.monotonic()
            if now_s >= until_s:
                raise OrderRefused(
                    f"NATS cannot be reached ({self._trouble}): start it, or correct its address."
                )
            if now_s >= say_s:
                _log.warning("waiting for NATS: %s", self._trouble)
                say_s = now_s + SAY_EVERY_S
            await asyncio.sleep(min(PAUSE_S[1], max(0.0, until_s - now_s)))
        self._keeping = asyncio.create_task(self._keep_connected(), name="nats-link")

    def publish(
        self,
        subject: str,
        payload: bytes,
        reply: str = "",
        headers: dict[str, str] | None = None,
    ) -> bool:
        """Send a message with this turn of the loop; never waits. False where it certainly was not sent.

        True promises nothing: the connection may end first.
        """
        if not self.connected or len(self._waiting) >= MAX_WAITING:
            return False
        self._waiting.append((subject, payload, reply, headers))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send(), name="nats-send")
        return True

    async def subscribe(self, subject: str, receive: Receive) -> Hearing:
        """Have `receive` called with each message to `subject`, over all connections to come."""
        hearing = Hearing(subject, receive)
        self._hearings.append(hearing)
        if self._client is not None:
            with suppress(NatsError, OSError):
                await self._hear(self._client, hearing)
        return hearing

    async def unsubscribe(self, hearing: Hearing) -> None:
        """Hear no more of it."""
        if hearing in self._hearings:
            self._hearings.remove(hearing)
        current, hearing._now = hearing._now, None
        if current is not None:
            with suppress(NatsError, OSError):
                await current.unsubscribe()

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        timeout_s: float = 2.0,
        headers: Mapping[str, str] | None = None,
    ) -> Msg:
        """Ask, and return the answer. Raises `Unavailable` where none comes in time."""
        # Not by the library's: its `asyncio.wait_for` loses a cancellation that comes with the answer (Python before 3.12).
        self._asked += 1
        token = f"{self._asked}"
        answer: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._answers[token] = answer
        try:
            given = dict(headers) if headers else None
            if not self.publish(subject, payload, f"{self._inbox}.{token}", given):
                raise Unavailable(_CUT_OFF)
            async with asyncio.timeout(timeout_s):
                message = await answer
        except TimeoutError:
            raise Unavailable(_CUT_OFF) from None
        finally:
            del self._answers[token]
        if message.headers and message.headers.get("Status") == _NO_RESPONDERS:
            raise Unavailable("Nobody answers in NATS: is JetStream on?")
        return message

    def _answered(self, message: Msg) -> None:
        answer = self._answers.get(message.subject.rpartition(".")[2])
        if answer is not None and not answer.done():
            answer.set_result(message)

    def new_inbox(self) -> str:
        """A subject that nobody else has."""
        return f"_INBOX.{secrets.token_hex(12)}"

    async def close(self) -> None:
        """Send what waits, and disconnect. Safe to call twice."""
        self._closing = True
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
            self._keeping = None
        if self._sending is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await asyncio.shield(self._sending)
        client, self._client = self._client, None
        if client is not None:
            await _end(client)

    # connecting

    async def _try_next(self) -> bool:
        server = self._servers[0]
        self._servers.append(self._servers.pop(0))
        client = Client()
        refused: list[Exception] = []
        try:
            async with asyncio.timeout(CONNECT_S + 1.0):
                await client.connect(**self._options(server, refused))
        except (NatsError, OSError, TimeoutError, ValueError) as error:
            await _end(client)
            why = refused[-1] if refused else error
            self._trouble = f"{_shown(server)}: {_reason(why)}"
            if self._keeping is None and _is_for_good(why):
                raise OrderRefused(
                    f"NATS refuses this server ({self._trouble}): check user, password, token or credentials."
                ) from error
            return False
        version = client.connected_server_version
        if (version.major, version.minor) < OLDEST:
            await _end(client)
            self._trouble = f"{_shown(server)}: NATS {version.major}.{version.minor} is too old"
            if self._keeping is None:
                raise OrderRefused(f"{self._trouble}: install {OLDEST[0]}.{OLDEST[1]} or later.")
            return False
        return await self._take(client)

    async def _take(self, client: Client) -> bool:
        try:
            for hearing in self._hearings:
                await self._hear(client, hearing)
        except (NatsError, OSError):
            await _end(client)
            return False
        self._client = client
        return True

    def _options(self, server: str, refused: list[Exception]) -> dict[str, Any]:
        async def note(error: Exception) -> None:
            refused.append(error)
            del refused[:-1]
            _log.debug("NATS: %r", error)

        options: dict[str, Any] = {
            "servers": [server],
            "name": self._name,
            "error_cb": note,
            "allow_reconnect": False,
            "max_reconnect_attempts": 1,
            "reconnect_time_wait": 0,
            "connect_timeout": CONNECT_S,
            "ping_interval": PING_S,
            "max_outstanding_pings": PINGS_MISSED,
            "pending_size": 0,
        }
        if self._access.token is not None:
            options["token"] = self._access.token
        if self._access.credentials is not None:
            options["user_credentials"] = str(self._access.credentials)
        if self._access.tls is not None:
            options["tls"] = self._access.tls
        return options

    async def _keep_connected(self) -> None:
        # The library may take a cancellation for its own.
        while not self._closing:
            await asyncio.sleep(LOOK_S)
            if self.connected:
                continue
            client, self._client = self._client, None
            self._waiting.clear()
            if client is not None:
                _log.warning("the connection to NATS has ended; another one is made")
                await _end(client)
            pause_s, longest_s = PAUSE_S
            while not self._closing and not await self._try_next():
                await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))
                pause_s = min(pause_s * 2, longest_s)
            if self._closing:
                return
            _log.warning("connected to NATS again")
            for call in self.on_connected:
                call()

    # hearing and sending

    async def _hear(self, client: Client, hearing: Hearing) -> None:
        async def heard(message: Msg) -> None:
            try:
                hearing.receive(message)
            except Exception:
                # It promised not to. What comes after must still be heard.
                _log.exception("somebody failed on a message to %s", hearing.subject)

        hearing._now = await client.subscribe(hearing.subject, cb=heard)

    async def _send(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            for subject, payload, reply, headers in batch:
                client = self._client
                if client is None:
                    return
                try:
                    await client.publish(subject, payload, reply, headers)
                except (NatsError, OSError) as error:
                    _log.debug("nothing sent to %s: %r", subject, error)


def _checked(server: str) -> str:
    text = server.strip()
    try:
        parts = urlsplit(text)
        good = _SERVER.fullmatch(text) and parts.hostname and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise OrderRefused(
            f"{_shown(text)} is no address of NATS: one looks like nats://host:4222."
        )
    return text


def _shown(server: str) -> str:
    """An address without the password in it."""
    scheme, mark, rest = server.partition("://")
    return scheme + mark + rest.rpartition("@")[2]


def _is_for_good(error: BaseException) -> bool:
    """Whether another try would come to the same: a wrong password, a certificate that nobody knows."""
    text = str(error).lower()
    return (
        isinstance(error, AuthorizationError | ssl.SSLCertVerificationError)
        or "authorization" in text
        or "credentials" in text
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if isinstance(error, OSError) and error.errno and not isinstance(error, ssl.SSLError):
        return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)
    return str(error).removeprefix("nats: ").strip("'") or type(error).__name__


async def _end(client: Client) -> None:
    """Let a client go; it may be one whose socket takes nothing more."""
    subscriptions = list(client._subs.values())
    with suppress(NatsError, OSError, TimeoutError):
        async with asyncio.timeout(1.0):
            await client.close()
    # One that could not flush first has given up in the middle, and leaves behind what waits for its messages, and its socket.
    for task in (
        client._reading_task,
        client._ping_interval_task,
        client._flusher_task,
        *[subscription._wait_for_msgs_task for subscription in subscriptions],
    ):
        if task is not None:
            task.cancel()
    writer = getattr(client._transport, "_io_writer", None)
    if writer is not None:
        writer.transport.abort()
