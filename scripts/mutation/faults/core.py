"""Faults in the pure rules: hub, mailbox, visibility, presence, prices, framing."""

from __future__ import annotations

from scripts.mutation.fault import Fault

HUB = "chatserver/core/hub.py"
NEWS = "chatserver/core/news.py"
MAILBOX = "chatserver/core/mailbox.py"
VISIBILITY = "chatserver/core/visibility.py"
PRICES = "chatserver/core/prices.py"
FRAMING = "chatserver/core/framing.py"

T_HUB = ("tests/core/test_hub.py",)
T_NEWS = ("tests/core/test_news.py",)
T_MAILBOX = ("tests/core/test_mailbox.py",)
T_HAND_OUT = ("tests/core/test_hand_out.py",)
T_VISIBILITY = ("tests/core/test_visibility.py",)
T_SMALL = ("tests/core/test_small_rules.py",)
T_FRAMING = ("tests/core/test_framing.py",)
T_EVENTS = ("tests/core/test_events.py",)

FAULTS = (
    Fault(
        "an append is dropped on its way into one of the mailboxes",
        HUB,
        "hand_out(run, mailboxes, self._bounds",
        "hand_out(run, list(mailboxes)[1:], self._bounds",
        T_HUB,
    ),
    Fault(
        "a cursor does not exclude itself",
        MAILBOX,
        "events[start - 1].seq > cursor",
        "events[start - 1].seq >= cursor",
        T_MAILBOX,
    ),
    Fault(
        "a cursor one below the floor is taken for complete",
        MAILBOX,
        "if cursor < self.floor_seq:",
        "if cursor < self.floor_seq - 1:",
        T_MAILBOX,
    ),
    Fault(
        "the floor does not rise when the oldest leave",
        MAILBOX,
        "self.floor_seq = events[gone - 1].seq",
        "self.floor_seq = self.floor_seq",
        T_MAILBOX,
    ),
    Fault(
        "a mailbox has no bound of bytes",
        MAILBOX,
        "        self.more_places += more_places\n        if len(self.events)",
        "        if len(self.events)",
        T_MAILBOX,
    ),
    Fault(
        "what leaves a mailbox goes on taking places",
        MAILBOX,
        "                self.more_places -= more_places\n",
        "",
        T_MAILBOX,
    ),
    Fault(
        "more places are weighed in a mailbox without the event's own size",
        MAILBOX,
        "(len(event.payload) + EVENT_BYTES - 1) // share_bytes",
        "len(event.payload) // share_bytes",
        T_MAILBOX,
    ),
    Fault(
        "what is handed out has no bound of bytes",
        MAILBOX,
        "            mailbox.more_places += more_places\n",
        "            pass\n",
        T_HAND_OUT,
    ),
    Fault(
        "what is handed out has no bound of events",
        MAILBOX,
        "if len(events) + mailbox.more_places > max_events:",
        "if mailbox.more_places and len(events) + mailbox.more_places > max_events:",
        T_HAND_OUT,
    ),
    Fault(
        "a pipe is written to past what its reader has missed",
        MAILBOX,
        "reader.cursor is not before or",
        "False or",
        T_HAND_OUT,
    ),
    Fault(
        "what a pipe did not take is lost",
        MAILBOX,
        "        if sent != data_bytes:",
        "        if sent < 0:",
        T_HAND_OUT,
    ),
    Fault(
        "a pipe that fails takes the others with it",
        MAILBOX,
        "        except OSError:",
        "        except ZeroDivisionError:",
        T_HAND_OUT,
    ),
    Fault(
        "what goes by a pipe does not move the cursor",
        MAILBOX,
        "        reader.cursor = last\n",
        "",
        T_HAND_OUT,
    ),
    Fault(
        "one of two readers of a user has nothing",
        MAILBOX,
        "        self.sole = reader if len(self.readers) == 1 else None\n",
        "        self.sole = reader\n",
        T_HAND_OUT,
    ),
    Fault(
        "of a batch a former friend gets what was written before the end",
        NEWS,
        "self._form(mailbox.visible(earlier), [mailbox])",
        "self._form(list(earlier), [mailbox])",
        T_HUB,
    ),
    Fault(
        "what is written to some of a circle is handed to all of it",
        NEWS,
        "if len(some) == len(mailboxes):",
        "if some:",
        T_NEWS,
    ),
    Fault(
        "who hears one of a circle hears all of it",
        NEWS,
        "            and len(self._circles[id(earlier)][1]) == len(audience)\n",
        "",
        T_NEWS,
    ),
    Fault(
        "as many are taken for the same",
        NEWS,
        "            and {id(earlier)}.issuperset(map(id, map(of.get, audience)))\n",
        "",
        T_NEWS,
    ),
    Fault(
        "who is parted from a circle gets its events twice",
        NEWS,
        "        left.difference_update(some)\n",
        "",
        T_NEWS,
    ),
    Fault(
        "who had news already gets the next twice",
        NEWS,
        "self._form(run, fresh)",
        "self._form(run, audience)",
        T_NEWS,
    ),
    Fault(
        "a mailbox has no bound of events",
        MAILBOX,
        "if len(self.events) + self.more_places > bounds.max_events:",
        "if self.more_places and len(self.events) + self.more_places > bounds.max_events:",
        T_MAILBOX,
    ),
    Fault(
        "what a former friend wrote stays in the mailbox",
        HUB,
        "mailbox.withdraw(self._bounds)",
        "mailbox.after(0)",
        T_HUB,
    ),
    Fault(
        "the end of a friendship reaches only one of the two",
        "chatserver/core/audience.py",
        "        self._change_one(change.other, change.asker, change.relation, seq)\n",
        "",
        T_HUB,
    ),
    Fault(
        "a friendship that changes while a mailbox is opened is forgotten",
        HUB,
        "if seq > at_seq:",
        "if seq > self.head_seq:",
        T_HUB,
    ),
    Fault(
        "a message to one friend is put into the mailbox of somebody who is none any more",
        "chatserver/core/audience.py",
        "if other is not None and shows(other, event.seq, audience, actor, event.to):",
        "if other is not None:",
        T_HUB,
    ),
    Fault(
        "a batch that pushes out its own beginning is no gap",
        MAILBOX,
        "before = max(before, mailbox.floor_seq)",
        "before = max(before, 0)",
        T_HUB,
    ),
    Fault(
        "a run that is too much for one write is taken all the same",
        HUB,
        "if len(run) == 1 or len(cut_batch(run)) == len(run):",
        "if run:",
        T_HUB,
    ),
    Fault(
        "a reader that fails takes the others with it",
        HUB,
        "            if not reader.take(run, before):\n"
        "                self.mark(reader)\n"
        "        except Exception as error:",
        "            if not reader.take(run, before):\n"
        "                self.mark(reader)\n"
        "        except ZeroDivisionError as error:",
        T_HUB,
    ),
    Fault(
        "a reader that is marked is not flushed",
        HUB,
        "        if not self._dirty:\n            self._schedule_flush()\n",
        "",
        T_HUB,
    ),
    Fault(
        "a notice goes into the mailbox of its actor",
        "chatserver/core/audience.py",
        "if own is not None and audience is not NOBODY:",
        "if own is not None:",
        T_HUB,
    ),
    Fault(
        "what was written before the friendship began is shown",
        VISIBILITY,
        "return since is not None and seq > since",
        "return since is not None",
        T_VISIBILITY,
    ),
    Fault(
        "what is for oneself alone is shown to friends",
        VISIBILITY,
        "if audience == _SELF or (audience == _PAIR and to != viewer.user_id):",
        "if audience == _PAIR and to != viewer.user_id:",
        T_VISIBILITY,
    ),
    Fault(
        "what is for one friend is shown to all",
        VISIBILITY,
        "if audience == _SELF or (audience == _PAIR and to != viewer.user_id):",
        "if audience == _SELF:",
        T_VISIBILITY,
    ),
    Fault(
        "a notice is shown to whoever caused it",
        VISIBILITY,
        "    if audience == _NOBODY:\n        return False\n",
        "",
        T_VISIBILITY,
    ),
    Fault(
        "a message to one friend has the audience of a broadcast",
        "chatserver/core/kinds.py",
        "Kept.FOR_GOOD, Audience.FRIENDS, Audience.PAIR)",
        "Kept.FOR_GOOD, Audience.FRIENDS, Audience.FRIENDS)",
        T_EVENTS,
    ),
    Fault(
        "notices are kept, and so replayed",
        "chatserver/core/kinds.py",
        'NOTICE = Kind("notice", Kept.NEVER',
        'NOTICE = Kind("notice", Kept.PASSING',
        T_EVENTS,
    ),
    Fault(
        "whoever misses two events reads the newest alone",
        MAILBOX,
        "events[-2].seq <= cursor < self.last_seq",
        "cursor < self.last_seq",
        T_MAILBOX,
    ),
    Fault(
        "whoever has everything reads the newest again",
        MAILBOX,
        "events[-2].seq <= cursor < self.last_seq",
        "events[-2].seq <= cursor",
        T_MAILBOX,
    ),
    Fault(
        "who closes a stream is offline though their poll is still held",
        "chatserver/core/presence.py",
        "max(until_s, self._until_s.get(user_id, until_s))",
        "until_s",
        T_SMALL,
    ),
    Fault(
        "there is no grace: whoever reloads the page is offline",
        "chatserver/core/presence.py",
        "        until_s = now_s + self.grace_s\n",
        "        until_s = now_s\n",
        T_SMALL,
    ),
    Fault(
        "the second stream of a user is not counted",
        "chatserver/core/presence.py",
        "self._here[user_id] = self._here.get(user_id, 0) + 1",
        "self._here[user_id] = 1",
        T_SMALL,
    ),
    Fault(
        "a bucket fills without end",
        PRICES,
        "self._tokens = tokens if tokens < self.burst else self.burst",
        "self._tokens = tokens",
        T_SMALL,
    ),
    Fault(
        "buckets are never forgotten",
        PRICES,
        "if len(self._buckets) >= self._max_keys:",
        "if len(self._buckets) < 0:",
        T_SMALL,
    ),
    Fault(
        "room among buckets is made in one turn",
        PRICES,
        "list(islice(buckets, LOOKED_AT))",
        "list(buckets)",
        T_SMALL,
    ),
    Fault(
        "a remembered thing is never forgotten",
        "chatserver/core/bounded.py",
        "if len(self._entries) > self._entries_max:",
        "if len(self._entries) < 0:",
        ("tests/core/test_bounded.py",),
    ),
    Fault(
        "frames without a mask are taken",
        FRAMING,
        "if not second & _MASKED:",
        "if second < 0:",
        T_FRAMING,
    ),
    Fault(
        "a message may be as long as it likes",
        FRAMING,
        "if not first & 0x8 and self._size + size > self._max_bytes:",
        "if self._size < 0:",
        T_FRAMING,
    ),
    Fault(
        "a key that is a path is taken among those of a message",
        "chatserver/core/fields.py",
        "if not value.keys() <= _OF_A_MESSAGE:",
        "if not value.keys() & _OF_A_MESSAGE:",
        ("tests/core/test_fields.py",),
    ),
    Fault(
        "fragments of nothing are kept without end",
        FRAMING,
        "if len(self._fragments) >= self._max_bytes // 16:",
        "if len(self._fragments) < 0:",
        T_FRAMING,
    ),
    Fault(
        "a block of an event stream has no id",
        FRAMING,
        '    if seq is None:\n        return b"data: %b\\n\\n" % payload\n',
        '    if seq is None or seq:\n        return b"data: %b\\n\\n" % payload\n',
        T_FRAMING,
    ),
    Fault(
        "a line end that a user typed ends a block",
        "chatserver/core/events.py",
        r'.replace(b"\xe2\x80\xa8", b"\\u2028")',
        "",
        T_SMALL,
    ),
    Fault(
        "a page of another site may act with the cookie",
        "chatserver/core/origin.py",
        "    if normal in allowed:\n        return True",
        "    if normal:\n        return True",
        ("tests/core/test_origin.py",),
    ),
    Fault(
        "a request that says it comes from another site is taken",
        "chatserver/core/origin.py",
        'return fetch_site != "cross-site"',
        "return True",
        ("tests/core/test_origin.py",),
    ),
    Fault(
        "whoever has not paid may append",
        PRICES,
        "        if type(payment) is not Payment:\n            raise Unpaid(",
        "        if type(payment) is not Payment:\n            return\n            raise Unpaid(",
        ("tests/core/test_prices.py", "tests/verbs/test_payments.py"),
    ),
    Fault(
        "one payment pays for two appends",
        PRICES,
        "        payment._spent = True\n",
        "",
        ("tests/core/test_prices.py",),
    ),
)
