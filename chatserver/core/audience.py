"""Who hears whom, for the users whose mailbox is open here.

An index from a sender to the mailboxes of the sender's friends, so that a broadcast needs no look-up. It is
changed by friendship events, in their order, and by nothing else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from chatserver.core.changes import FriendChange
from chatserver.core.events import Audience, Event
from chatserver.core.mailbox import Mailbox
from chatserver.core.visibility import shows

FRIENDS, PAIR, NOBODY = Audience.FRIENDS, Audience.PAIR, Audience.NOBODY
"""By names of the module: the attribute of an enumeration takes five times as long, and each message asks."""

_NOBODY: dict[str, Mailbox] = {}


class AudienceIndex:
    """Open mailboxes by user, and by friend of the user."""

    def __init__(self) -> None:
        self.open: dict[str, Mailbox] = {}
        self._hearers: defaultdict[str, dict[str, Mailbox]] = defaultdict(dict)

    def add(self, mailbox: Mailbox) -> None:
        """Let this mailbox hear its owner's friends from now on."""
        user_id, hearers = mailbox.user_id, self._hearers
        self.open[user_id] = mailbox
        for friend in mailbox.friends:
            hearers[friend][user_id] = mailbox

    def remove(self, user_id: str) -> None:
        """Forget the mailbox of this user."""
        mailbox = self.open.pop(user_id)
        for friend in mailbox.friends:
            self._unhear(friend, user_id)

    def hearers(self, sender: str) -> Iterable[Mailbox]:
        """The open mailboxes of the sender's friends. Do not change the graph while iterating."""
        return self._hearers.get(sender, _NOBODY).values()

    def audience_of(self, event: Event) -> list[Mailbox]:
        """The open mailboxes of those who may see `event`, now that the graph is as of its place; the actor's own last."""
        actor, audience = event.actor, event.audience
        mailboxes: list[Mailbox] = []
        if audience is FRIENDS:
            friends = self._hearers.get(actor)
            if friends is not None:
                mailboxes += friends.values()
        elif audience is PAIR and event.to is not None:
            other = self.open.get(event.to)
            # The friendship of this very place in the order, not of when the message was accepted.
            if other is not None and shows(other, event.seq, audience, actor, event.to):
                mailboxes.append(other)
        own = self.open.get(actor)
        if own is not None and audience is not NOBODY:
            mailboxes.append(own)
        return mailboxes

    def change(self, change: FriendChange, seq: int) -> None:
        """Apply a friendship's beginning or end at `seq` to both sides, where they are open."""
        self._change_one(change.asker, change.other, change.relation, seq)
        self._change_one(change.other, change.asker, change.relation, seq)

    def _change_one(self, user_id: str, friend: str, relation: str, seq: int) -> None:
        mailbox = self.open.get(user_id)
        if mailbox is None:
            return
        if relation == "friend":
            mailbox.friends.setdefault(friend, seq)
            self._hearers[friend][user_id] = mailbox
        elif mailbox.friends.pop(friend, None) is not None:
            self._unhear(friend, user_id)

    def _unhear(self, friend: str, user_id: str) -> None:
        hearers = self._hearers[friend]
        del hearers[user_id]
        if not hearers:
            del self._hearers[friend]
