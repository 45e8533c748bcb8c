"""Tornado as its documentation and its chat demonstration use it.

`/ws`: `write_message` to each member of a room. `/sse`: `write` and `flush` to each. `/poll`: a
coroutine that waits on a condition and answers with what came after its cursor.
"""

import asyncio
import json
from collections import defaultdict, deque
from contextlib import suppress

from tornado.http1connection import HTTP1Connection
from tornado.httpserver import HTTPServer
from tornado.iostream import StreamClosedError
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

BUFFERED_MESSAGES = 200


class Room:
    """Who listens, and the latest messages for those who poll."""

    def __init__(self) -> None:
        self.sockets: set[WebSocketHandler] = set()
        self.streams: set[RequestHandler] = set()
        self.condition = asyncio.Condition()
        self.buffer: deque[tuple[int, str]] = deque(maxlen=BUFFERED_MESSAGES)
        self.count = 0

    def after(self, cursor: int) -> list[str]:
        """Messages later than `cursor`, oldest first."""
        return [text for number, text in self.buffer if number > cursor]

    async def publish(self, text: str) -> None:
        """Gives `text` to everyone in the room."""
        for handler in list(self.sockets):
            with suppress(WebSocketClosedError):
                handler.write_message(text)
        for stream in list(self.streams):
            stream.write(f"data: {text}\n\n")
            with suppress(StreamClosedError):
                stream.flush()
        self.count += 1
        self.buffer.append((self.count, text))
        async with self.condition:
            self.condition.notify_all()


rooms: dict[str, Room] = defaultdict(Room)


class Socket(WebSocketHandler):
    """One WebSocket."""

    def open(self) -> None:
        self.room = rooms[self.get_query_argument("room", "0")]
        self.room.sockets.add(self)
        self.set_nodelay(True)

    async def on_message(self, message: str | bytes) -> None:
        await self.room.publish(str(message))

    def on_close(self) -> None:
        self.room.sockets.discard(self)


class Stream(RequestHandler):
    """One event stream."""

    async def get(self) -> None:
        self.set_header("Content-Type", "text/event-stream")
        self.gone = asyncio.Event()
        room = rooms[self.get_query_argument("room", "0")]
        assert isinstance(self.request.connection, HTTP1Connection)
        self.request.connection.stream.set_nodelay(True)
        await self.flush()
        room.streams.add(self)
        try:
            await self.gone.wait()
        finally:
            room.streams.discard(self)

    def on_connection_close(self) -> None:
        self.gone.set()


class Poll(RequestHandler):
    """One long poll."""

    async def get(self) -> None:
        room = rooms[self.get_query_argument("room", "0")]
        cursor = int(self.get_query_argument("cursor", "0"))
        messages = room.after(cursor)
        while not messages:
            async with room.condition:
                await room.condition.wait()
            messages = room.after(cursor)
        self.write({"cursor": room.count, "messages": [json.loads(text) for text in messages]})


async def serve() -> None:
    """Serves until it is ended."""
    app = Application(
        [("/ws", Socket), ("/sse", Stream), ("/poll", Poll)], log_function=lambda _: None
    )
    listeners = bind_sockets(0, "127.0.0.1", backlog=4096)
    HTTPServer(app).add_sockets(listeners)
    print(f"listening on http://127.0.0.1:{listeners[0].getsockname()[1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
