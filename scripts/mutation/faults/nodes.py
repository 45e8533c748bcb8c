"""Faults between nodes: what is read behind the order, who was faster, who is where."""

from __future__ import annotations

from scripts.mutation.fault import Fault

BEHIND = "chatserver/store/behind.py"
DECISIONS = "chatserver/verbs/decisions.py"
NEIGHBOURS = "chatserver/delivery/neighbours.py"
LOCAL = "chatserver/journal/local.py"
READERS = "chatserver/delivery/readers.py"

HUB = "chatserver/core/hub.py"
PUBLISHER = "chatserver/journal/publisher.py"
BEATS = "chatserver/journal/nodes.py"
MONGO_CHANGES = "chatserver/store/mongo/changes.py"

STREAM = "tests/journal/test_jetstream.py::"
NODES = "tests/verbs/test_nodes.py::"
BESIDE = "tests/delivery/test_neighbours.py::"

FAULTS = (
    Fault(
        "a node that is cut off tells who types by friendships of before",
        HUB,
        "        if not self.may_signal():\n",
        "        if False:\n",
        (
            BESIDE
            + "test_a_node_that_is_not_fresh_passes_nothing_on_and_says_who_is_there_once_it_is",
        ),
    ),
    Fault(
        "what stands in deleted files of the stream is acknowledged",
        PUBLISHER,
        "            self.end(sending, sending.placed if kept else Unavailable(_CANNOT_SAVE, 2.0))\n",
        "            self.end(sending, sending.placed)\n",
        ("tests/journal/test_publisher.py",),
    ),
    Fault(
        "what was asked before a freeze is done after it",
        DECISIONS,
        "        if loop.time() > until_s:\n",
        "        if False:\n",
        ("tests/verbs/test_decisions.py",),
    ),
    Fault(
        "a change of a pair that was lost on its way does not go again",
        PUBLISHER,
        "        return len(self.bodies) == 1 or self.guard is not None\n",
        "        return len(self.bodies) == 1\n",
        (STREAM + "test_changes_of_a_pair_that_are_lost_on_the_way_go_again_and_happen_once",),
    ),
    Fault(
        "a change waits for a process that is no more",
        BEATS,
        "(node.head_seq < seq and is_gone(node.there, self._here))",
        "False",
        ("tests/journal/test_whereabouts.py",),
    ),
    Fault(
        "a block that is written late counts",
        MONGO_CHANGES,
        '{"_id": key, "seq": {"$lt": seq}}, update)',
        '{"_id": key}, update)',
        ("tests/store/test_mongo_late.py",),
    ),
    Fault(
        "what stands in the stream twice is handed out twice",
        "chatserver/journal/follower.py",
        "self._turn.append(self._stream.repeats.marked(placed))",
        "self._turn.append(placed)",
        ("tests/journal/test_jetstream.py",),
    ),
    Fault(
        "a node that starts knows nothing of what stands in the stream",
        "chatserver/journal/follower.py",
        "    if after >= head_seq:\n",
        "    if after >= 0:\n",
        ("tests/journal/test_jetstream.py",),
    ),
    Fault(
        "a snapshot does not wait for what another node has acknowledged",
        BEHIND,
        "            if newest > self._journal.shown_seq:\n",
        "            if newest < 0:\n",
        ("tests/store/test_behind.py",),
    ),
    Fault(
        "a read does not wait for what was applied here",
        BEHIND,
        "            await self._journal.shown(self._journal.head_seq)\n",
        "            await self._journal.shown(0)\n",
        ("tests/store/test_behind.py",),
    ),
    Fault(
        "a snapshot waits for the newest without end",
        BEHIND,
        "asyncio.timeout(NEWEST_S)",
        "asyncio.timeout(None)",
        ("tests/store/test_behind.py",),
    ),
    Fault(
        "a node that is cut off reads its store all the same",
        BEHIND,
        "        if not self._journal.fresh:\n",
        "        if False:\n",
        ("tests/store/test_behind.py",),
    ),
    Fault(
        "a node that is cut off lets people in",
        READERS,
        "        if not self._journal.fresh:\n",
        "        if False:\n",
        (
            NODES + "test_a_node_that_is_not_fresh_serves_nothing",
            "tests/delivery/test_readers.py",
        ),
    ),
    Fault(
        "whoever was outrun decides as if nobody had been faster",
        LOCAL,
        "        if guard is not None:\n            self._subjects.refuse_outrun(guard)\n",
        "",
        (
            "tests/journal/test_journal_contract.py::test_who_decided_on_what_has_changed_since_is_outrun[sqlite]",
        ),
    ),
    Fault(
        "whoever was outrun is refused instead of deciding again",
        DECISIONS,
        "            continue\n",
        "            break\n",
        (NODES + "test_two_nodes_that_change_one_pair_at_once_agree",),
    ),
    Fault(
        "a node that dies leaves its users online for good",
        NEIGHBOURS,
        "if now_s - at_s > LOST_S]",
        "if now_s - at_s > 1e9]",
        (
            BESIDE
            + "test_a_node_that_comes_later_learns_who_is_there_and_one_that_dies_takes_its_users_along",
        ),
    ),
    Fault(
        "a node that comes later does not ask who is there",
        NEIGHBOURS,
        "        if not self._presence.agrees(node_id, Count(users, hashed)):\n",
        "        if False:\n",
        (
            BESIDE
            + "test_a_node_that_comes_later_learns_who_is_there_and_one_that_dies_takes_its_users_along",
        ),
    ),
    Fault(
        "of a list in parts the last alone counts",
        NEIGHBOURS,
        "            self._pieces[node_id] = known\n",
        "            self._pieces[node_id] = [*users]\n",
        (BESIDE + "test_a_whole_list_of_which_a_part_is_lost_is_asked_for_again",),
    ),
    Fault(
        "a node that says goodbye is waited for",
        NEIGHBOURS,
        "    def _heard_leave(self, node_id: str, fields: Sequence[Any]) -> None:\n"
        "        self._lose(node_id)\n",
        "    def _heard_leave(self, node_id: str, fields: Sequence[Any]) -> None:\n        pass\n",
        (BESIDE + "test_a_node_that_says_goodbye_is_not_waited_for",),
    ),
    Fault(
        "no other node hears that a client has moved on",
        NEIGHBOURS,
        '        self._talk.say("attach", *where, reader.is_stream, self._stamp, own)\n',
        "",
        (BESIDE + "test_a_clients_newest_reader_ends_its_older_one_on_another_node",),
    ),
    Fault(
        "the clock of a node is believed against what it has heard",
        NEIGHBOURS,
        "self._stamp = max(self._stamp + 1, self._clock_ms())",
        "self._stamp = self._clock_ms()",
        (BESIDE + "test_a_clock_that_is_behind_ends_no_newer_reader",),
    ),
    Fault(
        "typing is forgotten for a client that polls at another node next",
        NEIGHBOURS,
        '        if signal.type == "typing":\n',
        "        if False:\n",
        (BESIDE + "test_typing_is_heard_on_every_node_and_kept_for_a_poll_that_comes_next",),
    ),
    Fault(
        "what is paid at one node counts at no other",
        "chatserver/delivery/spending.py",
        "                bucket.spent_elsewhere(key, now_s, tokens)\n",
        "                pass\n",
        ("tests/delivery/test_spending.py",),
    ),
    Fault(
        "a token that two nodes have given is owed by none",
        "chatserver/core/prices.py",
        "max(-self.burst, min(self.burst, self._fill(now_s) - tokens))",
        "max(0.0, min(self.burst, self._fill(now_s) - tokens))",
        ("tests/delivery/test_spending.py",),
    ),
    Fault(
        "each node has a bound of readers of its own",
        NEIGHBOURS,
        "        gone = self._elsewhere.too_many(user_id, own)\n",
        "        gone: set[str] = set()\n",
        (BESIDE + "test_the_bound_of_readers_is_one_for_all_nodes",),
    ),
    Fault(
        "a client that polls at every node counts at each",
        "chatserver/delivery/elsewhere.py",
        "reader.client or f",
        "f",
        (BESIDE + "test_a_client_that_polls_at_every_node_is_one_reader",),
    ),
    Fault(
        "an errand that nobody waits for is carried out to its end",
        "chatserver/journal/errands.py",
        "                errand.taken_back()\n",
        "                pass\n",
        ("tests/journal/test_errands.py::test_an_errand_that_nobody_waits_for_is_taken_back",),
    ),
)
