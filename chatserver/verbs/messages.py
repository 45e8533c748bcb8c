"""Floor 2: what people do with each other. Messages, read positions, typing.

Each verb validates what a client sent, decides, and puts what follows into the journal; nothing here knows a
socket or HTTP. Accounts are in `chatserver.verbs.accounts`, friends in
`chatserver.verbs.friendships`.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Protocol

from chatserver.core import fields as rules
from chatserver.core.bounded import Bounded
from chatserver.core.changes import ReadChange
from chatserver.core.conversations import Page, Range
from chatserver.core.errors import (
    ChatError,
    Ending,
    Forbidden,
    InvalidField,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from chatserver.core.events import Audience, Draft, encode_json
from chatserver.core.fields import Fields
from chatserver.core.limits import Limits
from chatserver.core.people import User
from chatserver.core.prices import Buckets
from chatserver.journal.contract import Appended, Journal, Told, settle
from chatserver.store.contract import Store

USERS_REMEMBERED = 50_000
POSITIONS_REMEMBERED = 50_000

SEARCH_DEFAULT = 20
HISTORY_DEFAULT = 50


class Delivery(Protocol):
    """What of `chatserver.delivery.delivery` is needed here."""

    @property
    def head_seq(self) -> int: ...

    def online(self, user_id: str) -> bool: ...

    async def caught_up(self, seq: int) -> None: ...

    def view_is_open(self, user_id: str) -> bool: ...

    def friend_since(self, user_id: str, other_id: str) -> int | None: ...

    def typing(self, from_id: str, to_id: str | None) -> None: ...

    def end_logins(self, login_ids: Iterable[str], ending: Ending = ...) -> None: ...

    def end_user(self, user_id: str) -> None: ...


_Message = tuple[str | None, str, str | None]
"""What a client wants to say, checked: to whom, text, `client_id`."""


class Service:
    """The verbs. `clock_s` is monotonic seconds; `on_append` is told how long a message took to be durable."""

    def __init__(
        self,
        store: Store,
        journal: Journal,
        delivery: Delivery,
        limits: Limits,
        clock_s: Callable[[], float],
        on_append: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self._store = store
        self._journal = journal
        self._delivery = delivery
        self._limits = limits
        self._clock_s = clock_s
        self._on_append = on_append
        self._users: Bounded[str, User] = Bounded(USERS_REMEMBERED)
        self._users_generation = 0
        # `from` of a message, made once for each state of a profile.
        self._authors: Bounded[str, tuple[User, dict[str, str]]] = Bounded(USERS_REMEMBERED)
        self._leaving: set[str] = set()
        self._sending = Buckets(limits.send_rate, limits.send_burst)
        self._typing = Buckets(limits.send_rate, limits.send_burst)
        self._reading: weakref.WeakValueDictionary[tuple[str, str | None], _Reading] = (
            weakref.WeakValueDictionary()
        )
        self._positions: Bounded[tuple[str, str | None], int] = Bounded(POSITIONS_REMEMBERED)

    # Users.

    def known_user(self, user_id: str) -> User | None:
        """The user, if in memory."""
        return self._users.get(user_id)

    async def user(self, user_id: str) -> User:
        """The user of a login. Raises `Unauthenticated` where there is none any more."""
        user = self._users.get(user_id)
        while user is None:
            generation = self._users_generation
            user = (await self._store.users([user_id])).get(user_id)
            if user is None or user_id in self._leaving:
                raise Unauthenticated("This account is no more.")
            # A profile that changed while it was read may have been read as it was before.
            if generation == self._users_generation:
                self._users.put(user_id, user)
            else:
                user = None
        return user

    def forget_user(self, user_id: str) -> None:
        """The profile has changed: read it anew when it is needed."""
        self._users_generation += 1
        self._users.forget(user_id)

    def begin_leaving(self, user_id: str) -> None:
        """The account is being deleted: nothing more is taken from it."""
        self._leaving.add(user_id)
        self.forget_user(user_id)

    def is_leaving(self, user_id: str) -> bool:
        """Whether the account is being deleted."""
        return user_id in self._leaving

    def end_leaving(self, user_id: str) -> None:
        """The account is gone, or stays after all."""
        self._leaving.discard(user_id)

    # Messages.

    async def submit(self, user_id: str, fields: Fields, told: Told) -> None:
        """Give a message its place; `told` hears where it is once it is durable, or why it is not.

        Awaits nothing where the sender's mailbox is open (or `to` is absent) and the message is new, so
        messages submitted one after another stand in that order. A `clientId` that was used before
        gets its first place, whatever else is wrong with the repeat. Raises, and tells nothing then:
        `InvalidField`, `RateLimited`, `Forbidden` (`to` is no friend), `Unavailable`.
        """
        user = self._users.get(user_id) or await self.user(user_id)
        message = self._read_message(user_id, fields)
        if not self._place(user, message, told):
            await self._place_or_refuse(user, message, told)

    def submit_now(self, user_id: str, fields: Fields, told: Told) -> bool:
        """As `submit`; False, and nothing has happened, where that would have to look something up."""
        user = self._users.get(user_id)
        return user is not None and self._place(user, self._read_message(user_id, fields), told)

    async def send(self, user_id: str, fields: Fields) -> Appended:
        """As `submit`, and wait until it is durable."""
        future: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        await self.submit(user_id, fields, partial(settle, future))
        # A request that ends early does not take back a message that has its place: nobody hears of it then.
        return await future

    def _read_message(self, user_id: str, fields: Fields) -> _Message:
        client_id = rules.client_id(fields.get("clientId"))
        text = rules.text(fields.get("text"), self._limits.text_chars)
        to = rules.optional_id(fields.get("to"), "to")
        if to == user_id:
            raise InvalidField("to", "You cannot write to yourself.")
        return to, text, client_id

    def _place(self, user: User, message: _Message, told: Told) -> bool:
        """Place what can be placed at once; False, and no rate is spent, for everything else."""
        to, _, client_id = message
        if client_id is not None and self._journal.is_placed(user.id, client_id):
            self._append_message(user, message, told, spent=False)
            return True
        if to is not None and not (
            self._delivery.view_is_open(user.id)
            and self._delivery.friend_since(user.id, to) is not None
        ):
            return False
        if self._sending.take(user.id, self._clock_s()):
            return False
        self._append_message(user, message, told, spent=True)
        return True

    async def _place_or_refuse(self, user: User, message: _Message, told: Told) -> None:
        to, _, client_id = message
        refusal: ChatError | None = None
        wait_s = self._sending.take(user.id, self._clock_s())
        if wait_s:
            refusal = RateLimited("You are writing too fast.", wait_s)
        elif to is not None and not await self._are_friends(user.id, to):
            refusal = Forbidden("You can write to friends only.")
        if refusal is None:
            self._append_message(user, message, told, spent=True)
            return
        # The answer to a repeat of an earlier message is always that message's place.
        first = client_id and await self._store.find_message(user.id, client_id)
        if not first:
            raise refusal
        if not wait_s:
            self._sending.give_back(user.id)
        told(Appended(first[0], first[1], True))

    def _append_message(self, user: User, message: _Message, told: Told, spent: bool) -> None:
        to, text, client_id = message
        audience = Audience.FRIENDS if to is None else Audience.PAIR
        shown = {
            "from": self._author(user),
            "to": to,
            "text": text,
            "clientId": client_id,
        }
        draft = Draft("message", audience, user.id, to, shown, client_id)
        self._journal.place(
            draft, partial(self._appended, told, user.id if spent else None, self._clock_s())
        )

    def _author(self, user: User) -> dict[str, str]:
        kept = self._authors.get(user.id)
        if kept is None or kept[0] is not user:
            kept = (user, {"id": user.id, "name": user.name, "color": user.color})
            self._authors.put(user.id, kept)
        return kept[1]

    def _appended(
        self, told: Told, spender: str | None, began_s: float, answer: Appended | Unavailable
    ) -> None:
        if isinstance(answer, Appended):
            self._on_append(self._clock_s() - began_s)
            if answer.duplicate and spender is not None:
                self._sending.give_back(spender)
        told(answer)

    async def _are_friends(self, user_id: str, other_id: str) -> bool:
        if self._delivery.view_is_open(user_id):
            return self._delivery.friend_since(user_id, other_id) is not None
        return await self._store.relation(user_id, other_id) == "friend"

    async def history(self, user_id: str, part: Range) -> bytes:
        """The JSON of a page of messages, as they were first encoded."""
        page: Page = await self._store.history(
            user_id, part.peer, part.before, part.after, part.limit
        )
        await self._delivery.caught_up(page.seq)
        messages = b",".join([event.payload for event in page.events])
        rest = encode_json({"more": page.more, "seq": page.seq})
        return b'{"messages":[' + messages + b"]," + rest[1:]

    async def typing(self, user_id: str, fields: Fields) -> None:
        """Tell the friends, or the one friend, that somebody is typing. Too often: told to nobody."""
        to = rules.optional_id(fields.get("to"), "to")
        if to == user_id:
            raise InvalidField("to", "You cannot write to yourself.")
        if to is not None and not await self._are_friends(user_id, to):
            raise Forbidden("You can write to friends only.")
        if not self._typing.take(user_id, self._clock_s()):
            self._delivery.typing(user_id, to)

    # Read positions.

    async def read(self, user_id: str, fields: Fields) -> None:
        """Move a read position forward. A smaller one than before changes nothing."""
        peer = rules.optional_id(fields.get("with"), "with")
        up_to = min(rules.seq(fields.get("upTo"), "upTo"), self._delivery.head_seq)
        if peer == user_id:
            raise InvalidField("with", "You have no conversation with yourself.")
        if peer is not None and not await self._are_friends(user_id, peer):
            raise Forbidden("You can read with friends only.")
        key = (user_id, peer)
        reading = self._reading.get(key)
        if reading is None:
            reading = self._reading[key] = _Reading()
        # Positions that come while one is being written are written as one: the furthest.
        reading.up_to = max(reading.up_to, up_to)
        async with reading.lock:
            position = self._positions.get(key)
            if position is None:
                position = (await self._store.read_state(user_id)).own.get(peer, 0)
            if reading.up_to > position:
                position = reading.up_to
                await self._append_read(user_id, peer, position)
            self._positions.put(key, position)

    async def _append_read(self, user_id: str, peer: str | None, up_to: int) -> None:
        audience = Audience.SELF if peer is None else Audience.PAIR
        shown = {"user": user_id, "with": peer, "upTo": up_to}
        change = ReadChange(user_id, peer, up_to)
        await self._journal.append(Draft("read", audience, user_id, peer, shown, change=change))

    async def read_state(self, user_id: str) -> dict[str, Any]:
        """Own positions, how far friends have read, and unread counts."""
        state = await self._store.read_state(user_id)
        await self._delivery.caught_up(state.seq)
        return {
            "read": [{"with": peer, "upTo": seq} for peer, seq in state.own.items()],
            "peers": [{"user": peer, "upTo": seq} for peer, seq in state.peers.items()],
            "unread": [{"with": peer, "count": count} for peer, count in state.unread.items()],
            "seq": state.seq,
        }


class _Reading:
    """A read position on its way: the furthest asked for, and whose turn it is."""

    __slots__ = ("__weakref__", "lock", "up_to")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.up_to = 0
