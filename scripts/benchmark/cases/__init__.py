"""What is measured. A case is a function from `Bench` to tables; its docstring says more."""

from collections.abc import Callable

from ..bench import Bench
from ..figures import Table
from .arriving import arrive, herd
from .connections import memory
from .conversations import chat, commit, groups, message
from .endurance import hour
from .fanout import growth, sse, ws
from .headroom import headroom
from .longpoll import longpoll
from .mongodb import mongodb
from .nodes import nodes
from .responsiveness import stall, start
from .socketio import socketio

Case = Callable[[Bench], list[Table]]

CASES: dict[str, Case] = {
    "headroom": headroom,
    "ws": ws,
    "sse": sse,
    "socketio": socketio,
    "groups": groups,
    "longpoll": longpoll,
    "chat": chat,
    "commit": commit,
    "message": message,
    "mongodb": mongodb,
    "nodes": nodes,
    "arrive": arrive,
    "herd": herd,
    "memory": memory,
    "growth": growth,
    "stall": stall,
    "start": start,
    "hour": hour,
}
BESIDE = ("ws", "sse", "groups", "longpoll", "commit", "message", "arrive", "memory")
"""Cases that measure another checkout in the same rounds, where one is given; the others are of this version alone."""
ON_REQUEST = ("hour",)
"""Cases that are run only where they are asked for by name."""
