"""python-socketio on aiohttp, its rooms, WebSocket and long-polling."""

import socket
from urllib.parse import parse_qs

import socketio
from aiohttp import web

# A ping every five minutes: none falls into a measurement.
server = socketio.AsyncServer(async_mode="aiohttp", ping_interval=300, ping_timeout=300)
rooms: dict[str, str] = {}


async def connect(sid: str, environ: dict[str, str], auth: object = None) -> None:
    """Puts who comes into their room."""
    room = parse_qs(environ["QUERY_STRING"]).get("room", ["0"])[0]
    rooms[sid] = room
    await server.enter_room(sid, room)


async def message(sid: str, text: str) -> None:
    """Hands on what somebody says."""
    await server.emit("message", text, room=rooms[sid])


def serve() -> None:
    """Serves until it is ended."""
    server.on("connect", connect)
    server.on("message", message)
    app = web.Application()
    server.attach(app)
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    web.run_app(app, sock=listener, print=None, access_log=None)


if __name__ == "__main__":
    serve()
