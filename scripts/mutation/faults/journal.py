"""Faults in the order: durability, places, idempotence, age; and what the store shows of it."""

from __future__ import annotations

from scripts.mutation.fault import Fault

LOCAL = "chatserver/journal/local.py"
WAITING = "chatserver/journal/waiting.py"
SQLITE_LOG = "chatserver/store/sqlite/eventlog.py"
SQLITE = "chatserver/store/sqlite/database.py"

LOCAL_TESTS = "tests/journal/test_local_journal.py"
CONTRACT = "tests/journal/test_journal_contract.py"
HISTORY = "tests/store/test_history_contract.py"


def on_sqlite(file: str, *names: str) -> tuple[str, ...]:
    """These tests of a contract, on SQLite alone."""
    return tuple(f"{file}::{name}[sqlite]" for name in names)


FAULTS = (
    Fault(
        "an append is answered before it is written",
        LOCAL,
        "    async def _write(self, batch: list[_Waiting]) -> None:\n",
        "    async def _write(self, batch: list[_Waiting]) -> None:\n"
        "        for early in batch:\n"
        "            first = early.events[0]\n"
        "            self._answer(early, Appended(first.seq, first.at_ms, duplicate=False))\n",
        (LOCAL_TESTS,),
    ),
    Fault(
        "what is written to a file that was taken away is acknowledged",
        SQLITE,
        "                self._check_files()  #",
        "                #",
        ("tests/store/test_sqlite_files.py",),
    ),
    Fault(
        "an event is encoded with the seq of another",
        LOCAL,
        "encode_event(each, seq + n, at_ms)",
        "encode_event(each, seq, at_ms)",
        on_sqlite(CONTRACT, "test_drafts_of_one_append_stand_side_by_side"),
    ),
    Fault(
        "a clock that steps back takes the order with it",
        LOCAL,
        "if seq < at_ms * 1000:",
        "if at_ms:",
        on_sqlite(CONTRACT, "test_places_grow_when_the_clock_steps_back_even_over_a_restart"),
    ),
    Fault(
        "a clientId is not known while its message is under way",
        LOCAL,
        "first = self._by_client.get(key)",
        "first = None",
        (f"{LOCAL_TESTS}::test_a_repeat_on_its_way_never_reaches_the_log",),
    ),
    Fault(
        "a clientId is not known once its message to all friends is stored",
        SQLITE_LOG,
        "event.at_ms, payload, entry.client_id",
        "event.at_ms, payload, None",
        on_sqlite(CONTRACT, "test_a_client_id_is_remembered_over_restarts"),
    ),
    Fault(
        "a clientId is not known once its message is stored",
        SQLITE_LOG,
        "event_row(event, entry.client_id)",
        "event_row(event, None)",
        on_sqlite(CONTRACT, "test_a_client_id_is_remembered_over_restarts"),
    ),
    Fault(
        "the log beside the file grows for ever",
        "chatserver/store/sqlite/opening.py",
        "PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}",
        "PRAGMA wal_autocheckpoint = 0",
        ("tests/store/test_sqlite_batches.py::test_the_log_beside_the_file_is_used_again",),
    ),
    Fault(
        "a waiting request is never given up for an order that does not come",
        WAITING,
        "async with asyncio.timeout(CAUGHT_UP_S):",
        "async with asyncio.timeout(None):",
        (f"{LOCAL_TESTS}::test_a_wait_for_the_followers_has_an_end",),
    ),
    Fault(
        "whoever waits for the followers is not woken",
        WAITING,
        "if wanted <= seq and not waiter.done():",
        "if wanted > seq and not waiter.done():",
        (f"{LOCAL_TESTS}::test_whoever_waits_for_the_followers_goes_on_when_they_are_there",),
    ),
    Fault(
        "the bound of appends that wait is taken out",
        LOCAL,
        "if len(self._queue) >= MAX_WAITING or self._queued_bytes",
        "if self._queued_bytes",
        (f"{LOCAL_TESTS}::test_too_many_waiting_appends_are_refused",),
    ),
    Fault(
        "the bound of bytes that wait is taken out",
        LOCAL,
        "if len(self._queue) >= MAX_WAITING or self._queued_bytes >= MAX_WAITING_BYTES:",
        "if len(self._queue) >= MAX_WAITING:",
        (f"{LOCAL_TESTS}::test_too_many_waiting_bytes_are_refused",),
    ),
    Fault(
        "a transaction holds as many appends as there are",
        LOCAL,
        "if len(queue) <= MAX_BATCH:",
        "if queue:",
        (f"{LOCAL_TESTS}::test_a_batch_is_bounded",),
    ),
    Fault(
        "a batch in doubt is taken for written",
        LOCAL,
        "outcome = await self._settle(batch)",
        "outcome = [None] * len(batch)",
        (f"{LOCAL_TESTS}::test_a_batch_in_doubt_is_settled_before_anything_later",),
    ),
    Fault(
        "what waits behind a batch in doubt is left without an answer",
        LOCAL,
        "            self._fail(self._queue, error)\n",
        "",
        (f"{LOCAL_TESTS}::test_what_waits_behind_a_batch_in_doubt_is_refused_and_not_written",),
    ),
    Fault(
        "a follower that fails stops the journal",
        LOCAL,
        "                try:\n                    follower(events)\n                except Exception:",
        "                try:\n                    follower(events)\n                except ZeroDivisionError:",
        (f"{LOCAL_TESTS}::test_a_follower_that_fails_does_not_stop_the_journal",),
    ),
    Fault(
        "what was accepted is thrown away at the end",
        LOCAL,
        "while self._queue or not self._closing:",
        "while not self._closing:",
        on_sqlite(CONTRACT, "test_close_makes_durable_what_was_accepted_and_refuses_the_rest"),
    ),
    Fault(
        "a cursor from before what was dropped by age is resumed",
        LOCAL,
        "return None if after < await self._mark.seq() else found",
        "return found",
        on_sqlite(CONTRACT, "test_a_cursor_before_what_was_dropped_cannot_be_resumed"),
    ),
    Fault(
        "messages are dropped by age like everything else",
        SQLITE_LOG,
        'f"SELECT seq FROM events WHERE {IS_PASSING} AND at < ?',
        'f"SELECT seq FROM events WHERE at < ?',
        on_sqlite(CONTRACT, "test_messages_stay_and_other_events_go_after_a_week"),
    ),
    Fault(
        "a page of direct messages begins before the friendship",
        "chatserver/store/sqlite/history.py",
        "since = max(span.after, int(row[0]))",
        "since = span.after",
        on_sqlite(HISTORY, "test_friends_who_made_up_see_nothing_of_the_others_time_before"),
    ),
    Fault(
        "a page of broadcasts begins before the friendship",
        "chatserver/store/sqlite/history.py",
        "AND audience = 2 AND seq > {_SHOWN_AFTER} ORDER",
        "AND audience = 2 AND 0 < {_SHOWN_AFTER} ORDER",
        on_sqlite(HISTORY, "test_the_broadcasts_are_ones_own_and_those_of_friends_since_they_are"),
    ),
    Fault(
        "a replay does not ask who may see",
        "chatserver/store/sqlite/replay.py",
        " if shows(view, row[0], row[3], row[4], row[5]))",
        ")",
        on_sqlite(CONTRACT, "test_replay_shows_what_the_view_allows"),
    ),
    Fault(
        "who comes back with others is shown what was before a friendship",
        "chatserver/store/sqlite/replay.py",
        "        and shows(view, event.seq, event.audience, event.actor, event.to)\n",
        "",
        ("tests/store/test_sqlite_missed.py",),
    ),
    Fault(
        "the place of what has no row is given out again",
        SQLITE_LOG,
        "        newest = written[-1].events[-1].seq\n",
        "        newest = rows[-1][0] if rows else 0\n",
        on_sqlite(
            "tests/store/test_notices_contract.py",
            "test_the_place_of_a_notice_is_not_given_out_again_after_a_crash",
        ),
    ),
)
