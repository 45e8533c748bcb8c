"""Taking part in an order that several processes share: the connection to NATS, the stream, the journal over it, the talk
beside it, and the projector. Only who was asked for more than one process imports this, and with it the library for NATS.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from chatserver.command.refusal import Refused
from chatserver.command.settings import Settings
from chatserver.journal.envelope import Subjects
from chatserver.journal.errands import Errands
from chatserver.journal.eventlog import Projection
from chatserver.journal.jetstream import JetStreamJournal
from chatserver.journal.nats_link import Access, NatsLink
from chatserver.journal.nats_signals import Talk
from chatserver.journal.refusal import OrderRefused
from chatserver.journal.stream import Stream
from chatserver.journal.streamfiles import StreamFiles
from chatserver.site.metrics import Metrics
from chatserver.store.order import stream_id
from chatserver.store.projector import Projector

SPREAD = 3
"""Where so many NATS servers are named, the stream is kept on so many: one may go."""


class Membership:
    """One process's part in the order that stands in the stream `number`; `log` is its store's."""

    def __init__(
        self, settings: Settings, log: Projection, number: int, clock_ms: Callable[[], int]
    ) -> None:
        name = f"chatserver {socket.gethostname()} {os.getpid()}"
        self._settings = settings
        self._log = log
        self._clock_ms = clock_ms
        self.link = NatsLink(settings.nats, name, _access(settings))
        subjects = Subjects(stream_id(number))
        replicas = SPREAD if len(settings.nats) >= SPREAD else 1
        self.stream = Stream(self.link, subjects, replicas)
        self.journal = JetStreamJournal(self.stream, log)
        self.talk = Talk(self.link, subjects.signal("talk"), self.journal.node)
        self.errands = Errands(
            self.link,
            lambda node_id: subjects.signal(f"errand.{node_id}"),
            self.journal.node,
            self.journal.others,
        )
        self.projector = Projector(self.stream, log, clock_ms)

    async def open(self) -> None:
        """Connect, and find the stream or make it. Raises `OrderRefused`."""
        await self.link.connect()
        try:
            shown_seq = await self._log.projected()
            await self.stream.open(shown_seq, self._clock_ms(), self._settings.nats_new_stream)
            await self.stream.refuse_without_rights()
            self._look_after_files()
        except BaseException:
            await self.link.close()
            raise

    def _look_after_files(self) -> None:
        """Let nothing be acknowledged that only files hold which have gone, where they are in reach. Raises `OrderRefused`."""
        folder = self._settings.order_here
        if folder is not None:
            try:
                self.stream.files = StreamFiles(folder, self.stream.name)
            except OSError as error:
                raise OrderRefused(
                    f"The files of the stream {self.stream.name} have gone from {folder} while they were in use: start once"
                    " with --nats-new-stream; what the database had not shown yet is lost."
                ) from error

    def measure(self, metrics: Metrics) -> None:
        """Say where the numbers are to be read."""
        metrics.gauge(
            "fresh", "1 while this node knows all that was said.", lambda: self.journal.fresh, min
        )
        metrics.gauge(
            "projecting",
            "1 where this node shows the events in the store.",
            lambda: self.projector.active,
            max,
        )
        metrics.gauge(
            "projection_lag_seconds",
            "For how long the store has not shown what this node has followed.",
            lambda: self.journal.lag_s,
            max,
        )
        metrics.counter(
            "projection_repeats",
            "Messages that came under an id that there was already; there must be none.",
            lambda: self.projector.repeats,
        )

    async def close(self) -> None:
        """After the journal is closed: hand the projection on, and hang up."""
        self.errands.close()
        await self.projector.close()
        await self.link.close()


def _access(settings: Settings) -> Access:
    return Access(settings.nats_token, settings.nats_credentials, _tls(settings))


def _tls(settings: Settings) -> ssl.SSLContext | None:
    named = settings.nats_ca, settings.nats_certificate, settings.nats_key
    for path in (*named, settings.nats_credentials):
        if path is not None:
            _refuse_unreadable(path)
    if not any(named) and not any(server.startswith("tls:") for server in settings.nats):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.nats_ca)
        if settings.nats_certificate is not None:
            context.load_cert_chain(settings.nats_certificate, settings.nats_key)
    except (ssl.SSLError, OSError) as error:
        raise Refused(f"the certificates for NATS cannot be used ({error}).") from error
    return context


def _refuse_unreadable(path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        raise Refused(f"{path} cannot be read ({error.strerror}).") from error
