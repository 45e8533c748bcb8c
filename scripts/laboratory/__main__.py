"""The five transports side by side, in a terminal: the same messages, how long each took to arrive.

    scripts/lab                                    starts a server of its own for the comparison
    scripts/lab --url http://127.0.0.1:8888        compares on a running one
    scripts/lab --seconds 30 --rate 5 --poll 2     more messages, other intervals
    scripts/lab --picture docs/screenshots/transports.svg

Registers an account without friends, reads it over WebSocket, SSE, long-polling, polling, the
classic pages and, where the server answers it, Socket.IO at once, writes numbered messages, prints the table, and deletes the account.
It reads with the clients of the tests, and so installs what the tests need.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx

from scripts.laboratory.comparison import KINDS, SOCKETIO, Comparison
from scripts.laboratory.picture import picture
from scripts.laboratory.table import table
from tests.support.clients import Person, close_opened, expect
from tests.support.connection import Refused
from tests.support.process import DidNotStart, ServerProcess

MAX_RATE = 5.0
"""The service takes five messages a second from one person."""


@contextlib.contextmanager
def server(url: str | None) -> Iterator[str]:
    """The running server at `url`, or one of our own for as long as the comparison takes."""
    if url:
        yield url.rstrip("/")
        return
    with tempfile.TemporaryDirectory() as data:
        running = ServerProcess(Path(data), "--socketio").start()
        try:
            yield running.url
        finally:
            running.stop()


async def compare(url: str, options: argparse.Namespace) -> None:
    """Make the account, compare, show what was seen, and delete the account."""
    password = uuid.uuid4().hex
    person = await Person.register(url, "Laboratory", password)
    try:
        # Without EIO it is a refusal, or an address at which there is nothing.
        answered = (await person.http.get("/socket.io/")).status_code != 404
        kinds = {**KINDS, **SOCKETIO} if answered else KINDS
        comparison = Comparison(url, person, options.poll, kinds)
        await comparison.measure(options.rate, options.seconds)
        counted = expect(await person.http.get("/api/lab/lanes"), 200).json()["lanes"]
        print(table(comparison, {lane["client"]: lane for lane in counted}))
        if options.picture:
            options.picture.parent.mkdir(parents=True, exist_ok=True)
            options.picture.write_text(picture(comparison))
            print(f"The picture is in {options.picture}.")
    finally:
        await person.end(password)
        await close_opened()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="lab", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", help="a running server; without it one is started")
    parser.add_argument("--rate", type=float, default=4.0, help="messages a second, up to 5 (4)")
    parser.add_argument("--seconds", type=float, default=15.0, help="how long to write (15)")
    parser.add_argument(
        "--poll", type=float, default=2.0, help="seconds between polls and pages (2)"
    )
    parser.add_argument("--picture", type=Path, help="write an SVG of the latencies")
    options = parser.parse_args()
    if not 0 < options.rate <= MAX_RATE:
        parser.error("the service takes up to 5 messages a second from one person")
    try:
        with server(options.url) as url:
            asyncio.run(compare(url, options))
    except (Refused, DidNotStart, OSError, httpx.TransportError) as error:
        sys.exit(f"lab: {error}")


if __name__ == "__main__":
    main()
