"""The floor in Python: a loop of `socket.send`, and nothing around it that a real server needs.

Usage: floor_server.py [join]. Takes `/ws?room=K` and `/sse?room=K`; what a WebSocket client sends goes to everyone in its room,
itself included. `join` sends what came together in one call. No handshake check, no queue, no slow reader: the real servers
have those.
"""

import re
import selectors
import socket
import struct
import sys
from collections import defaultdict
from typing import NamedTuple

RECEIVE_BYTES = 65536
WS_ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
SSE_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


class Place(NamedTuple):
    """Where a connection listens."""

    streams: list[socket.socket]
    sockets: list[socket.socket]


def texts_in(frames: bytes) -> list[bytes]:
    """The payloads of complete masked frames."""
    texts, at = [], 0
    while at + 6 <= len(frames):
        length, head = frames[at + 1] & 127, 6
        if length == 126:
            (length,) = struct.unpack_from("!H", frames, at + 2)
            head = 8
        key = frames[at + head - 4 : at + head]
        body = frames[at + head : at + head + length]
        mask = (key * (length // 4 + 1))[:length]
        plain = int.from_bytes(body, "big") ^ int.from_bytes(mask, "big")
        texts.append(plain.to_bytes(length, "big"))
        at += head + length
    return texts


def framed(text: bytes) -> bytes:
    """One text frame from a server (RFC 6455 section 5.2)."""
    if len(text) < 126:
        return bytes((0x81, len(text))) + text
    return b"\x81\x7e" + struct.pack("!H", len(text)) + text


def broadcast(place: Place, texts: list[bytes]) -> None:
    """The loop that is measured."""
    frames = b"".join(map(framed, texts))
    for each in place.sockets:
        each.send(frames)
    if place.streams:
        blocks = b"".join([b"data: " + text + b"\n\n" for text in texts])
        for each in place.streams:
            each.send(blocks)


def join(client: socket.socket, request: bytes, rooms: dict[int, Place]) -> Place:
    """Answers the opening request and puts the connection into its room."""
    found = re.search(rb"room=(\d+)", request)
    place = rooms[int(found[1]) if found else 0]
    if request.startswith(b"GET /ws"):
        place.sockets.append(client)
        client.send(WS_ANSWER)
    else:
        place.streams.append(client)
        client.send(SSE_ANSWER)
    return place


def serve(joins: bool) -> None:
    """Serves until it is ended; `joins` what comes in one read."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    rooms: dict[int, Place] = defaultdict(lambda: Place([], []))
    places: dict[socket.socket, Place] = {}
    ready = selectors.DefaultSelector()
    ready.register(listener, selectors.EVENT_READ)
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    while True:
        for key, _ in ready.select():
            client = key.fileobj
            assert isinstance(client, socket.socket)
            if client is listener:
                accepted, _ = listener.accept()
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                ready.register(accepted, selectors.EVENT_READ)
                continue
            received = client.recv(RECEIVE_BYTES)
            if not received:
                ready.unregister(client)
                place = places.pop(client, Place([], []))
                for members in place:
                    if client in members:
                        members.remove(client)
                client.close()
            elif client in places:
                texts = texts_in(received)
                for some in [texts] if joins else [[text] for text in texts]:
                    broadcast(places[client], some)
            else:
                places[client] = join(client, received, rooms)


if __name__ == "__main__":
    serve(sys.argv[1:] == ["join"])
