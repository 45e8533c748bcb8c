"""The shapes of the protocol as JSON Schemas: what `core.vocabulary` and the verbs put into answers, by name.

A shape is open: a later version may add members. The bounds of what clients send are in `site.api.inputs`.
"""

from __future__ import annotations

from typing import Any

from chatserver.core.events import MAX_SEQ
from chatserver.site.api.rows import Schema


def ref(name: str) -> Schema:
    """The shape of this name."""
    return {"$ref": f"#/components/schemas/{name}"}


def record(does: str, optional: dict[str, Schema] | None = None, **members: Schema) -> Schema:
    """An object with all of these members, and perhaps the optional ones."""
    found: Schema = {
        "type": "object",
        "description": does,
        "properties": members | (optional or {}),
    }
    if members:
        found["required"] = list(members)
    return found


def listed(item: Schema) -> Schema:
    """An array of these."""
    return {"type": "array", "items": item}


def or_null(schema: Schema) -> Schema:
    """This, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def only(*values: Any) -> Schema:
    """One of these values."""
    return {"const": values[0]} if len(values) == 1 else {"enum": list(values)}


ID: Schema = {"type": "string", "minLength": 1, "description": "An opaque id."}
TEXT: Schema = {"type": "string"}
SWITCH: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
SEQ: Schema = {
    "type": "integer",
    "minimum": 0,
    "maximum": MAX_SEQ,
    "description": "A position in the one order of the service.",
}
MS: Schema = {"type": "integer", "minimum": 0, "description": "Milliseconds since 1970, UTC."}
COLOR: Schema = {"type": "string", "pattern": "^#[0-9a-f]{6}$"}
RELATION: Schema = only("none", "friend", "incoming", "outgoing")

_LOOKS_LIKE: dict[str, Schema] = {
    "looksLike": {**ID, "description": "A friend whose name looks the same."}
}
_SET_APART: dict[str, Schema] = {
    "inCommon": {**COUNT, "description": "Friends that both have; of the first strangers only."},
    "email": {**TEXT, "description": "Where the query is this address, whole."},
}
_USER: dict[str, Schema] = {
    "id": ID,
    "firstName": TEXT,
    "lastName": TEXT,
    "name": TEXT,
    "color": COLOR,
}


def _event(does: str, type_: str, **members: Schema) -> Schema:
    return record(does, seq=SEQ, type=only(type_), at=MS, **members)


def _signal(does: str, type_: str, **members: Schema) -> Schema:
    return record(does, type=only(type_), **members)


_PEOPLE: dict[str, Schema] = {
    "User": record("Somebody, as everybody may see them.", **_USER),
    "OwnUser": record("Oneself.", **_USER, email=TEXT, zone=TEXT),
    "Stranger": record("Somebody who asks for friendship.", _LOOKS_LIKE, **_USER),
    "FoundUser": record(
        "Somebody, and what they are to the one who asks.",
        _LOOKS_LIKE | _SET_APART,
        **_USER,
        relation=RELATION,
    ),
    "FriendUser": record(
        "A friend, and whether they are here.",
        {
            "endsIn": {
                **COUNT,
                "description": "One has ended this friendship, and may take that back for so many seconds.",
            }
        },
        **_USER,
        online=SWITCH,
        lastSeen=or_null(MS),
    ),
    "Author": record("Who wrote a message.", id=ID, name=TEXT, color=COLOR),
}

_MESSAGE: dict[str, Schema] = {
    "from": ref("Author"),
    "to": or_null(ID),
    "text": TEXT,
    "clientId": or_null(TEXT),
}

_EVENTS: dict[str, Schema] = {
    "Message": _event(
        "A message; `to` is null where it goes to all friends.", "message", **_MESSAGE
    ),
    "LastMessage": record(
        "A message as it stands in a list of conversations.",
        {"cut": {"const": True, "description": "`text` is the beginning of a longer one."}},
        seq=SEQ,
        type=only("message"),
        at=MS,
        **_MESSAGE,
    ),
    "FriendEvent": _event(
        "What another is to the one who reads, from here on.",
        "friend",
        user=ref("User"),
        relation=RELATION,
    ),
    "ProfileEvent": _event("A user's new public fields.", "profile", user=ref("User")),
    "ReadEvent": _event(
        "How far a user has read.", "read", user=ID, **{"with": or_null(ID)}, upTo=SEQ
    ),
    "Reset": record(
        "Exact resumption is impossible: load friends and messages again, and go on from `seq`.",
        seq=SEQ,
        type=only("reset"),
        lost=only("all"),
        reason=TEXT,
    ),
}

_SIGNALS: dict[str, Schema] = {
    "WholePresence": _signal("Who of the friends is here.", "presence", online=listed(ID)),
    "Presence": _signal(
        "A friend came or went.", "presence", user=ID, online=SWITCH, lastSeen=or_null(MS)
    ),
    "Typing": _signal("Somebody is writing.", "typing", **{"from": ID, "to": or_null(ID)}),
    "Ping": _signal("The heartbeat of a stream.", "ping", at=MS),
    "Bye": _signal(
        "The server ends this connection.", "bye", reason=TEXT, reconnectIn=COUNT, retry=SWITCH
    ),
    "Hello": _signal(
        "The first item of a stream; it goes on from `seq`.",
        "hello",
        seq=SEQ,
        user=ref("User"),
        heartbeat=COUNT,
        resumed=SWITCH,
    ),
}

_LOGINS: dict[str, Schema] = {
    "IssuedToken": record(
        "A bearer token, shown this once.", id=ID, token=TEXT, label=TEXT, expiresAt=or_null(MS)
    ),
    "Token": record(
        "A bearer token without its secret.",
        id=ID,
        label=TEXT,
        createdAt=MS,
        expiresAt=or_null(MS),
        lastUsedAt=or_null(MS),
    ),
    "Device": record(
        "A browser that is signed in.",
        id=ID,
        createdAt=MS,
        lastUsedAt=or_null(MS),
        userAgent=TEXT,
        current=SWITCH,
    ),
}

_ANSWERS: dict[str, Schema] = {
    "Me": record("", user=ref("OwnUser")),
    "Visitor": record("", user=or_null(ref("OwnUser"))),
    "Tokens": record("", tokens=listed(ref("Token"))),
    "Devices": record("", sessions=listed(ref("Device"))),
    "Found": record("", users=listed(ref("FoundUser"))),
    "Users": record("", users=listed(ref("User"))),
    "Friends": record(
        "True at `seq`. `incoming` are the oldest requests, `incomingCount` is how many there are.",
        friends=listed(ref("FriendUser")),
        incoming=listed(ref("Stranger")),
        incomingCount=COUNT,
        outgoing=listed(ref("User")),
        seq=SEQ,
    ),
    "Ending": record("", endsIn={**COUNT, "description": "Seconds."}),
    "Relation": record("", relation=RELATION),
    "Place": record("Where a message stands.", seq=SEQ, at=MS, clientId=or_null(TEXT)),
    "History": record(
        "Messages in ascending order, true at `seq`; `more`: there are others on the far side.",
        messages=listed(ref("Message")),
        more=SWITCH,
        seq=SEQ,
    ),
    "Conversations": record(
        "True at `seq`. `last` is the newest message that one may see; of a long one the beginning, with `cut`.",
        conversations=listed(
            record(
                "",
                **{"with": or_null(ID)},
                last=or_null(ref("LastMessage")),
                unread=COUNT,
                readUpTo=SEQ,
            )
        ),
        seq=SEQ,
    ),
    "ReadState": record(
        "Own positions, those of friends in what is between us, and unread messages; true at `seq`.",
        read=listed(record("", **{"with": or_null(ID)}, upTo=SEQ)),
        peers=listed(record("", user=ID, upTo=SEQ)),
        unread=listed(record("", **{"with": or_null(ID)}, count=COUNT)),
        seq=SEQ,
    ),
    "Wishes": record(
        "Minutes are of the day in `zone`; equal ones: never quiet. `muted`: friends' ids, '' for the broadcasts.",
        text=SWITCH,
        quietFrom=COUNT,
        quietTo=COUNT,
        zone=TEXT,
        muted=listed(TEXT),
        key=TEXT,
    ),
    "Item": {
        "description": "What a reader is handed: an event, a reset or a signal.",
        "anyOf": [ref(name) for name in (*_EVENTS, *_SIGNALS) if name != "Hello"],
    },
    "PollAnswer": record(
        "`cursor` is the next `after`; `timeout` is how many milliseconds to give the next poll.",
        cursor=COUNT,
        events=listed(ref("Item")),
        more=SWITCH,
        timeout=COUNT,
    ),
    "Lanes": record(
        "`socketio`: whether Socket.IO clients are answered here.",
        socketio=SWITCH,
        lanes=listed(
            record(
                "What a client has cost, headers included.",
                client=TEXT,
                transport=only("websocket", "sse", "longpoll", "socketio"),
                requests=COUNT,
                bytesUp=COUNT,
                bytesDown=COUNT,
            )
        ),
    ),
    "Alive": record("", status=only("ok")),
    "Ready": record("", status=only("ready")),
    "Text": {"type": "string"},
    "Description": {"type": "object", "description": "This document.", "required": ["openapi"]},
}

PROBLEM: Schema = record(
    "A refusal (RFC 9457). `detail` is a sentence for people, `code` what programs go by.",
    optional={
        "field": {"type": "string", "description": "Which field breaks a rule."},
        "retryAfter": {"type": "integer", "minimum": 1, "description": "Seconds."},
    },
    type=only("about:blank"),
    title=TEXT,
    status={"type": "integer"},
    detail=TEXT,
    code=TEXT,
)

SHAPES: dict[str, Schema] = {
    **_PEOPLE,
    **_EVENTS,
    **_SIGNALS,
    **_LOGINS,
    **_ANSWERS,
    "Problem": PROBLEM,
}
"""Every shape by its name in the document."""
