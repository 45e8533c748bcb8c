"""Every item of the protocol, one function each: what stands in it, and in which order (`docs/protocol.md`).

Drafts become events in the journal; signals pass; the rest is for one connection, as JSON. Framing is
`core.framing`'s, refusals by HTTP are `core.errors`'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chatserver.core.changes import (
    AccountEnd,
    BlockChange,
    FriendChange,
    LoginsEnd,
    PasswordChange,
    ProfileChange,
    ReadChange,
)
from chatserver.core.conversations import Conversation, Page, ReadState, Standings, peer_of
from chatserver.core.errors import ChatError, Ending
from chatserver.core.events import Draft, Signal, encode_json, make_signal, passing_json
from chatserver.core.kinds import FRIEND, MESSAGE, NOTICE, PROFILE, READ
from chatserver.core.people import Account, User

# People.


def user(who: User) -> dict[str, str]:
    """The `user` object."""
    return {
        "id": who.id,
        "firstName": who.first_name,
        "lastName": who.last_name,
        "name": who.name,
        "color": who.color,
    }


def stranger(who: User, looks_like: str | None) -> dict[str, str]:
    """The `user` object of somebody who is no friend; `looks_like` is the friend whose name looks the same."""
    return user(who) if looks_like is None else {**user(who), "looksLike": looks_like}


def own_user(account: Account) -> dict[str, str]:
    """The `user` object as its owner sees it."""
    return {**user(account.user), "email": account.email, "zone": account.zone}


def author(who: User) -> dict[str, str]:
    """The `from` of a message."""
    return {"id": who.id, "name": who.name, "color": who.color}


# Events.


def message(
    sender: Mapping[str, str], conversation: Conversation, text: str, client_id: str | None
) -> Draft:
    """A message of `sender` (see `author`)."""
    to = peer_of(conversation)
    fields = {"from": sender, "to": to, "text": text, "clientId": client_id}
    audience = MESSAGE.to_all if to is None else MESSAGE.audience(conversation)
    return Draft("message", audience, sender["id"], to, fields, client_id)


def friend(one: User, other: User, relations: tuple[str, str], change: FriendChange) -> list[Draft]:
    """The two events of one change: to `one` about `other`, and the other way round. It stands at the first."""
    first = {"user": user(other), "relation": relations[0]}
    second = {"user": user(one), "relation": relations[1]}
    return [
        Draft(FRIEND.name, FRIEND.to_all, one.id, None, first, change=change),
        Draft(FRIEND.name, FRIEND.to_all, other.id, None, second),
    ]


def profile(who: User) -> Draft:
    """New public fields of `who`."""
    change = ProfileChange(who.id, who.first_name, who.last_name, who.color)
    return Draft(PROFILE.name, PROFILE.to_all, who.id, None, {"user": user(who)}, change=change)


def account_end(who: User) -> Draft:
    """The account of `who` is no more; its friendships have ended before."""
    fields = {"user": user(who)}
    return Draft(PROFILE.name, PROFILE.to_all, who.id, None, fields, change=AccountEnd(who.id))


def read(user_id: str, conversation: Conversation, up_to: int) -> Draft:
    """How far a user has read a conversation."""
    peer = peer_of(conversation)
    fields = {"user": user_id, "with": peer, "upTo": up_to}
    change = ReadChange(user_id, conversation, up_to)
    return Draft(READ.name, READ.audience(conversation), user_id, peer, fields, change=change)


def notice(change: LoginsEnd | PasswordChange | BlockChange) -> Draft:
    """A change in the order that no user sees."""
    return Draft(NOTICE.name, NOTICE.to_all, change.user_id, None, {}, change=change)


# Signals.


def presence(user_id: str, online: bool, last_seen_ms: int, coming: int = 0) -> Signal:
    """Somebody came or went."""
    payload = b'{"type":"presence","user":%b,"online":%b,"lastSeen":%d}' % (
        encode_json(user_id),
        b"true" if online else b"false",
        last_seen_ms,
    )
    return Signal("presence", user_id, payload, coming)


def whole_presence(online: Iterable[str]) -> Signal:
    """Who of the friends is online, right after `hello`."""
    return make_signal("presence", "", {"online": list(online)})


def typing(user_id: str, conversation: Conversation) -> Signal:
    """Somebody is writing."""
    return make_signal("typing", user_id, {"from": user_id, "to": peer_of(conversation)})


def ping(at_ms: int) -> Signal:
    """The heartbeat of a stream."""
    return make_signal("ping", "", {"at": at_ms})


def bye(ending: Ending, reconnect_ms: int) -> Signal:
    """What one connection is told before the server ends it."""
    fields = {
        "reason": ending.reason,
        "reconnectIn": reconnect_ms if ending.retry else 0,
        "retry": ending.retry,
    }
    return make_signal("bye", "", fields)


# For one connection.


def hello(who: User, seq: int, heartbeat_s: float, resumed: bool) -> bytes:
    """The first item of a stream; `seq` is the cursor from which it goes on. To be sent, and not to be kept."""
    return passing_json(
        {
            "type": "hello",
            "seq": seq,
            "user": user(who),
            "heartbeat": round(heartbeat_s),
            "resumed": resumed,
        }
    )


def reset(seq: int, reason: str) -> bytes:
    """Exact resumption is impossible: go on from `seq`."""
    return encode_json({"seq": seq, "type": "reset", "lost": "all", "reason": reason})


def ack(client_id: Any, seq: int, at_ms: int) -> bytes:
    """A message sent on a WebSocket is durable. To be sent, and not to be kept (`passing_json`)."""
    return passing_json({"type": "ack", "clientId": client_id, "seq": seq, "at": at_ms})


def error(refusal: ChatError, client_id: Any) -> bytes:
    """A frame of a WebSocket is refused."""
    fields: dict[str, Any] = {"type": "error"}
    # Half a surrogate pair, for one, has no place in an answer.
    if isinstance(client_id, str) and client_id.isprintable():
        fields["clientId"] = client_id
    return encode_json(
        fields | {"code": refusal.code, "detail": refusal.detail, **refusal.extras()}
    )


PONG = encode_json({"type": "pong"})
"""The answer to a `ping` frame."""


# Answers.


def poll_answer(cursor: int, payloads: Iterable[bytes], more: bool, timeout_ms: int) -> bytes:
    """The answer to a poll, made of payloads that are JSON already."""
    return b'{"cursor":%d,"events":[%b],"more":%b,"timeout":%d}' % (
        cursor,
        b",".join(payloads),
        b"true" if more else b"false",
        timeout_ms,
    )


def history(page: Page) -> bytes:
    """A page of messages, as they were first encoded."""
    messages = b",".join([event.payload for event in page.events])
    rest = encode_json({"more": page.more, "seq": page.seq})
    return b'{"messages":[' + messages + b"]," + rest[1:]


def conversations(found: Standings) -> bytes:
    """Where each of one's conversations stands; messages as they were first encoded."""
    rows = [
        b'{"with":%b,"last":%b,"unread":%d,"readUpTo":%d}'
        % (
            encode_json(peer_of(one.conversation)),
            b"null" if one.last is None else one.last.payload,
            one.unread,
            one.read_up_to,
        )
        for one in found.standings
    ]
    return b'{"conversations":[%b],"seq":%d}' % (b",".join(rows), found.seq)


def read_state(state: ReadState) -> dict[str, Any]:
    """Own positions, how far friends have read, and unread counts."""
    return {
        "read": [{"with": peer_of(talk), "upTo": seq} for talk, seq in state.own.items()],
        "peers": [{"user": peer, "upTo": seq} for peer, seq in state.peers.items()],
        "unread": [{"with": peer_of(talk), "count": count} for talk, count in state.unread.items()],
        "seq": state.seq,
    }


def alive() -> dict[str, str]:
    """The server's loop turns."""
    return {"status": "ok"}
