"""What `--processes N` puts together: the supervisor, its NATS server, and a worker's place among the others."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chatserver.command import logs, serve
from chatserver.command.embedded import EmbeddedNats
from chatserver.command.refusal import Refused, sentence_of
from chatserver.command.settings import Settings
from chatserver.command.supervisor import Supervisor, Voice
from chatserver.site.server import describe_socket_error, reserve
from chatserver.site.siblings import STARTED
from chatserver.verbs.keys import refuse_open_folder

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Worker:
    number: int
    folder: Path
    voice: Voice

    def say(self, **fields: Any) -> None:
        """To the supervisor."""
        self.voice.say(**fields)


def run(
    settings: Settings,
    handler: logging.Handler,
    work: Callable[[Settings, serve.Worker | None], int],
) -> None:
    """Serve with `settings.processes` workers until SIGTERM or SIGINT. Raises `Refused`, and `KeysRefused`."""
    refuse_open_folder(settings.data)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        port, held = reserve(settings.address, settings.port)
    except OSError as error:
        sentence = describe_socket_error(error, settings.address, settings.port)
        raise Refused(sentence) from error
    nats = None if settings.nats else EmbeddedNats(settings.data)
    settings = replace(settings, port=port)
    # A short path: that of a Unix socket has 107 bytes at the most (unix(7)).
    folder = Path(tempfile.mkdtemp(prefix="chatserver-"))

    def work_as(number: int, voice: Voice) -> int:
        logs.say_who(handler, f"[{number}] ")
        given = settings
        if nats is not None:
            given = replace(
                settings, nats=(nats.uri,), nats_token=nats.token, order_here=nats.store
            )
        return work(given, _Worker(number, folder, voice))

    def announce(port: int) -> None:
        (folder / STARTED).touch()
        serve.announce(settings, port)
        log.info("started %d processes", settings.processes)

    try:
        Supervisor(settings.processes, work_as, nats, announce, sentence_of).run()
    finally:
        if nats is not None:
            nats.close()
        for sock in held:
            sock.close()
        shutil.rmtree(folder, ignore_errors=True)
