"""Faults between the order and the readers: mailboxes, readers, catch-up, clockwork, attendance."""

from __future__ import annotations

from scripts.mutation.fault import Fault

CATCHUP = "chatserver/delivery/catchup.py"
RECENT = "chatserver/delivery/recent.py"
READERS = "chatserver/delivery/readers.py"
MAILBOXES = "chatserver/delivery/mailboxes.py"
ATTENDANCE = "chatserver/delivery/attendance.py"
NEWCOMERS = "chatserver/delivery/newcomers.py"

T_RECENT = ("tests/delivery/test_recent.py",)
T_CATCHUP = ("tests/delivery/test_catchup.py",)
T_READERS = ("tests/delivery/test_readers.py",)
T_MAILBOXES = ("tests/delivery/test_mailboxes.py",)
T_ATTENDANCE = ("tests/delivery/test_attendance.py",)
T_NEWCOMERS = ("tests/delivery/test_newcomers.py",)
T_CLOCKWORK = ("tests/delivery/test_clockwork.py",)

FAULTS = (
    Fault(
        "memory says what it does not reach",
        RECENT,
        "if after < self.floor_seq:",
        "if False:",
        T_RECENT,
    ),
    Fault(
        "the newest events are not known after a start",
        "chatserver/command/build.py",
        "await house.delivery.catchup.begin()",
        "pass",
        T_RECENT,
    ),
    Fault(
        "a node that is not fresh answers from memory",
        CATCHUP,
        " or not self._journal.fresh",
        "",
        T_RECENT,
    ),
    Fault(
        "what changes while a newcomer is read is believed",
        NEWCOMERS,
        "if login is not None and user_id not in changed:",
        "if login is not None:",
        T_NEWCOMERS,
    ),
    Fault(
        "a newcomer's friends may be from a place that is not here yet",
        NEWCOMERS,
        "await self._journal.caught_up(",
        "print(",
        T_NEWCOMERS,
    ),
    Fault(
        "a mailbox that somebody else is opening is opened twice",
        MAILBOXES,
        "if mailbox is None and user_id not in self._opening:",
        "if mailbox is None:",
        T_NEWCOMERS,
    ),
    Fault(
        "the reset “too long ago” is never given",
        CATCHUP,
        'return self._lost("too long ago", after)',
        "return Missed(None, [], floor_seq)",
        T_CATCHUP,
    ),
    Fault(
        "however much was missed is replayed",
        CATCHUP,
        "if count + len(mailbox.events) > self._replay_events:",
        "if count < 0:",
        T_CATCHUP,
    ),
    Fault(
        "a cursor beyond the head is taken for up to date",
        CATCHUP,
        'return self._lost("beyond the head", after)',
        "return Missed(None, [], after)",
        T_CATCHUP,
    ),
    Fault(
        "after one page of a replay the rest is passed over",
        CATCHUP,
        "floor_seq if len(events) < limit else events[-1].seq",
        "floor_seq",
        T_CATCHUP,
    ),
    Fault(
        "what does not fit into one write is passed over",
        CATCHUP,
        "return kept, position if len(kept) == len(events) else kept[-1].seq",
        "return kept, position",
        T_CATCHUP,
    ),
    Fault(
        "resets are not counted",
        CATCHUP,
        "        self.resets[reason] += 1\n",
        "",
        T_CATCHUP,
    ),
    Fault(
        "the index of readers by login is not cleaned",
        READERS,
        "        self._forget_login(reader)\n        mailbox = reader.mailbox\n",
        "        mailbox = reader.mailbox\n",
        T_READERS,
    ),
    Fault(
        "an older reader of the same client stays",
        READERS,
        "older.end(SUPERSEDED)",
        "older.due_s",
        T_READERS,
    ),
    Fault(
        "a user may have any number of readers",
        READERS,
        "while len(mailbox.readers) >= self._limits.readers_per_user:",
        "while len(mailbox.readers) < 0:",
        T_READERS,
    ),
    Fault(
        "a revoked login goes on reading",
        READERS,
        "_end(self._by_login.get(login_id, ()))",
        "self._by_login.get(login_id, ())",
        T_READERS,
    ),
    Fault(
        "a new password ends no reader",
        READERS,
        "_end([r for r in self.of(user_id) if r.login.id != kept])",
        "self.of(user_id)",
        T_READERS,
    ),
    Fault(
        "a new password ends the login that is kept, too",
        READERS,
        "_end([r for r in self.of(user_id) if r.login.id != kept])",
        "_end(self.of(user_id))",
        T_READERS,
    ),
    Fault(
        "the end of an account ends no reader",
        READERS,
        "                    _end(self.of(user_id))\n",
        "                    self.of(user_id)\n",
        T_READERS,
    ),
    Fault(
        "a login of a stale generation may attach",
        READERS,
        "        self.refuse_ended(reader.login)\n",
        "",
        T_READERS,
    ),
    Fault(
        "a poll that comes back with another login stays with the first",
        READERS,
        "            self._note_login(reader, login)\n",
        "            self._note_login(reader, reader.login)\n",
        T_READERS,
    ),
    Fault(
        "readers attach while the server sends everybody away",
        READERS,
        "        self.refuse_while_draining()\n        self.refuse_ended",
        "        self.refuse_ended",
        T_READERS,
    ),
    Fault(
        "all who are sent away come back at the same moment",
        READERS,
        "return random.randint(200, min(30_000, spread_ms))",
        "return min(30_000, spread_ms)",
        T_READERS,
    ),
    Fault(
        "a mailbox that is read is forgotten",
        MAILBOXES,
        "        self._idle.pop(mailbox.user_id, None)\n",
        "        self._idle.get(mailbox.user_id, None)\n",
        T_MAILBOXES,
    ),
    Fault(
        "a mailbox that nobody reads is never forgotten",
        MAILBOXES,
        "if since_s <= long_ago_s]",
        "if since_s < 0]",
        T_MAILBOXES,
    ),
    Fault(
        "a mailbox is opened before this process is where the friends were read",
        MAILBOXES,
        "            await self._journal.caught_up(max(at_seq, newest))\n",
        "",
        T_MAILBOXES,
    ),
    Fault(
        "two who ask for one mailbox at once open it twice",
        MAILBOXES,
        "            others = self._opening.get(user_id)\n",
        "            others = None\n",
        T_MAILBOXES,
    ),
    Fault(
        "a visit that fails keeps the others from theirs",
        "chatserver/delivery/clockwork.py",
        '                log.exception("a visit failed")\n                continue\n',
        '                log.exception("a visit failed")\n                break\n',
        T_CLOCKWORK,
    ),
    Fault(
        "whoever is visited is visited once only",
        "chatserver/delivery/clockwork.py",
        "                self._wheel.add(item, now_s + in_s)\n",
        "                pass\n",
        T_CLOCKWORK,
    ),
    Fault(
        "new friends are not told that the other is here",
        ATTENDANCE,
        "                    self._introduce(asker, other)\n",
        "                    pass\n",
        T_ATTENDANCE,
    ),
    Fault(
        "whose account has ended stays online",
        ATTENDANCE,
        "if self._presence.drop(user_id):",
        "if self._presence.is_online(user_id) and False:",
        T_ATTENDANCE,
    ),
    Fault(
        "presence is told of strangers",
        ATTENDANCE,
        "self._presence.online_of(mailbox.friends)",
        "list(self._presence.online())",
        T_ATTENDANCE,
    ),
    Fault(
        "when people were last seen is not kept at the end",
        ATTENDANCE,
        "        self._seen.update((user_id, now_ms) for user_id in self._presence.online())\n",
        "",
        T_ATTENDANCE,
    ),
    Fault(
        "the hub is told of a batch before the readers of ended logins are",
        "chatserver/command/build.py",
        "        house.delivery.readers.follow,\n        house.fanout.follow,\n",
        "        house.fanout.follow,\n        house.delivery.readers.follow,\n",
        ("tests/command/test_build.py",),
    ),
)
