"""Packets of Engine.IO 4 and Socket.IO 5: what a client may send, and how items look as events.

Refs: the protocol documents of both (`engine.io-protocol/v4`, `socket.io-protocol/v5`). Strict on purpose: what comes in
is looked at here before any library sees it. Nothing of ours is binary, has a namespace, or asks a client for an answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

from chatserver.core.errors import BadRequest, ChatError
from chatserver.core.events import Event, encode_json
from chatserver.core.fields import json_list, json_object

SEPARATOR = "\x1e"
"""Between the packets of a payload. JSON escapes it, so it stands in no packet."""

END = b"\x1e"

PACKETS_MAX = 16
"""As many packets may stand in one payload of a client."""

ACK_DIGITS = 15
"""The numbers that a client gives to what it wants answered: as many digits as JavaScript counts exactly."""

CLOSE = "1"
PONG = "3"
PROBE = "2probe"
UPGRADE = "5"

_CONNECT = re.compile(r"40(?:/[^,]{0,64},?)?(\{.*)?", re.DOTALL)
_EVENT = re.compile(rf"42([0-9]{{1,{ACK_DIGITS}}})?(\[.*)", re.DOTALL)
_DISCONNECT = re.compile(r"41(?:/[^,]{0,64},?)?")

VERBS = {"client-talking": "send", "typing": "typing", "read": "read"}
"""What a client may say, and which verb that is."""


@dataclass(slots=True)
class Said:
    """An event of a client's: the verb with its fields, and the number under which it wants to be answered."""

    fields: dict[str, Any]
    number: int | None


@dataclass(slots=True)
class Refused:
    """An event of a client's that makes no sense; it can still be answered."""

    error: ChatError
    number: int | None


def is_control(packet: str, upgrades: bool) -> bool:
    """Whether `packet` is for the library: a heartbeat, a connect, an end; `upgrades`: or a step of the upgrade."""
    if packet in (PONG, CLOSE) or (upgrades and packet in (PROBE, UPGRADE)):
        return True
    if _DISCONNECT.fullmatch(packet) is not None:
        return True
    found = _CONNECT.fullmatch(packet)
    if found is None:
        return False
    if found[1] is not None:
        try:
            json_object(found[1], "auth")
            orjson.loads(found[1])  # the library reads it so
        except (BadRequest, ValueError):
            return False
    return True


def parse_event(packet: str) -> Said | Refused:
    """What a client says. Never raises."""
    found = _EVENT.fullmatch(packet)
    if found is None:
        return Refused(BadRequest("This is no packet that can be answered."), None)
    number = int(found[1]) if found[1] else None
    try:
        name, *arguments = json_list(found[2], "An event")
        verb = VERBS.get(name) if isinstance(name, str) else None
        if verb is None:
            raise BadRequest(f"The events of a client are {', '.join(VERBS)}.")
        fields = arguments[0] if arguments else {}
        if not isinstance(fields, dict) or len(arguments) > 1:
            raise BadRequest("An event has one object.")
    except BadRequest as error:
        return Refused(error, number)
    except ValueError:
        return Refused(BadRequest("An event has a name."), number)
    return Said({**fields, "type": verb}, number)


# Out. Each with its end.


def message(event: Event) -> bytes:
    """An event of the order: a message as `server-talking`, the others under their own name."""
    if event.type != "message":
        return named(event.type, event.payload)
    fields = orjson.loads(event.payload)
    author = fields["from"]
    said = {
        "text": fields["text"],
        "user": author["name"],
        "color": author["color"],
        "seq": event.seq,
        "from": author["id"],
        "to": fields["to"],
        "at": fields["at"],
    }
    if fields.get("clientId") is not None:
        said["clientId"] = fields["clientId"]
    return named("server-talking", encode_json(said))


def item(payload: bytes) -> bytes:
    """What has no place in the order, under its own name."""
    return named(orjson.loads(payload)["type"], payload)


def named(name: str, payload: bytes) -> bytes:
    """An event with one argument."""
    return b'42["%b",%b]\x1e' % (name.encode(), payload)


def answer(number: int, fields: dict[str, Any]) -> bytes:
    """The answer to what a client wanted answered."""
    return b"43%d[%b]\x1e" % (number, encode_json(fields))


def refusal(error: ChatError) -> dict[str, Any]:
    """Why something is refused: the code and the sentence, with what its kind adds."""
    return {"code": error.code, "detail": error.detail, **error.extras()}


BYE = b"41\x1e"
"""The server ends it; the client's library does not come back by itself. Without this, it does."""
