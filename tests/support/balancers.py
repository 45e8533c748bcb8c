"""haproxy and Caddy as `deploy/` has them, before servers of a test; nginx is `nginx`."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.ports import free_port, wait_for_port

DEPLOY = Path(__file__).parent.parent.parent / "deploy"


def program(name: str) -> str | None:
    """Where it is, if it is here."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")


@contextmanager
def haproxy(folder: Path, ports: Sequence[int]) -> Iterator[str]:
    """Its address, with `deploy/haproxy.cfg` before servers at these ports."""
    port = free_port()
    text = (DEPLOY / "haproxy.cfg").read_text()
    first, second = "    server a 127.0.0.1:8888\n", "    server b 127.0.0.1:8889\n"
    assert first in text and second in text and "bind :8080\n" in text
    each = [f"    server n{number} 127.0.0.1:{number}\n" for number in ports]
    text = text.replace(first, "".join(each)).replace(second, "")
    written = folder / "haproxy.cfg"
    written.write_text(text.replace("bind :8080", f"bind 127.0.0.1:{port}"))
    with _running(port, str(program("haproxy")), "-db", "-f", str(written)):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def caddy(folder: Path, ports: Sequence[int]) -> Iterator[str]:
    """As `haproxy`, with `deploy/Caddyfile`, but without the certificate that Caddy would ask for."""
    port = free_port()
    text = (DEPLOY / "Caddyfile").read_text()
    servers, name = "127.0.0.1:8888 127.0.0.1:8889", "chat.example.com {"
    assert servers in text and name in text
    text = text.replace(servers, " ".join(f"127.0.0.1:{number}" for number in ports))
    plain = "{\n\tadmin off\n\tauto_https off\n}\n"
    written = folder / "Caddyfile"
    written.write_text(plain + text.replace(name, f"http://127.0.0.1:{port} {{"))
    command = (str(program("caddy")), "run", "--adapter", "caddyfile", "--config", str(written))
    with _running(port, *command, home=folder):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _running(port: int, *command: str, home: Path | None = None) -> Iterator[None]:
    environment = None if home is None else os.environ | {"HOME": str(home)}
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    try:
        wait_for_port(port, alive=lambda: process.poll() is None)
        yield
    finally:
        process.terminate()
        process.wait(10)
