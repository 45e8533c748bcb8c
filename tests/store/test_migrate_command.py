"""`chatserver migrate` as a person runs it: progress, an interruption in the middle, and back again."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chatserver.core.events import encode_event
from chatserver.journal.eventlog import Entry
from chatserver.store.archive import KINDS, Sum, total_of
from chatserver.store.sqlite.store import SqliteStore
from tests.store.kit import Clock, SqliteHome, message, opened
from tests.store.mongo_server import NxServer, given_uri

MESSAGES = 12_000
"""Some seconds of moving, so that there is a middle to interrupt."""
BATCH = 1000


def _start(source: Path | str, target: Path | str) -> subprocess.Popen[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("CHATSERVER_")}
    return subprocess.Popen(
        [sys.executable, "-m", "chatserver", "migrate", "--from", source, "--to", target],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean,
        # Whoever runs the tests in the background may have them ignore it, and their children too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def _move(source: Path | str, target: Path | str) -> tuple[str, list[int]]:
    """Run it to the end; what it printed, and the counts of events that it showed on the way."""
    process = _start(source, target)
    printed, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    return printed, [int(n) for n in re.findall(rf"^events: (\d+) of {MESSAGES}$", told, re.M)]


def _interrupt(source: Path | str, target: Path | str, number: signal.Signals) -> tuple[int, int]:
    """End it in the middle of the events; the exit code, and how many events it had shown."""
    with _start(source, target) as process:
        assert process.stderr is not None
        shown = 0
        while not 0 < shown < MESSAGES:
            line = process.stderr.readline()
            assert line, "it ended before it was interrupted"
            if found := re.fullmatch(r"events: (\d+) of \d+\n", line):
                shown = int(found.group(1))
        process.send_signal(number)
        process.communicate(timeout=90)
    return process.returncode, shown


async def _fill(folder: Path) -> None:
    async with opened(SqliteHome(folder)) as world:
        people = [f"u{n}" for n in range(20)]
        await world.join(*people)
        for n in range(1, 20):
            await world.befriend("u0", people[n])
        seq = world.journal.head_seq
        for first in range(0, MESSAGES - 38, BATCH):
            some = range(first, min(first + BATCH, MESSAGES - 38))
            drafts = [message(people[n % 20], f"message {n}", None, f"c{n}") for n in some]
            batch = [
                Entry((encode_event(draft, seq + n + 1, world.clock()),), draft.client_id)
                for n, draft in enumerate(drafts)
            ]
            await world.log.write(batch)
            seq += len(batch)


async def _totals(folder: Path) -> dict[str, Sum]:
    store = SqliteStore(folder, Clock())
    await store.start()
    try:
        return {kind: await total_of(store.archive, kind) for kind in KINDS}
    finally:
        await store.close()


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
async def test_an_interrupted_command_goes_on_and_leads_back_to_the_same_data(
    tmp_path: Path, nx_server: NxServer, number: signal.Signals, code: int
) -> None:
    here, back, uri = tmp_path / "here", tmp_path / "back", given_uri() or nx_server.uri()
    await _fill(here)
    totals = await _totals(here)
    assert totals["events"].count == MESSAGES

    ended, shown = _interrupt(here, uri, number)
    assert ended == code
    serve = ["serve", "--port", "0", "--data", str(tmp_path / "x"), "--mongodb", uri]
    refused = subprocess.run(
        [sys.executable, "-m", "chatserver", *serve], capture_output=True, text=True, timeout=90
    )
    assert refused.returncode == 2 and "run `chatserver migrate` again" in refused.stderr
    waited = "stopped without a word" in refused.stderr
    assert waited is (number is signal.SIGKILL), "a lease runs out"

    printed, steps = _move(here, uri)
    assert shown <= steps[0] < MESSAGES and steps[-1] == MESSAGES, "it went on where it was"
    for kind, total in totals.items():
        assert f"{kind}: {total.count}, the same on both sides ({total.checksum[:12]})" in printed

    _, steps = _move(uri, back)
    assert steps[0] == 0 and steps[-1] == MESSAGES and steps == sorted(steps)
    assert await _totals(back) == totals
