"""A proxy that completes the WebSocket upgrade and then drops every frame, as some do."""

from __future__ import annotations

import contextlib
import socket
import threading

CHUNK_BYTES = 65536


class MuteProxy:
    """Passes HTTP through; what follows a `101` is swallowed in both directions while `mute`."""

    def __init__(self, port: int) -> None:
        self.server_port = port
        self.mute = True
        self.upgrades = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        # Shutting down wakes the thread that accepts; closing alone does not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                browser, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.server_port))
            state = {"upgraded": False}
            for source, target, down in ((browser, server, False), (server, browser, True)):
                threading.Thread(
                    target=self._pump, args=(source, target, down, state), daemon=True
                ).start()

    def _pump(
        self, source: socket.socket, target: socket.socket, down: bool, state: dict[str, bool]
    ) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK_BYTES):
                if down and data.startswith(b"HTTP/1.1 101"):
                    self.upgrades += 1
                    state["upgraded"] = True
                    if self.mute:
                        data = data[: data.index(b"\r\n\r\n") + 4]
                    target.sendall(data)
                elif not (state["upgraded"] and self.mute):
                    target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
