"""Faults in an order that several nodes share: the stream, what goes in and comes out, and who writes it into the store."""

from __future__ import annotations

from scripts.mutation.fault import Fault

JETSTREAM = "chatserver/journal/jetstream.py"
PUBLISHER = "chatserver/journal/publisher.py"
FOLLOWER = "chatserver/journal/follower.py"
NODES = "chatserver/journal/nodes.py"
ENVELOPE = "chatserver/journal/envelope.py"
PROJECTOR = "chatserver/store/projector.py"
EVERYWHERE = "chatserver/core/everywhere.py"
ORDER = "chatserver/store/order.py"

T_STREAM = "tests/journal/test_jetstream.py::"
T_PUBLISHER = ("tests/journal/test_publisher.py",)
T_FOLLOWER = ("tests/journal/test_follower.py",)
T_NODES = ("tests/journal/test_nodes.py",)
T_PROJECTOR = ("tests/store/test_projector.py",)
T_EVERYWHERE = ("tests/core/test_everywhere.py",)
T_ORDER = (T_STREAM + "test_a_database_is_opened_by_servers_of_its_own_order_only",)

FAULTS = (
    Fault(
        "a change is answered before every node knows it",
        JETSTREAM,
        "            await self._nodes.settled(standing[-1].seq)\n",
        "",
        (T_STREAM + "test_a_change_waits_for_a_node_that_lags_and_not_for_one_that_is_gone",),
    ),
    Fault(
        "a node that is cut off takes messages",
        JETSTREAM,
        "        self._refuse_stale()\n        if self._on_way",
        "        if self._on_way",
        (T_STREAM + "test_a_node_that_cannot_prove_that_it_is_fresh_takes_nothing",),
    ),
    Fault(
        "what was proved once is believed for good",
        JETSTREAM,
        "now_s() - self._fresh_s < FRESH_S and",
        "now_s() - self._fresh_s < 1e9 and",
        (T_STREAM + "test_a_node_that_cannot_prove_that_it_is_fresh_takes_nothing",),
    ),
    Fault(
        "an id that the stream has forgotten makes a second message",
        JETSTREAM,
        "            elif (older := found.get(sending.key)) is not None:\n",
        '            elif (older := found.get(("", ""))) is not None:\n',
        (
            T_STREAM
            + "test_an_id_is_good_for_one_message_on_all_nodes_also_when_the_stream_has_forgotten_it",
        ),
    ),
    Fault(
        "a message is answered when it was stored, before it comes back",
        PUBLISHER,
        "        if error is None:\n",
        '        if error is None:\n            self.end(sending, [Appended(int(said["seq"]), 0, False)])\n',
        T_PUBLISHER,
    ),
    Fault(
        "of an append in several events the first one is the answer",
        PUBLISHER,
        "        if placed.index + 1 == placed.of:\n",
        "        if True:\n",
        T_PUBLISHER,
    ),
    Fault(
        "what one user sends overtakes itself",
        PUBLISHER,
        "        if queue is None:\n            self._by_actor[actor]",
        "        if True:\n            self._by_actor[actor]",
        T_PUBLISHER,
    ),
    Fault(
        "the guard stays at home",
        PUBLISHER,
        "        if index == 1 and guard is not None:\n",
        "        if False:\n",
        T_PUBLISHER,
    ),
    Fault(
        "a batch without a guard is sent a second time",
        PUBLISHER,
        "        return len(self.bodies) == 1 or self.guard is not None\n",
        "        return True\n",
        T_PUBLISHER,
    ),
    Fault(
        "an own attempt outruns itself",
        PUBLISHER,
        "            if sending.tries == 1:\n",
        "            if True:\n",
        T_PUBLISHER,
    ),
    Fault(
        "an id that is being stored is refused",
        PUBLISHER,
        "(code != _ON_ITS_WAY and error",
        "(error",
        T_PUBLISHER,
    ),
    Fault(
        "a gap in what is followed is passed over",
        FOLLOWER,
        "counted != self._counted + 1 or seq <= self._taken_seq",
        "seq <= self._taken_seq",
        T_FOLLOWER,
    ),
    Fault(
        "a message is handed on twice",
        FOLLOWER,
        " or seq <= self._taken_seq:",
        ":",
        T_FOLLOWER,
    ),
    Fault(
        "the stream is followed from one place too late",
        FOLLOWER,
        '"opt_start_seq": self._taken_seq + 1',
        '"opt_start_seq": self._taken_seq + 2',
        T_FOLLOWER,
    ),
    Fault(
        "a part of an append is handed on",
        FOLLOWER,
        "        if last.index + 1 < last.of:\n",
        "        if False:\n",
        T_FOLLOWER,
    ),
    Fault(
        "a heartbeat that counts more is not believed",
        FOLLOWER,
        "        if counted is not None and int(counted) != self._counted:\n",
        "        if False:\n",
        T_FOLLOWER,
    ),
    Fault(
        "what has left the stream is passed over",
        FOLLOWER,
        "            if state.first_seq > max(self._taken_seq + 1, state.began_seq):\n",
        "            if False:\n",
        T_FOLLOWER,
    ),
    Fault(
        "what a newer version wrote is read as ours",
        ENVELOPE,
        "        if head[0] != FORMAT:\n",
        "        if False:\n",
        T_FOLLOWER,
    ),
    Fault(
        "an id with a dot is two tokens of a subject",
        ENVELOPE,
        'return user_id if _PLAIN.fullmatch(user_id) else f"={user_id.encode().hex()}"',
        "return user_id",
        ("tests/journal/test_envelope.py",),
    ),
    Fault(
        "a node that is gone holds every change up",
        NODES,
        "            if node.heard_s < gone_s or (",
        "            if (",
        T_NODES,
    ),
    Fault(
        "a node that is silent for a moment is not waited for",
        NODES,
        "        gone_s = now_s() - GONE_S\n        for name",
        "        gone_s = now_s() - 1.0\n        for name",
        T_NODES,
    ),
    Fault(
        "a node that leaves is waited for",
        NODES,
        "            self._others.pop(name, None)\n",
        "            pass\n",
        T_NODES,
    ),
    Fault(
        "an append is written in two batches",
        PROJECTOR,
        "        while count < len(self._waiting) and self._waiting[count].index > 0:\n",
        "        while False:\n",
        T_PROJECTOR,
    ),
    Fault(
        "what could not be written is passed over",
        PROJECTOR,
        "                pause_s = min(pause_s * 2, longest_s)\n",
        "                return []\n",
        T_PROJECTOR,
    ),
    Fault(
        "what is not written yet is announced",
        PROJECTOR,
        "            outcome = await self._write(_entries(batch), up_to)\n",
        "            self._announce(up_to)\n            outcome = await self._write(_entries(batch), up_to)\n",
        T_PROJECTOR,
    ),
    Fault(
        "the place is noted before the rows",
        "chatserver/store/mongo/projection.py",
        "        outcome: list[Appended | None] = []\n        try:\n",
        '        outcome: list[Appended | None] = []\n        try:\n            await self._keep("last_seq", up_to)\n',
        ("tests/store/test_mongo_late.py",),
    ),
    Fault(
        "the lease of somebody who lives is taken",
        PROJECTOR,
        "looked_s - since_s >= LEASE_S",
        "looked_s - since_s >= 0.0",
        T_PROJECTOR,
    ),
    Fault(
        "who was asleep takes the time for the others",
        PROJECTOR,
        "            if now != seen or now_s - looked_s > AWAKE_S:\n",
        "            if now != seen:\n",
        T_PROJECTOR,
    ),
    Fault(
        "whose lease is gone goes on",
        PROJECTOR,
        "        while await self._store.beat(self._owner):\n",
        "        while await self._store.beat(self._owner) or True:\n",
        T_PROJECTOR,
    ),
    Fault(
        "a database with an order of its own is opened for a stream",
        ORDER,
        "        if await log.last_seq() > 0:\n",
        "        if False:\n",
        T_ORDER,
    ),
    Fault(
        "a database of a stream is opened by one server",
        ORDER,
        '    if wanted == "local" and number != 0:\n',
        "    if False:\n",
        T_ORDER,
    ),
    Fault(
        "the users of a node that is gone stay online",
        EVERYWHERE,
        "            self._count(user_id, -1)\n            self._lost_until_s",
        "            self._lost_until_s",
        T_EVERYWHERE,
    ),
    Fault(
        "the users of a node that is gone leave at once",
        EVERYWHERE,
        "            self._lost_until_s[user_id] = now_s + self.grace_s\n",
        "            pass\n",
        T_EVERYWHERE,
    ),
    Fault(
        "whom a whole list does not name stays",
        EVERYWHERE,
        "            changes += self.heard(node_id, user_id, False)\n",
        "            pass\n",
        T_EVERYWHERE,
    ),
)
