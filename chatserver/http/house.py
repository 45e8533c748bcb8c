"""The house: everything that handlers and transports use, in one place."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from chatserver.delivery.delivery import Delivery
from chatserver.delivery.fanout import Fanout
from chatserver.http.admission import Admission
from chatserver.http.requests import HttpSettings
from chatserver.http.words import Words
from chatserver.journal.contract import Journal
from chatserver.journal.errands import Errands
from chatserver.store.contract import Store
from chatserver.verbs.accounts import Accounts
from chatserver.verbs.alerts import Alerts
from chatserver.verbs.friendships import Friendships
from chatserver.verbs.messages import Messages
from chatserver.verbs.passwords import Passwords
from chatserver.verbs.reads import Reads
from chatserver.verbs.sessions import Sessions
from chatserver.verbs.users import Users


class Whole(Protocol):
    """The processes beside this one that answer at the same port."""

    async def trouble(self) -> str | None:
        """Why no new work may be sent to one of them, in a sentence; None where it may."""
        ...

    async def numbers(self) -> Sequence[dict[str, Any]]:
        """What each of them has counted (`site.metrics`)."""
        ...


@dataclass(slots=True)
class House:
    """Made and started by the command (`chatserver.command.build`)."""

    settings: HttpSettings
    store: Store
    journal: Journal
    fanout: Fanout
    delivery: Delivery
    users: Users
    sessions: Sessions
    passwords: Passwords
    friendships: Friendships
    messages: Messages
    reads: Reads
    accounts: Accounts
    alerts: Alerts
    admission: Admission
    words: Words
    whole: Whole | None = None
    """None where this process is the only one."""
    errands: Errands | None = None
    """What other nodes are asked to do; None where there are none."""
    closing: Sequence[Callable[[], Awaitable[None]]] = ()
    """What ends between the journal and the store."""
    left_behind: Callable[[], bool] = lambda: False
    """Whether this house can never be true again, and only a new start helps."""
    measure: Callable[[Any], None] = lambda metrics: None
    """Adds what only some houses have to what is measured (`site.metrics.Metrics`)."""
    active_requests: int = 0
    """Requests of handlers that are being answered."""

    async def close(self) -> None:
        """Make everything accepted durable, and let go of the database."""
        await self.friendships.partings.close()
        await self.alerts.close()
        await self.journal.close()
        await self.delivery.close()
        await self.sessions.close()
        self.passwords.close()
        for close in self.closing:
            await close()
        await self.store.close()
