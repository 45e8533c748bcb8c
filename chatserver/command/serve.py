"""`chatserver serve`: start, say so, and stop well whenever it is asked."""

from __future__ import annotations

import argparse
import asyncio
import faulthandler
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from chatserver.command import demo, logs
from chatserver.command.build import build
from chatserver.command.descriptors import within_descriptors
from chatserver.command.loop import new_loop
from chatserver.command.memory import give_back
from chatserver.command.quiet import COUNT_EVERY_S, QuietHandler
from chatserver.command.refusal import Refused
from chatserver.command.settings import Settings, from_given
from chatserver.site.api.operator import trouble_of
from chatserver.site.server import (
    Server,
    describe_socket_error,
    settle_garbage_collection,
    stop_signals,
)
from chatserver.site.siblings import Siblings
from chatserver.verbs.sessions import Sessions

log = logging.getLogger(__name__)

FLUSH_S = 60.0
"""How often the last use of logins is kept."""

LOOK_S = 1.0
"""How often it is looked whether the server can go on."""

START_S = 3.0
"""How long a start that is asked to stop may go on by itself: a lease that is just being taken can then be given
back. What takes longer waits for a database that does not answer."""


STOP_S = 28.0
"""How long a stop may take in all, whatever does not answer; 30 s are promised. A database that is frozen was waited for by one
step after another, for 44 s."""


class Worker(Protocol):
    """One of several processes at the same port (`command.processes`)."""

    number: int
    folder: Path
    """Where the processes find each other."""

    def say(self, **fields: Any) -> None:
        """To the supervisor."""
        ...


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT. Raises `Refused`, `SettingsError`, `StoreRefused` and `KeysRefused`."""
    settings = from_given(options)
    _refuse_missing(settings)
    faulthandler.enable()  # a death by signal says where
    give_back()
    handler = QuietHandler()
    logs.begin(settings.log_level, handler)
    if settings.processes > 1:
        # Here, because nobody else needs it.
        from chatserver.command import processes

        processes.run(settings, handler, partial(serve, handler))
        return 0
    return serve(handler, settings, None)


def _refuse_missing(settings: Settings) -> None:
    """Raises `Refused` for what was asked for and is not installed."""
    if settings.socketio and find_spec("socketio") is None:
        raise Refused(
            "--socketio needs a package that is not here: pip install 'chatserver[socketio]'."
        )
    asked = "--nats" if settings.nats else "--processes" if settings.processes > 1 else None
    if asked is not None and find_spec("nats") is None:
        raise Refused(
            f"{asked} needs packages that are not here: pip install 'chatserver[cluster]'."
        )


def serve(handler: QuietHandler, settings: Settings, worker: Worker | None) -> int:
    """Serve until SIGTERM or SIGINT, as the only process or as one of several."""
    limits, descriptors = within_descriptors(settings.limits)
    try:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            given = replace(settings, limits=limits)
            return runner.run(_serve(given, handler, descriptors, worker))
    finally:
        handler.settle()


async def _serve(
    settings: Settings, handler: QuietHandler, descriptors: str, worker: Worker | None
) -> int:
    # First of all: from here on a signal at any moment ends in order.
    stopping = stop_signals()
    started = await _start_unless(stopping, settings, worker)
    if started is None:
        log.info("stopped before it had started")
        return 0
    server, sessions, port = started
    if not stopping.is_set():
        if worker is None:
            announce(settings, port)
        else:
            worker.say(port=port)
        log.info("started on port %d with the data in %s", port, settings.data)
        log.info("%s", descriptors)
        settle_garbage_collection()
    tasks = (
        asyncio.create_task(_flush_now_and_then(sessions)),
        asyncio.create_task(_settle_now_and_then(handler)),
    )
    code = await until_stopped(stopping, lambda: server.left_behind)
    _end_in_time(handler, code)
    await server.drain()  # closes the house too
    for task in tasks:
        task.cancel()
    return code


def _end_in_time(handler: QuietHandler, code: int) -> None:
    """End the process once `STOP_S` are over, if it has not ended by then: whoever waits for an answer has waited long enough.

    In a thread of its own, because what holds it up may be a thread, and not the loop.
    """

    def end() -> None:
        log.warning("the stop takes longer than %g s: what does not answer is left", STOP_S)
        handler.settle()
        os._exit(code)

    timer = threading.Timer(STOP_S, end)
    timer.daemon = True
    timer.start()


async def until_stopped(stopping: asyncio.Event, left_behind: Callable[[], bool]) -> int:
    """Return the exit code once it is asked to stop; or 1 where it cannot go on, so that whoever keeps it up starts it anew."""
    while not stopping.is_set():
        if left_behind():
            log.critical("this server was away for too long: it ends, and has to be started again")
            return 1
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_S):
                await stopping.wait()
    return 0


async def _start_unless(
    stopping: asyncio.Event, settings: Settings, worker: Worker | None
) -> tuple[Server, Sessions, int] | None:
    """What `_start` gives; None where the start was stopped, and nothing is held any more."""
    starting = asyncio.create_task(_start(settings, worker))
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait((starting, stop), return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    if not starting.done():
        await asyncio.wait((starting,), timeout=START_S)
        starting.cancel()
    try:
        return await starting
    except asyncio.CancelledError:
        return None


async def _start(settings: Settings, worker: Worker | None) -> tuple[Server, Sessions, int]:
    """A listening server with the house behind it, and its port."""
    house = await build(settings)
    try:
        server = Server(house)
        if settings.demo and (worker is None or worker.number == 0):
            await demo.add(house.store, house.accounts, house.friendships)
        if worker is not None:
            siblings = Siblings(worker.folder, worker.number, settings.processes)
            house.whole = siblings
            await siblings.start(partial(trouble_of, house), server.metrics.numbers)
        try:
            shared = worker is not None
            port = server.listen(settings.address, settings.port, shared)
            return server, house.sessions, port
        except OSError as error:
            sentence = describe_socket_error(error, settings.address, settings.port)
            raise Refused(sentence) from error
    except BaseException:
        await house.close()
        raise


async def _flush_now_and_then(sessions: Sessions) -> None:
    while True:
        await asyncio.sleep(FLUSH_S)
        await sessions.flush()


async def _settle_now_and_then(handler: QuietHandler) -> None:
    while True:
        await asyncio.sleep(COUNT_EVERY_S)
        handler.settle()


def announce(settings: Settings, port: int) -> None:
    """Say where the server listens."""
    host = f"[{settings.address}]" if ":" in settings.address else settings.address
    url = f"http://{host}:{port}"
    # A server serves whether or not anybody reads what it says.
    with suppress(OSError):
        if settings.demo:
            print(demo.welcome(url, settings.data / "demo-ann.cookies"))
        print(f"listening on {url}", flush=True)
