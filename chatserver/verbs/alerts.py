"""Being called: where a browser may be woken by Web Push, when not, and whom a message calls.

It follows the order. Whoever is not there is called after a second, once for a burst; whoever is online somewhere is
called where the message is still unread after `ONLINE_WAIT_S`: they may look at another device, or at none.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import json
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from enum import Enum
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson

from chatserver.core.alerts import NO_WISHES, Subscription, Wishes, wishes_of
from chatserver.core.conversations import conversation_with
from chatserver.core.errors import ChatError, InvalidField, Unauthenticated
from chatserver.core.events import Event
from chatserver.core.fields import Fields
from chatserver.core.kinds import MESSAGE
from chatserver.core.people import Login
from chatserver.core.presence import Presence
from chatserver.core.visibility import View, shows
from chatserver.store import contract
from chatserver.verbs.prices import Prices
from chatserver.verbs.sessions import Sessions
from chatserver.verbs.turns import Line, Turns
from chatserver.verbs.webpush import POINT_BYTES, SECRET_BYTES, decoded, encoded, read_keys
from chatserver.verbs.zones import local_time, zone

log = logging.getLogger(__name__)

SUBSCRIPTIONS_MAX = 20
"""Of one user: more than anybody's browsers. One more ends the oldest."""
ENDPOINT_CHARS = 1000
WAITING_MAX = 1000
"""Calls that may wait, of everybody. One more is not made: it is worth less than the memory."""
AT_ONCE = 16
"""Calls on their way, of everybody; of one user one. A push service is whatever address a user gives: one that never answers
held all of them, and nobody else was called."""
CALL_S = 60.0
"""A call has so long for all of a user's browsers, tries and pauses included."""
ONLINE_WAIT_S = 20.0
AWAY_WAIT_S = 1.0
TEXT_CHARS = 200
"""Of a message in a call, where its account wants it: a notification shows no more."""


class Outcome(Enum):
    """What became of a call."""

    SENT = "sent"
    GONE = "gone"
    FAILED = "failed"


class Sender(Protocol):
    """What brings a call to a push service."""

    @property
    def key(self) -> str:
        """The server's public key."""
        ...

    @property
    def local(self) -> bool:
        """Whether push services on this machine count, and without https: where the server itself is for it alone."""
        ...

    async def send(self, subscription: Subscription, payload: bytes, topic: str) -> Outcome:
        """Never raises. What is still on its way under the same `topic` is replaced."""
        ...


class Source(contract.Alerts, contract.Friendships, contract.History, Protocol):
    """What of the store is needed here."""


class Alerts:
    """The verbs of being called, and who calls. `clock_ms` is milliseconds since 1970."""

    def __init__(
        self,
        store: Source,
        sessions: Sessions,
        presence: Presence,
        prices: Prices,
        sender: Sender,
        clock_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._presence = presence
        self._prices = prices
        self._sender = sender
        self._clock_ms = clock_ms
        self._subscribers: set[str] = set()
        self.active: Callable[[], bool] = lambda: True
        """Whether this node calls people: of several one does, or each would call them once more."""
        self.announce: Callable[[str], object] = lambda user_id: None
        """Called with whoever begins to have a subscription: for the other nodes."""
        self._tasks: set[asyncio.Task[None]] = set()
        line = Line(AT_ONCE, 1, WAITING_MAX, "The server has too much to do at the moment.")
        self._room = Turns(AT_ONCE, line)
        """By user, so that who is hard to reach waits behind nobody but themselves."""
        self._waiting: dict[tuple[str, str | None], Event] = {}
        self.waits_s = (AWAY_WAIT_S, ONLINE_WAIT_S)
        self.counts: dict[str, int] = {"dropped": 0, **{one.value: 0 for one in Outcome}}

    async def start(self) -> None:
        """Learn who may be called."""
        self._subscribers = await self._store.subscribers()

    async def close(self) -> None:
        """What has not been called is not called any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # What people do.

    async def wishes(self, user_id: str) -> dict[str, Any]:
        """What the account says, and the key that a browser subscribes with."""
        return {**(await self._wishes(user_id)).as_fields(), "key": self._sender.key}

    async def wish(self, user_id: str, fields: Fields) -> dict[str, Any]:
        """Change what is given. Raises `InvalidField` and `RateLimited`."""
        wishes = wishes_of(fields, await self._wishes(user_id))
        zone(wishes.zone)
        self._prices.alerts.pay(user_id)
        await self._store.set_wishes(user_id, json.dumps(wishes.as_fields()))
        return await self.wishes(user_id)

    async def subscribe(self, login: Login, fields: Fields) -> None:
        """Let this browser be called as long as its login lives. Raises `InvalidField` and `RateLimited`."""
        endpoint = self._endpoint(fields.get("endpoint"))
        p256dh, auth = _key(fields, "p256dh", POINT_BYTES), _key(fields, "auth", SECRET_BYTES)
        try:
            read_keys(p256dh, auth)
        except ValueError as error:
            raise InvalidField("p256dh", _NO_KEY) from error
        self._prices.alerts.pay(login.user_id)
        kept = Subscription(endpoint, login.user_id, login.id, p256dh, auth, self._clock_ms())
        if not await self._store.add_subscription(kept, SUBSCRIPTIONS_MAX):
            raise Unauthenticated("You are signed out.")
        self.note_subscriber(login.user_id)
        self.announce(login.user_id)

    async def unsubscribe(self, user_id: str, fields: Fields) -> None:
        """Call this browser no more. Raises `InvalidField` and `RateLimited`."""
        endpoint = fields.get("endpoint")
        # No other text is kept; half a surrogate pair could not even be looked for.
        refusal = InvalidField("endpoint", "It must be the address of a push service.")
        if not isinstance(endpoint, str) or not endpoint.isascii():
            raise refusal
        if not 1 <= len(endpoint) <= ENDPOINT_CHARS:
            raise refusal
        self._prices.alerts.pay(user_id)
        await self._store.drop_subscription(user_id, endpoint)

    def _endpoint(self, given: object) -> str:
        """An address that this server may be made to ask: of another host, by https. Names are looked at when they are resolved."""
        refusal = InvalidField("endpoint", "It must be the https address of a push service.")
        if not isinstance(given, str) or not given.isascii() or len(given) > ENDPOINT_CHARS:
            raise refusal
        try:
            parts = urlsplit(given)
            host, _ = parts.hostname, parts.port
        except ValueError as error:
            raise refusal from error
        if not host or parts.username is not None or parts.fragment or not given.isprintable():
            raise refusal
        allowed = ("https", "http") if self._sender.local else ("https",)
        if parts.scheme not in allowed or not (self._sender.local or is_public(host)):
            raise refusal
        return given

    async def _wishes(self, user_id: str) -> Wishes:
        kept = await self._store.wishes(user_id)
        return NO_WISHES if kept is None else wishes_of(orjson.loads(kept))

    # Whom a message calls.

    def note_subscriber(self, user_id: str) -> None:
        """This user has a subscription now, whichever node it came by."""
        self._subscribers.add(user_id)

    def follow(self, events: Sequence[Event]) -> None:
        """Call whom a message concerns, later: nothing here waits."""
        if not self._subscribers:
            return
        for event in events:
            if event.type == MESSAGE.name and self.active():
                self._later(self._announce(event))

    def _later(self, work: Coroutine[Any, Any, None]) -> bool:
        """Whether there was room for it: else it is counted, and never begins."""
        if len(self._tasks) >= WAITING_MAX:
            self.counts["dropped"] += 1
            work.close()
            return False
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _announce(self, event: Event) -> None:
        try:
            for user_id in await self._called_by(event):
                key = (user_id, event.actor if event.to else None)
                # What waits without a call would never be called: a burst can take all the room before its first call.
                if key in self._waiting or self._later(self._call(key)):
                    self._waiting[key] = event
        except ChatError as error:
            log.debug("nobody was called: %s", error.detail)

    async def _called_by(self, event: Event) -> list[str]:
        """Who has a subscription, and may see it."""
        since, *_ = await self._store.friends_since(event.actor)
        found = []
        for user_id in [event.to] if event.to else since.keys() & self._subscribers:
            if user_id in self._subscribers and user_id in since and user_id != event.actor:
                view = View(user_id, {event.actor: since[user_id]})
                if shows(view, event.seq, event.audience, event.actor, event.to):
                    found.append(user_id)
        return found

    async def _call(self, key: tuple[str, str | None]) -> None:
        user_id, peer = key
        await asyncio.sleep(self.waits_s[self._presence.is_online(user_id)])
        try:
            async with self._room.turn(user_id), asyncio.timeout(CALL_S):
                await self._call_now(user_id, peer, self._waiting.pop(key))
        except TimeoutError:
            self.counts[Outcome.FAILED.value] += 1
        except ChatError as error:
            log.debug("somebody was not called: %s", error.detail)

    async def _call_now(self, user_id: str, peer: str | None, event: Event) -> None:
        wishes = await self._wishes(user_id)
        if (peer or "") in wishes.muted or wishes.is_quiet(self._minute(wishes.zone)):
            return
        if await self._store.read_position(user_id, conversation_with(peer)) >= event.seq:
            return
        if not (await self._store.friends_since(user_id))[0].keys() >= {event.actor}:
            return
        payload = _payload(event, user_id, peer, wishes.text)
        topic = encoded(hashlib.sha256(f"{user_id} {peer}".encode()).digest()[:24])
        await self._send_to_all(user_id, payload, topic)

    async def _send_to_all(self, user_id: str, payload: bytes, topic: str) -> None:
        living = {
            login.id
            for kind in ("cookie", "token")
            for login in await self._sessions.listed(user_id, kind)
        }
        kept = 0
        for subscription in await self._store.subscriptions(user_id):
            outcome = Outcome.GONE
            if subscription.login_id in living:
                outcome = await self._sender.send(subscription, payload, topic)
                self.counts[outcome.value] += 1
            if outcome is Outcome.GONE:
                await self._store.drop_subscription(user_id, subscription.endpoint)
            else:
                kept += 1
        if not kept:
            self._subscribers.discard(user_id)

    def _minute(self, zone_name: str) -> int:
        here = local_time(self._clock_ms(), zone_name)
        return here.hour * 60 + here.minute


_NO_KEY = "It must be the key of a browser, as base64url."


def _key(fields: Fields, name: str, length: int) -> str:
    """Raises `InvalidField`."""
    given = fields.get(name)
    try:
        if isinstance(given, str) and len(given) < 2 * length and len(decoded(given)) == length:
            return given
    except ValueError:
        pass
    raise InvalidField(name, _NO_KEY)


def is_public(host: str) -> bool:
    """Whether a host of an address may be one of the internet: a literal address of this machine or its network is none."""
    try:
        where = ipaddress.ip_address(host)
        return where.is_global and not where.is_multicast
    except ValueError:
        return "." in host.rstrip(".") and not host.rstrip(".").endswith((".local", ".localhost"))


def _payload(event: Event, user_id: str, peer: str | None, with_text: bool) -> bytes:
    """What the browser is told: for whom, from whom, in which conversation; the text where the account wants it."""
    message = orjson.loads(event.payload)
    told = {
        "user": user_id,
        "with": peer,
        "name": message["from"]["name"],
        "seq": event.seq,
        "at": int(time.time() * 1000),
    }
    if with_text:
        told["text"] = message["text"][:TEXT_CHARS]
    return orjson.dumps(told)
