"""Faults on all floors that somebody planted by hand, and that no test of their floor noticed at first."""

from __future__ import annotations

from scripts.mutation.fault import Fault

CATCHUP = "chatserver/delivery/catchup.py"
LOCAL = "chatserver/journal/local.py"

T_CATCHUP = "tests/delivery/test_catchup.py::"
T_LOCAL = "tests/journal/test_local_journal.py::"

FAULTS = (
    Fault(
        "what a polling Socket.IO client has taken is counted for good",
        "chatserver/transports/socketio_link.py",
        "        if not self.queue.unsent:\n            self._held_bytes = 0\n",
        "        if not self.queue.unsent:\n",
        (
            "tests/transports/test_socketio_link.py::test_what_a_polling_client_has_taken_is_counted_no_more",
        ),
    ),
    Fault(
        "a replay waits for ever for a peer that has gone",
        "chatserver/transports/stream.py",
        '        """The connection is gone."""\n        self._wake()\n',
        '        """The connection is gone."""\n',
        (
            "tests/transports/test_stream.py::test_a_stream_that_is_lost_in_the_middle_of_a_replay_leaves_nothing_that_waits",
        ),
    ),
    Fault(
        "the chunks of a connection are counted together",
        "chatserver/transports/watched.py",
        "        self._reads_head = self._awaits_head = True\n        self._chunks = 0\n",
        "        self._reads_head = self._awaits_head = True\n",
        ("tests/transports/test_heads.py::test_the_chunks_of_each_request_are_its_own",),
    ),
    Fault(
        "who waits for the journal is not counted as joining afterwards",
        "chatserver/transports/stream.py",
        "                await joins.enter_again()\n",
        "                pass\n",
        ("tests/transports/test_stream.py::test_a_journal_that_cannot_say_is_asked_again",),
    ),
    Fault(
        "the acknowledgement of a repeat waits for the next event",
        "chatserver/transports/talking.py",
        "            if answer.duplicate:\n",
        "            if not answer:\n",
        (
            "tests/transports/test_socketreader.py::test_the_acknowledgement_of_a_repeat_leaves_though_no_event_follows",
        ),
    ),
    Fault(
        "what does not fit into one write waits for the next event",
        "chatserver/transports/stream.py",
        "        if self.mailbox.last_seq > self.cursor:\n            self.delivery.hub.mark(self)\n",
        "",
        (
            "tests/transports/test_stream.py::test_what_is_more_than_one_write_is_written_to_its_end_though_nothing_follows",
        ),
    ),
    Fault(
        "frames that come together are free",
        "chatserver/transports/frames.py",
        "            wait_s = self._pay(",
        "            self._pay(",
        (
            "tests/transports/test_turns.py::test_frames_that_come_one_by_one_are_paid_for_as_well[2]",
        ),
    ),
    Fault(
        "a frame that comes alone is taken for a text whatever it is",
        "chatserver/transports/frames.py",
        "if head != _SHORT_TEXT + len(text):",
        "if head & 0xFF != _SHORT_TEXT + len(text) & 0xFF:",
        ("tests/transports/test_frames.py",),
    ),
    Fault(
        "frames that use up no turn are free",
        "chatserver/transports/frames.py",
        "        wait_s = self._pay(frame_cost(1, len(data)",
        "        wait_s = 0.0 * self._pay(frame_cost(1, len(data)",
        (
            "tests/transports/test_turns.py::test_frames_that_come_one_by_one_are_paid_for_as_well[1]",
        ),
    ),
    Fault(
        "what follows the beginning of a head is answered before it",
        "chatserver/transports/pollconnection.py",
        "repeated, at_rest, self._at_rest = self._repeated, self._at_rest, False",
        "repeated, at_rest = self._repeated, self._at_rest",
        (
            "tests/transports/test_pollconnection.py::test_behind_the_beginning_of_a_head_the_one_before_is_not_known_again",
        ),
    ),
    Fault(
        "a client hears what the framework says of a bad request",
        "chatserver/http/problems.py",
        '        return BadRequest("The request makes no sense.")',
        "        return BadRequest(str(raised))",
        (
            "tests/http/test_problems.py::test_what_a_client_hears_of_an_exception_is_never_its_text",
        ),
    ),
    Fault(
        "friends on another transport get the bytes of the first one",
        "chatserver/core/mailbox.py",
        "        if frames is not reader.frames and (frames := reader.frames) is not None:",
        "        if frames is None and (frames := reader.frames) is not None:",
        (
            "tests/core/test_hand_out.py::test_friends_on_different_transports_get_each_the_bytes_of_their_own",
        ),
    ),
    Fault(
        "of many that are marked the rest waits until somebody else is marked, which is never",
        "chatserver/core/hub.py",
        "            dirty, self._dirty = dirty[:FLUSH_READERS], dirty[FLUSH_READERS:]\n            self._schedule_flush()\n",
        "            dirty, self._dirty = dirty[:FLUSH_READERS], dirty[FLUSH_READERS:]\n",
        ("tests/core/test_hub.py::test_many_that_are_marked_write_in_several_turns",),
    ),
    Fault(
        "the newest event is taken a second time",
        "chatserver/core/hub.py",
        "            if event.seq <= head_seq:\n",
        "            if event.seq < head_seq:\n",
        ("tests/core/test_hub.py::test_what_comes_a_second_time_is_passed_over",),
    ),
    Fault(
        "who was looked up is being looked up for good",
        "chatserver/delivery/newcomers.py",
        "            task.add_done_callback(self._asking.pop)\n",
        "",
        ("tests/delivery/test_newcomers.py::test_who_comes_in_one_turn_is_found_by_one_question",),
    ),
    Fault(
        "at the door health is paid from what all others of the address pay from",
        "chatserver/http/admission.py",
        "            address = bucket + self._proxies.client(peer(), headers)\n            self._tolls.address_must",
        "            address = self._proxies.client(peer(), headers)\n            self._tolls.address_must",
        (
            "tests/http/test_entrance.py::test_who_asks_for_the_servers_health_is_not_kept_out_at_the_door_by_others_of_the_address",
        ),
    ),
    Fault(
        "a site that has come often enough is kept out for good",
        "chatserver/core/addresses.py",
        "        for each in _with_site(key):\n            left",
        "        for each in (key,):\n            left",
        (
            "tests/core/test_addresses.py::test_whoever_has_gone_counts_no_more_neither_alone_nor_in_their_site",
        ),
    ),
    Fault(
        "an address goes on paying for whoever turns out to be signed in",
        "chatserver/http/admission.py",
        "            seat.owed = partial(tolls.user_pays_instead, address, cost)\n",
        "            pass\n",
        (
            "tests/http/test_entrance.py::test_whose_login_was_not_known_pays_instead_of_their_address",
        ),
    ),
    Fault(
        "what is taken out of a mailbox goes on weighing in it",
        "chatserver/core/mailbox.py",
        "        self.more_places = bounds.more_places(self.events)\n",
        "",
        ("tests/core/test_mailbox.py::test_what_is_taken_out_weighs_nothing_any_more",),
    ),
    Fault(
        "whose change was not written is waited for",
        LOCAL,
        "            self._subjects.never_happened(waiting.events, self._head.seq)\n",
        "",
        (f"{T_LOCAL}test_whose_change_was_not_written_is_held_up_by_nothing",),
    ),
    Fault(
        "a change that was in doubt outruns nobody",
        LOCAL,
        "            for waiting in batch:\n                self._subjects.note(waiting.events)\n",
        "",
        (f"{T_LOCAL}test_a_change_that_was_in_doubt_and_is_there_outruns_what_was_decided_before",),
    ),
    Fault(
        "what was refused in an outage takes room for good",
        LOCAL,
        "            self._queue.clear()\n            self._queued_bytes = 0\n            outcome",
        "            self._queue.clear()\n            outcome",
        (f"{T_LOCAL}test_what_was_refused_behind_a_batch_in_doubt_takes_no_room",),
    ),
    Fault(
        "a page of a replay shows who went while it was read",
        CATCHUP,
        "        return _shown_now(mailbox, events), position",
        "        return events, position",
        (f"{T_CATCHUP}test_a_page_of_a_replay_leaves_out_a_friend_who_went_while_it_was_read",),
    ),
    Fault(
        "who has looked below a mailbox once is looking for good",
        CATCHUP,
        "                self._looking.discard(user_id)",
        "                pass",
        (f"{T_CATCHUP}test_what_was_missed_of_a_friend_who_went_while_it_was_read_is_not_shown",),
    ),
    Fault(
        "a proxy that says less of the scheme than of addresses is an error",
        "chatserver/http/proxies.py",
        "min(hop, len(protos) - 1)",
        "hop",
        ("tests/http/test_proxies.py::test_the_scheme_is_that_of_the_same_hop",),
    ),
    Fault(
        "a login that ends while its user is looked up comes in",
        "chatserver/http/admission.py",
        "        if not self._sessions.is_current(login):\n",
        "        if False:\n",
        (
            "tests/http/test_entrance.py::test_a_login_that_ends_while_its_user_is_looked_up_comes_in_no_more",
        ),
    ),
    Fault(
        "of several Cookie headers the first one counts",
        "chatserver/http/requests.py",
        '"; ".join(lines)',
        "lines[0]",
        ("tests/http/test_requests.py::test_several_cookie_headers_are_read_as_one",),
    ),
    Fault(
        "whoever is refused once they are found stays among the joins",
        "chatserver/transports/longpoll.py",
        "            self._refuse(error)\n        else:\n",
        "            self._refuse(error)\n            return None\n        else:\n",
        (
            "tests/transports/test_pollconnection.py::test_whoever_is_refused_once_they_are_found_keeps_nobody_else_from_coming_in",
        ),
    ),
    Fault(
        "a repeat that is answered takes the place of the next with its key away",
        LOCAL,
        "        waiting.key = None  # whoever",
        "        pass  # whoever",
        (
            "tests/journal/test_local_journal.py::test_who_asks_again_when_answered_is_one_append_with_the_next_who_does",
        ),
    ),
    Fault(
        "a repeat to a former friend costs what a new message costs",
        "chatserver/verbs/messages.py",
        "        if payment is not None:\n            payment.give_back()\n        answer(",
        "        answer(",
        (
            "tests/verbs/test_messages.py::test_a_repeat_to_a_former_friend_gets_its_place_for_nothing_and_a_new_message_does_not",
        ),
    ),
)
