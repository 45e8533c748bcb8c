"""The contracts of a journal, the durable, ordered, idempotent log of events, and of signals beside it.

Cut by what it promises: order and durability are here; who somebody is and what can be looked up about
them is the store's (`chatserver.store.contract`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from chatserver.core.changes import Subject
from chatserver.core.errors import Unavailable
from chatserver.core.events import MAX_SEQ, Draft, Event, Signal
from chatserver.core.prices import Payment
from chatserver.core.visibility import View

CAUGHT_UP_S = 5.0
"""How long a request may wait for the followers to reach a snapshot: longer, and something is wrong."""


@dataclass(slots=True)
class Appended:
    """Where a draft stands. `duplicate` is True where an earlier append of the same `client_id` won. Not to be changed:
    not frozen for the reason that `Draft` is not."""

    seq: int
    at_ms: int
    duplicate: bool


Answer = Callable[[Appended | Unavailable], None]
"""Whoever wants to be answered where a draft stands, or that it could not be made durable."""

Follower = Callable[[Sequence[Event]], None]
"""Whoever follows the order: is handed every batch of events, in order, on the loop. It must not raise.

The hub is one, and so is everybody who remembers something that an event can change."""


def settle(future: asyncio.Future[Appended], answer: Appended | Unavailable) -> None:
    """Let whoever awaits `future` have the answer; nobody may await it any more."""
    if future.done():
        return
    if isinstance(answer, Appended):
        future.set_result(answer)
    else:
        future.set_exception(answer)


def since(latest: list[Event], dropped_seq: int) -> tuple[list[Event], int]:
    """Of the newest events those after `dropped_seq`, at or below which there may be gaps, and the seq before the first."""
    floor_seq = max(dropped_seq, latest[0].seq - 1 if latest else MAX_SEQ)
    return [event for event in latest if event.seq > floor_seq], floor_seq


@dataclass(frozen=True, slots=True)
class Guard:
    """What was known of `subject` when somebody began to decide: all of its changes up to `seq`, and no later one.

    Only a journal makes one, and only the same journal reads it.
    """

    subject: Subject
    seq: int


class Outrun(Exception):
    """Somebody was faster: the guarded subject has changed. Nothing was appended, and the payment is good still."""


class Journal(Protocol):
    """One total order. Everything below is for one event loop; no method blocks it.

    A journal may have several nodes, each with an object of this kind. Three rules hold on all of them. **R1**: a read of
    the store waits until the store shows what this node has applied (`shown`). **R2**: an `append` returns when the store
    shows it and every living node has applied it. **R3**: a node that cannot prove that it is `fresh` serves nothing.

    Nothing is appended that nobody has paid for: `place` and `append` raise `Unpaid` where `payment` is none, or has paid
    for something before.
    """

    @property
    def head_seq(self) -> int:
        """The newest seq that was handed to the followers (0 before anything ever happened)."""
        ...

    @property
    def shown_seq(self) -> int:
        """What the store shows, as far as this node knows: everything up to here, and perhaps more."""
        ...

    @property
    def healthy(self) -> bool:
        """False while appends cannot be made durable."""
        ...

    @property
    def fresh(self) -> bool:
        """False while this node cannot tell that it has heard of everything: then nothing may be taken from its memory."""
        ...

    async def start(self, followers: Sequence[Follower]) -> None:
        """Open the log and hand every later batch of events to each of `followers`, in the order of the list.

        `head_seq` is set when this returns.
        """
        ...

    async def caught_up(self, seq: int) -> None:
        """Return once the followers were handed `seq`: after this nobody here lags behind a snapshot.

        Raises `Unavailable` where that does not come about within CAUGHT_UP_S.
        """
        ...

    async def newest(self) -> int:
        """The newest seq of the whole order, whether or not it was followed here. Raises `Unavailable`.

        Everything that any node had acknowledged before this was called stands at or below it.
        """
        ...

    async def shown(self, seq: int) -> None:
        """Return once the store shows everything up to `seq`. Raises `Unavailable` after CAUGHT_UP_S."""
        ...

    async def guard(self, *user_ids: str) -> Guard:
        """What has become of a pair of users, or of one user, up to now; returns once the store shows it.

        For whoever reads the store, decides and appends: where one of `core.changes.subject_of` these users comes
        in between, `append` raises `Outrun`. Ask for the guard before the first read. Raises `Unavailable`.
        """
        ...

    def place(self, payment: Payment, draft: Draft, answer: Answer) -> None:
        """Give the draft its place now; `answer` hears later what `append` would return or raise for it.

        For a caller who must go on in order without waiting: the places are those of the calls, and neither
        a task nor a future is needed. `answer` is called once, on the loop, never from inside this call, just
        before the followers get what follows from the draft, in the same turn. It must not raise or publish.
        Raises `Unavailable` at once where nothing can be accepted, as while this node is not `fresh`.
        """
        ...

    def is_placed(self, actor: str, client_id: str) -> bool:
        """Whether an append of this `client_id` is on its way: its repeat will be a duplicate."""
        ...

    async def append(
        self, payment: Payment, *drafts: Draft, guard: Guard | None = None
    ) -> list[Appended]:
        """Make the drafts durable, one after another with nothing between them, all or none.

        Returns after they are durable, were handed to the followers of every living node and are shown by the store.
        With several drafts none may carry a `client_id`. Calls of one actor made in one order are placed in that order.
        Raises `Outrun` where what `guard` protects has changed, and `Unavailable` when durability cannot be had; the
        drafts may then still have happened (so repeat only with a `client_id`).
        """
        ...

    async def backlog(self, view: View, after: int, up_to: int, cap: int) -> int | None:
        """How many events in (after, up_to] this view shows, counted to `cap` at the most.

        None where events in that range may have been dropped by age: exact resumption is impossible.
        This and `replay` wait until the store shows `up_to`, and raise `Unavailable` as `shown` does.
        """
        ...

    async def few(self, view: View, after: int, up_to: int, most: int) -> list[Event] | None:
        """All events in (after, up_to] that this view shows, as `replay`, where they are `most` at the most.

        None says nothing: then `backlog` tells how many there are, and whether exact resumption is possible.
        """
        ...

    async def replay(self, view: View, after: int, up_to: int, limit: int) -> list[Event]:
        """The first `limit` events in (after, up_to] that this view shows, ascending, as first encoded."""
        ...

    async def latest(self, most: int, most_bytes: int) -> tuple[list[Event], int]:
        """The newest events, ascending, and the seq after which they are all that there is.

        They are `most` at the most, and their payloads `most_bytes`; also none, where the journal cannot say.
        """
        ...

    async def close(self) -> None:
        """Make everything accepted durable, then stop. Appends after this raise `Unavailable`."""
        ...


class Signals(Protocol):
    """Passing facts between all nodes: no order, no durability, may be lost."""

    def publish(self, signal: Signal, to: str | None = None) -> None:
        """Offer `signal` to the friends of `signal.about`, or to the friend `to` alone; never waits."""
        ...
