"""Faults in what a connection that polls knows by heart, and in answers that are made once for many."""

from __future__ import annotations

from scripts.mutation.fault import Fault

POLL = "chatserver/transports/longpoll.py"
CONNECTION = "chatserver/transports/pollconnection.py"
REQUEST = "chatserver/transports/pollrequest.py"
ANSWER = "chatserver/transports/pollanswer.py"

T_REQUEST = "tests/transports/test_pollrequest.py"
T_SAME = (
    f"{T_REQUEST}::test_whatever_is_taken_for_a_repetition_says_the_same_to_who_reads_it_whole",
)
T_DIGITS = (f"{T_REQUEST}::test_only_digits_that_are_a_cursor_are_taken_for_one",)
T_PLAIN = (
    f"{T_REQUEST}::test_a_head_whose_cursor_is_not_plainly_one_run_of_digits_is_not_remembered",
)
T_POLL = ("tests/transports/test_longpoll.py",)
T_ANSWER = ("tests/transports/test_pollanswer.py",)

FAULTS = (
    Fault(
        "what follows the cursor of a poll that is known by heart may be anything",
        REQUEST,
        "if not data.startswith(self._before) or not data.endswith(self._behind):",
        "if not data.startswith(self._before):",
        T_SAME,
    ),
    Fault(
        "what stands before the cursor of a poll that is known by heart may be anything",
        REQUEST,
        "if not data.startswith(self._before) or not data.endswith(self._behind):",
        "if not data.endswith(self._behind):",
        T_SAME,
    ),
    Fault(
        "a cursor of any length is taken for one",
        REQUEST,
        "len(digits) <= LENGTH_DIGITS and digits.isdigit()",
        "digits.isdigit()",
        T_DIGITS,
    ),
    Fault(
        "a query that names its cursor twice is known by its first one",
        REQUEST,
        'line.count(b"after") != 1 or ',
        "",
        T_PLAIN,
    ),
    Fault(
        "a query that says its cursor in another spelling is known by the plain one",
        REQUEST,
        ' or b"%" in line or b"+" in line or b";" in line',
        "",
        T_PLAIN,
    ),
    Fault(
        "a query that says its cursor twice is known by one of them",
        REQUEST,
        'line.count(b"after") != 1',
        'line.count(b"after") < 1',
        T_PLAIN,
    ),
    Fault(
        "a query grows past its bound with its cursor",
        REQUEST,
        "if len(line) > QUERY_CHARS:",
        "if len(line) > 10 * QUERY_CHARS:",
        T_PLAIN,
    ),
    Fault(
        "headers that end as those before are taken for the same",
        REQUEST,
        'endswith(b" HTTP/1.1\\r\\n%b\\r\\n" % fields)',
        'endswith(b"%b\\r\\n" % fields)',
        (f"{T_REQUEST}::test_its_headers_are_known_without_their_line",),
    ),
    Fault(
        "who repeats a poll gets the answer to the first one again",
        CONNECTION,
        "                request.after = after\n",
        "",
        (
            f"{T_REQUEST}::test_the_next_poll_of_a_connection_is_not_read_again_and_has_its_own_cursor",
        ),
    ),
    Fault(
        "who repeats a poll has no place in the turn",
        CONNECTION,
        "if after is not None and self._delivery.connections.take_turn():",
        "if after is not None:",
        (f"{T_REQUEST}::test_each_poll_is_paid_for_and_has_its_place_in_a_turn",),
    ),
    Fault(
        "a poll that repeats another overtakes what waits before it",
        CONNECTION,
        "if repeated is not None and at_rest:",
        "if repeated is not None:",
        (f"{T_REQUEST}::test_a_poll_that_comes_while_another_waits_is_answered_after_it",),
    ),
    Fault(
        "who was refused is answered at once where their head is known",
        CONNECTION,
        "not (self._rests or connection.waits)",
        "not connection.waits",
        (f"{T_REQUEST}::test_each_poll_is_paid_for_and_has_its_place_in_a_turn",),
    ),
    Fault(
        "a poll whose head is known does not wait for the answer before",
        CONNECTION,
        "not (self._rests or connection.waits)",
        "not self._rests",
        (f"{T_REQUEST}::test_a_poll_whose_head_is_known_waits_until_the_answer_before_has_left",),
    ),
    Fault(
        "who repeats a poll is let in while everybody is sent away",
        POLL,
        " and reader.attached and not draining:\n",
        " and reader.attached:\n",
        (f"{T_REQUEST}::test_a_server_that_sends_everybody_away_refuses_who_asks_on",),
    ),
    Fault(
        "who repeats a poll and is not let in again is not told why",
        POLL,
        "                delivery.readers.refuse_while_draining()\n",
        "                pass\n",
        (f"{T_REQUEST}::test_a_server_that_sends_everybody_away_refuses_who_asks_on",),
    ),
    Fault(
        "who repeats a poll goes on as whoever asked last under that name",
        POLL,
        "reader is not None and reader.login is login and",
        "reader is not None and login is not None and",
        (
            f"{T_REQUEST}::test_who_asks_on_by_their_own_login_ends_with_that_one_though_another_has_asked_since",
        ),
    ),
    Fault(
        "who repeats a poll reads a mailbox that is forgotten",
        POLL,
        " and reader.attached and not draining:\n",
        " and not draining:\n",
        (
            f"{T_REQUEST}::test_a_poll_that_repeats_another_is_looked_up_where_its_mailbox_was_forgotten",
        ),
    ),
    Fault(
        "the other nodes do not hear of a poll that repeats another",
        POLL,
        "            if delivery.neighbours.several:\n                delivery.neighbours.polled(reader)\n            self._go_on",
        "            self._go_on",
        (f"{T_REQUEST}::test_other_nodes_hear_of_each_poll_though_its_head_is_known_by_heart",),
    ),
    Fault(
        "polls do not ask whose page it is",
        POLL,
        "                check_whose(ask, login)\n",
        "                pass\n",
        (f"{T_REQUEST}::test_a_head_with_another_line_is_read",),
    ),
    Fault(
        "a poll that comes back with another login ends with the first one",
        POLL,
        "            if reader.login is not login:\n",
        "            if reader.login is None:\n",
        (
            "tests/transports/test_longpoll.py"
            "::test_a_poll_with_another_login_of_the_same_client_ends_with_that_one",
        ),
    ),
    Fault(
        "a poll gets the answer of one that was told something else",
        ANSWER,
        "if said != self._said or events != self._events:",
        "if events != self._events:",
        T_ANSWER,
    ),
    Fault(
        "who is owed the presence gets events alone",
        POLL,
        "elif batch and not reader.signals and not reader.owed_presence:",
        "elif batch and not reader.signals:",
        T_POLL,
    ),
    Fault(
        "signals wait while there are events",
        POLL,
        "elif batch and not reader.signals and not reader.owed_presence:",
        "elif batch and not reader.owed_presence:",
        T_POLL,
    ),
    Fault(
        "the date of an answer stays as long as its events are asked for",
        ANSWER,
        "int(time())",
        "0",
        T_ANSWER,
    ),
    Fault(
        "a poll gets the events of another",
        ANSWER,
        "if said != self._said or events != self._events:",
        "if said != self._said:",
        T_ANSWER,
    ),
)
