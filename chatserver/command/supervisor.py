"""`chatserver serve --processes N`: one process that starts the others, keeps them up, and ends them together.

It has no event loop and no thread, so it can fork whenever a worker is to be replaced. What it hears of a worker comes
over a pipe, a line of JSON each: that it is ready and where it listens, or the sentence for which it cannot start.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, NoReturn

from chatserver.command.embedded import EmbeddedNats, end_with_parent
from chatserver.command.refusal import Refused

log = logging.getLogger(__name__)

STOP_S = 40.0
"""A worker ends within 30 s of SIGTERM; one that does not is killed."""
PAUSE_S = (0.1, 5.0)
"""Before a worker that died is replaced: the shortest pause, doubled each time up to the longest."""
STEADY_S = 30.0
"""A worker that lived for so long did not die of its start."""
LOOK_S = 0.5

_ENDING = (signal.SIGTERM, signal.SIGINT)


@dataclass(slots=True, eq=False)
class _Worker:
    number: int
    pid: int
    pipe: int
    started_s: float
    heard: bytearray = field(default_factory=bytearray)
    ready: bool = False


class Voice:
    """What a worker says to its supervisor."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def say(self, **fields: Any) -> None:
        """One line; nothing where the supervisor is gone."""
        with contextlib.suppress(OSError):
            os.write(self._pipe, json.dumps(fields).encode() + b"\n")


Work = Callable[[int, Voice], int]
"""A worker's whole life, by its number: returns the exit code, and raises what `command.cli` has a sentence for."""


class Supervisor:
    """Keeps `count` workers up, and `nats` if there is one. `announce` is called with the port once all are ready.

    `sentence_of` gives the sentence for an error with which a worker could not start; None where there is none.
    """

    def __init__(
        self,
        count: int,
        work: Work,
        nats: EmbeddedNats | None,
        announce: Callable[[int], None],
        sentence_of: Callable[[BaseException], str | None],
    ) -> None:
        self._count = count
        self._work = work
        self._nats = nats
        self._announce = announce
        self._sentence_of = sentence_of
        self._workers: dict[int, _Worker] = {}
        self._due_s: dict[int, float] = {}
        self._pause_s: dict[int, float] = {}
        self._stopping = False
        self._announced = False
        self._wake = os.pipe()
        """A signal writes into it, so that whoever waits looks at once."""
        for end in self._wake:
            os.set_blocking(end, False)

    def run(self) -> None:
        """Until SIGTERM or SIGINT. Raises `Refused` where the first start cannot be."""
        for number in _ENDING:
            signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, _noted)
        signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
        try:
            if self._nats is not None:
                self._nats.start()
            self._start_all()
            while not self._stopping:
                self._hear(self._next_s())
                self._replace()
        finally:
            self._end_all()
            if self._nats is not None:
                self._nats.stop()

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self._stopping = True
        for ending in _ENDING:  # a second one ends this process at once, and the others with it
            signal.signal(ending, signal.SIG_DFL)

    # Starting.

    def _start_all(self) -> None:
        """The first alone: it brings the database up to date, and its refusal is everybody's."""
        for numbers in (range(1), range(1, self._count)):
            for number in numbers:
                self._fork(number)
            while not self._stopping and not self._announced and not self._all_ready(numbers):
                self._hear(LOOK_S)
                lost = len(self._workers) < numbers.stop
                if lost and not self._stopping and not self._announced:
                    raise Refused(
                        "a process of the server ended while it started: its log says why."
                    )

    def _all_ready(self, numbers: range) -> bool:
        ready = [worker.number for worker in self._workers.values() if worker.ready]
        return len(ready) == numbers.stop

    def _fork(self, number: int) -> None:
        hearing, saying = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            for end in (hearing, *self._wake):
                os.close(end)
            for other in self._workers.values():
                os.close(other.pipe)
            self._be_worker(number, Voice(saying))
        os.close(saying)
        os.set_blocking(hearing, False)
        self._workers[pid] = _Worker(number, pid, hearing, time.monotonic())

    def _be_worker(self, number: int, voice: Voice) -> NoReturn:
        """In the child; it ends here, and nothing of the supervisor's runs on in it."""
        code = 1
        try:
            end_with_parent()
            signal.set_wakeup_fd(-1)
            for each in (*_ENDING, signal.SIGCHLD):
                signal.signal(each, signal.SIG_DFL)
            code = self._work(number, voice)
        except KeyboardInterrupt:
            code = 130
        except BaseException as error:
            sentence = self._sentence_of(error)
            if sentence is None:
                log.exception("process %d failed", number)
            else:
                code = 2
                voice.say(refused=sentence)
        finally:
            with contextlib.suppress(Exception):
                logging.shutdown()
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    # Running.

    def _next_s(self) -> float:
        now_s = time.monotonic()
        return max(0.0, min([LOOK_S, *(due_s - now_s for due_s in self._due_s.values())]))

    def _hear(self, wait_s: float) -> None:
        """What the workers say, and who has ended, within about `wait_s` seconds."""
        by_pipe = {worker.pipe: worker for worker in self._workers.values()}
        ready, _, _ = select.select([self._wake[0], *by_pipe], [], [], wait_s)
        for pipe in ready:
            data = _rest(pipe)
            if pipe in by_pipe:
                self._take(by_pipe[pipe], data)
        self._reap()

    def _take(self, worker: _Worker, data: bytes) -> None:
        worker.heard += data
        while b"\n" in worker.heard:
            line, _, rest = worker.heard.partition(b"\n")
            worker.heard = rest
            said = json.loads(line)
            if "refused" in said:
                if not self._announced:
                    raise Refused(said["refused"])
                log.error("process %d cannot start: %s", worker.number, said["refused"])
            elif "port" in said:
                worker.ready = True
                everybody = len(self._workers) == self._count
                if (
                    everybody
                    and not self._announced
                    and all(w.ready for w in self._workers.values())
                ):
                    self._announced = True
                    self._announce(said["port"])

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            code = os.waitstatus_to_exitcode(status)
            worker = self._workers.pop(pid, None)
            if worker is not None:
                self._lost(worker, code)
            elif self._nats is not None and self._nats.ended(pid) and not self._stopping:
                log.error("the embedded NATS server ended (%s); it is started again", _how(code))
                self._nats.start()

    def _lost(self, worker: _Worker, code: int) -> None:
        while data := _rest(worker.pipe):
            self._take(worker, data)
        os.close(worker.pipe)
        if self._stopping:
            return
        log.error("process %d ended (%s); it is replaced", worker.number, _how(code))
        now_s = time.monotonic()
        steady = now_s - worker.started_s >= STEADY_S
        pause_s = PAUSE_S[0] if steady else self._pause_s.get(worker.number, PAUSE_S[0])
        self._pause_s[worker.number] = min(2 * pause_s, PAUSE_S[1])
        self._due_s[worker.number] = now_s + pause_s

    def _replace(self) -> None:
        now_s = time.monotonic()
        for number in [number for number, due_s in self._due_s.items() if due_s <= now_s]:
            del self._due_s[number]
            self._fork(number)

    # Ending.

    def _end_all(self) -> None:
        """SIGTERM to all at once, and SIGKILL to whoever does not end."""
        self._stopping = True
        for worker in self._workers.values():
            _kill(worker.pid, signal.SIGTERM)
        until_s = time.monotonic() + STOP_S
        while self._workers:
            with contextlib.suppress(Refused):
                self._hear(0.05)
            if time.monotonic() > until_s:
                for worker in self._workers.values():
                    log.error("process %d does not end: it is killed", worker.number)
                    _kill(worker.pid, signal.SIGKILL)
                until_s = time.monotonic() + STOP_S


def _noted(number: int, frame: FrameType | None) -> None:
    """A process has ended: whoever waits is woken."""


def _rest(pipe: int) -> bytes:
    try:
        return os.read(pipe, 65536)
    except BlockingIOError:
        return b""


def _kill(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
