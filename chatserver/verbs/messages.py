"""Writing, typing, and reading what was written.

Each verb validates what a client sent, decides, and puts what follows into the journal; nothing here knows a
socket or HTTP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from chatserver.core import fields as rules
from chatserver.core import vocabulary
from chatserver.core.bounded import Bounded
from chatserver.core.conversations import BROADCASTS, Conversation, Direct, Range, peer_of
from chatserver.core.errors import ChatError, Forbidden, InvalidField, Unavailable
from chatserver.core.events import Event
from chatserver.core.fields import Fields
from chatserver.core.histogram import Histogram
from chatserver.core.kinds import MESSAGE
from chatserver.core.people import User
from chatserver.core.prices import Payment, free_of_charge
from chatserver.journal.contract import Answer, Appended, Journal, Signals, settle
from chatserver.store.contract import History
from chatserver.verbs.friendships import Friendships
from chatserver.verbs.prices import Prices
from chatserver.verbs.users import USERS_REMEMBERED, Users

APPEND_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
"""From a group commit on a fast disk to what a person would notice."""


_Message = tuple[Conversation, str, str | None]
"""What a client wants to say, checked: where, text, `client_id`."""


class Messages:
    """The verbs of messages."""

    def __init__(
        self,
        store: History,
        journal: Journal,
        signals: Signals,
        users: Users,
        friendships: Friendships,
        prices: Prices,
    ) -> None:
        self._store = store
        self._journal = journal
        self._signals = signals
        self._users = users
        self._friendships = friendships
        self._prices = prices
        self._sending = prices.sending
        self._clock_s = prices.clock_s
        self._text_chars = prices.limits.text_chars
        self.append_s = Histogram(APPEND_SECONDS)
        """How long messages took to be durable."""
        self._own: set[int] | None = None
        # `from` of a message, made once for each state of a profile.
        self._authors: Bounded[str, tuple[User, dict[str, str]]] = Bounded(USERS_REMEMBERED)

    def count_others(self) -> None:
        """Let a user's rate hold for all nodes together: what they write at another one counts here when it is followed."""
        self._own = set()

    @property
    def counts_others(self) -> bool:
        """Whether there are others to be counted."""
        return self._own is not None

    def follow(self, events: Sequence[Event]) -> None:
        """Take from the rates what was written at other nodes."""
        own = self._own
        assert own is not None, "nobody else is counted"
        for event in events:
            if event.type == MESSAGE.name:
                if event.seq in own:
                    own.remove(event.seq)
                else:
                    self._sending.spent_elsewhere(event.actor)

    async def submit(self, user_id: str, fields: Fields, answer: Answer) -> None:
        """Give a message its place; `answer` hears where it is once it is durable, or why it is not.

        Awaits nothing where the sender's mailbox is open (or `to` is absent) and the message is new, so
        messages submitted one after another stand in that order. A `clientId` that was used before
        gets its first place, whatever else is wrong with the repeat. Raises, and answers nothing then:
        `InvalidField`, `RateLimited`, `Forbidden` (`to` is no friend), `Unavailable`.
        """
        user = self._users.known(user_id) or await self._users.user(user_id)
        message = self._read_message(user_id, fields)
        if not self._place(user, message, answer):
            await self._place_or_refuse(user, message, answer)

    def submit_now(self, user_id: str, fields: Fields, answer: Answer) -> bool:
        """As `submit`; False, and nothing has happened, where that would have to look something up."""
        user = self._users.known(user_id)
        return user is not None and self._place(user, self._read_message(user_id, fields), answer)

    async def send(self, user_id: str, fields: Fields) -> Appended:
        """As `submit`, and wait until it is durable."""
        future: asyncio.Future[Appended] = asyncio.get_running_loop().create_future()
        await self.submit(user_id, fields, partial(settle, future))
        # A request that ends early does not take back a message that has its place: nobody hears of it then.
        return await future

    def _read_message(self, user_id: str, fields: Fields) -> _Message:
        client_id = rules.client_id(fields.get("clientId"))
        text = rules.text(fields.get("text"), self._text_chars)
        return _addressed(user_id, fields.get("to")), text, client_id

    def _place(self, user: User, message: _Message, answer: Answer) -> bool:
        """Place what can be placed at once; False, and no rate is spent, for everything else."""
        conversation, _, client_id = message
        if client_id is not None and self._journal.is_placed(user.id, client_id):
            free = free_of_charge("a repeat of a message that is on its way")
            self._append_message(user, message, answer, free)
            return True
        if isinstance(conversation, Direct) and not self._friendships.are_known_friends(
            user.id, conversation.user_id
        ):
            return False
        payment = self._sending.offer(user.id)
        if payment is None:
            return False
        self._append_message(user, message, answer, payment)
        return True

    async def _place_or_refuse(self, user: User, message: _Message, answer: Answer) -> None:
        conversation, _, client_id = message
        payment = self._sending.offer(user.id)
        refusal: ChatError | None = None
        if payment is None:
            refusal = self._sending.refuse(user.id)
        elif not await self._may_write(user.id, conversation):
            refusal = Forbidden("You can write to friends only.")
        else:
            self._users.refuse_gone(user.id)
            user = self._users.known(user.id) or user  # the profile may have changed meanwhile
            self._append_message(user, message, answer, payment)
            return
        # The answer to a repeat of an earlier message is always that message's place.
        first = client_id and await self._find(user.id, client_id)
        if not first:
            raise refusal
        if payment is not None:
            payment.give_back()
        answer(Appended(first[0], first[1], True))

    async def _find(self, user_id: str, client_id: str) -> tuple[int, int] | None:
        # Without a rate, since a repeat has none; so it takes its turn.
        async with self._prices.turns.turn(user_id):
            return await self._store.find_message(user_id, client_id)

    def _append_message(
        self, user: User, message: _Message, answer: Answer, payment: Payment
    ) -> None:
        draft = vocabulary.message(self._author(user), *message)
        answered = partial(self._appended, answer, payment, self._clock_s())
        self._journal.place(payment, draft, answered)

    def _author(self, user: User) -> dict[str, str]:
        kept = self._authors.get(user.id)
        if kept is None or kept[0] is not user:
            kept = (user, vocabulary.author(user))
            self._authors.put(user.id, kept)
        return kept[1]

    def _appended(
        self, answer: Answer, payment: Payment, began_s: float, place: Appended | Unavailable
    ) -> None:
        if isinstance(place, Appended):
            self.append_s.observe(self._clock_s() - began_s)
            if place.duplicate:
                payment.give_back()
            elif self._own is not None:
                self._own.add(place.seq)  # followed in this very turn
        answer(place)

    async def _may_write(self, user_id: str, conversation: Conversation) -> bool:
        return not isinstance(conversation, Direct) or await self._friendships.are_friends(
            user_id, conversation.user_id
        )

    async def history(self, user_id: str, part: Range) -> bytes:
        """The JSON of a page of messages, as they were first encoded."""
        async with self._prices.turns.turn(user_id):
            page = await self._store.history(user_id, part)
        await self._journal.caught_up(page.seq)
        return vocabulary.history(page)

    async def typing(self, user_id: str, fields: Fields) -> None:
        """Let the friends, or the one friend, know that somebody is typing. Too often: nobody hears of it."""
        conversation = _addressed(user_id, fields.get("to"))
        if not await self._may_write(user_id, conversation):
            raise Forbidden("You can write to friends only.")
        if self._prices.typing.offer(user_id) is not None:
            self._signals.publish(vocabulary.typing(user_id, conversation), peer_of(conversation))


def _addressed(user_id: str, to: object) -> Conversation:
    if to is None:
        return BROADCASTS
    conversation = Direct(rules.an_id(to, "to"))
    if conversation.user_id == user_id:
        raise InvalidField("to", "You cannot write to yourself.")
    return conversation
