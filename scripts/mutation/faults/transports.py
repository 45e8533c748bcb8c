"""Faults on the ways in: connections, streams, polls."""

from __future__ import annotations

from scripts.mutation.fault import Fault

CONNECTION = "chatserver/transports/connection.py"
POLL = "chatserver/transports/longpoll.py"
POLL_ANSWER = "chatserver/transports/pollanswer.py"
POLL_CONNECTION = "chatserver/transports/pollconnection.py"
POLL_READER = "chatserver/transports/pollreader.py"
FIRST_LOOK = "chatserver/transports/firstlook.py"
STREAM = "chatserver/transports/stream.py"
WEBSOCKET = "chatserver/transports/websocket.py"
TALKING = "chatserver/transports/talking.py"
READER = "chatserver/transports/reader.py"

T_CONNECTION = ("tests/transports/test_connection.py",)
T_FIRST_LOOK = "tests/transports/test_firstlook.py"
T_STREAM = ("tests/transports/test_stream.py",)
T_PIPES = ("tests/transports/test_pipes.py",)
T_READER = ("tests/transports/test_reader.py",)
T_CONTRACT = "tests/transports/test_contract.py"
T_POLL = ("tests/transports/test_longpoll.py",)
T_POLL_CONNECTION = "tests/transports/test_pollconnection.py"
T_WEBSOCKET = "tests/transports/test_websocket.py"
T_TOGETHER = ("tests/transports/test_arriving_together.py",)

LINK = "chatserver/transports/socketio_link.py"
PACKETS = "chatserver/core/packets.py"
T_LINK = ("tests/transports/test_socketio_link.py",)

FAULTS = (
    Fault(
        "who shares a connection with somebody is taken for them",
        POLL_CONNECTION,
        "        self._headers, self._bearer = headers, None\n",
        "        self._headers = headers\n",
        (
            f"{T_POLL_CONNECTION}::test_on_a_connection_that_a_proxy_shares_each_poll_is_its_own_askers",
        ),
    ),
    Fault(
        "a connection on which no poll comes any more stays",
        POLL_CONNECTION,
        "        if rests_s >= idle_s:\n",
        "        if rests_s < 0:\n",
        (f"{T_POLL_CONNECTION}::test_a_connection_on_which_no_poll_comes_any_more_is_closed",),
    ),
    Fault(
        "a peer that never closes its side is waited for",
        CONNECTION,
        "        asyncio.get_running_loop().call_later(CLOSE_S, self.abort)\n",
        "",
        (f"{T_CONNECTION[0]}::test_a_peer_that_never_closes_its_side_is_closed_in_time",),
    ),
    Fault(
        "the quick way in is free",
        FIRST_LOOK,
        "            self._admission.charge(\n                headers, REQUEST,",
        "            self._admission.charge(\n                headers, 0 * REQUEST,",
        (f"{T_FIRST_LOOK}::test_the_quick_way_in_is_no_cheaper",),
    ),
    Fault(
        "who came the quick way does not pay for their connection",
        FIRST_LOOK,
        "        sock.sign_in(arrival.user.id)\n",
        "",
        (f"{T_FIRST_LOOK}::test_whoever_is_let_in_pays_for_the_connection_from_then_on",),
    ),
    Fault(
        "friends who come together are told of each other a second time",
        STREAM,
        "        self.knows = ALL_COMINGS\n",
        "        self.knows = 0\n",
        T_TOGETHER,
    ),
    Fault(
        "who is owed the whole presence is told of each who comes besides",
        POLL_READER,
        "            self.knows = ALL_COMINGS\n",
        "            pass\n",
        T_POLL,
    ),
    Fault(
        "who was shown the whole presence is told of those in it, once a herd is over",
        POLL_READER,
        "            self.knows = attendance.comings\n",
        "            pass\n",
        T_POLL,
    ),
    Fault(
        "a first poll that is Tornado's to judge is lost on the way to it",
        POLL_CONNECTION,
        "            self._buffer += head\n",
        "            pass\n",
        (f"{T_POLL_CONNECTION}::test_what_comes_with_the_first_poll_is_answered_behind_it",),
    ),
    Fault(
        "who comes does not wake a client whose news another node has handed out",
        POLL_READER,
        "            self.knows = 0  #",
        "            pass  #",
        T_POLL,
    ),
    Fault(
        "who was superseded before the greeting is greeted all the same",
        "chatserver/transports/firstlook.py",
        "            if reader.attached:\n",
        "            if True:\n",
        T_TOGETHER,
    ),
    Fault(
        "a frame that never ends is life",
        WEBSOCKET,
        "        if finish_in_s <= 0:",
        "        if finish_in_s <= -1e9:",
        ("tests/transports/test_socketreader.py",),
    ),
    Fault(
        "what the library holds of a Socket.IO client's does not count as waiting",
        LINK,
        "return self.queue.unsent > 0 or (",
        "return False or (",
        T_LINK,
    ),
    Fault(
        "a packet that is in the library's hands counts as sent",
        LINK,
        "if item is not None and (self.link is None or not self.link.engine.upgraded):",
        "if item is not None:",
        T_LINK,
    ),
    Fault(
        "a Socket.IO link on which nobody signs in stays",
        LINK,
        "if self.reader is None and now_s >= self.since_s + limits.head_s:",
        "if self.reader is None and now_s < 0:",
        T_LINK,
    ),
    Fault(
        "a client may call any event of Socket.IO",
        PACKETS,
        "        if verb is None:\n",
        "        if name is None:\n",
        ("tests/core/test_packets.py",),
    ),
    Fault(
        "the bound of what waits for one connection is taken out",
        CONNECTION,
        "if len(self._pending) > PENDING_BYTES:",
        "if len(self._pending) < 0:",
        T_CONNECTION,
    ),
    Fault(
        "a peer that takes no answers is asked more questions",
        CONNECTION,
        "not self._paused and waiting <= PAUSE_BYTES",
        "not self._paused",
        T_CONNECTION,
    ),
    Fault(
        "a paused connection is read",
        CONNECTION,
        "not self._paused and waiting <= PAUSE_BYTES",
        "waiting <= PAUSE_BYTES",
        T_CONNECTION,
    ),
    Fault(
        "a peer that takes no byte stays",
        CONNECTION,
        "        if left_s > 0:\n            return left_s\n        self._watched = False\n",
        "        if left_s != 0:\n            return 5.0\n        self._watched = False\n",
        T_CONNECTION,
    ),
    Fault(
        "an exception in a callback leaves the connection without an end",
        CONNECTION,
        '"somebody who has gone", error)\n        self.abort()\n',
        '"somebody who has gone", error)\n',
        T_CONNECTION,
    ),
    Fault(
        "what is corked is lost",
        CONNECTION,
        'data, self._corked = self._corked + data, b""',
        'self._corked = b""',
        T_CONNECTION,
    ),
    Fault(
        "the end comes before what waits has left",
        CONNECTION,
        "        if self._pending is None:\n            self._shut_down()\n        asyncio",
        "        self.abort()\n        asyncio",
        T_CONNECTION,
    ),
    Fault(
        "the bound of waiting signals is taken out",
        READER,
        "if len(signals) > SIGNALS_KEPT:",
        "if len(self.signals) < 0:",
        T_READER,
    ),
    Fault(
        "an older signal of the same kind about the same person stays",
        READER,
        "        signals.pop(key, None)  # the newest stands last\n",
        "",
        T_READER,
    ),
    Fault(
        "the table of stages is not looked at",
        READER,
        "if stage not in STAGES[self.stage]:",
        "if stage not in STAGES:",
        T_READER,
    ),
    Fault(
        "a stream takes what comes although it has missed something",
        STREAM,
        "before <= self.cursor < run[0].seq",
        "self.cursor < run[0].seq",
        T_STREAM,
    ),
    Fault(
        "a stream writes over what still waits",
        STREAM,
        "            if not outlet.waits:\n",
        "            if outlet:\n",
        T_STREAM,
    ),
    Fault(
        "the cursor of a stream moves by one event of a batch",
        STREAM,
        "self.cursor = batch[-1].seq",
        "self.cursor = batch[0].seq",
        T_STREAM,
    ),
    Fault(
        "a pipe goes past what waits",
        STREAM,
        '        """Something has to wait: nothing goes past it."""\n        self.pipe = None\n',
        '        """Something has to wait: nothing goes past it."""\n',
        T_PIPES,
    ),
    Fault(
        "a pipe goes past what is corked",
        STREAM,
        "            self.frames = self  # or the pipe would go past it\n",
        "            pass\n",
        T_PIPES,
    ),
    Fault(
        "a pipe is there after the end",
        READER,
        "        self.stage = stage\n        self.pipe = None\n",
        "        self.stage = stage\n",
        T_PIPES,
    ),
    Fault(
        "a client of the laboratory is written to by a pipe, which counts nothing",
        STREAM,
        "        if not arrival.client.startswith(LAB):\n",
        "        if True:\n",
        T_PIPES,
    ),
    Fault(
        "nobody's bytes are counted",
        STREAM,
        "            outlet.count_bytes()\n",
        "            pass\n",
        T_PIPES,
    ),
    Fault(
        "who is not counted has no pipe either",
        STREAM,
        "                if self.frames is not None:\n",
        "                if self.frames is None:\n",
        T_PIPES,
    ),
    Fault(
        "a stream that takes does not move its cursor",
        STREAM,
        "                self.cursor = run[-1].seq\n",
        "",
        T_STREAM,
    ),
    Fault(
        "pages of a replay are written without waiting for the one before",
        STREAM,
        "            await self._until_drained()\n",
        "",
        T_STREAM,
    ),
    Fault(
        "a login that expires is not noticed by its stream",
        STREAM,
        "expires_at <= self.delivery.clockwork.clock_ms():",
        "expires_at < 0:",
        T_STREAM,
    ),
    Fault(
        "a poll is answered with the cursor of its first event",
        POLL_ANSWER,
        "cursor = [event.payload for event in events], events[-1].seq",
        "cursor = [event.payload for event in events], events[0].seq",
        T_POLL,
    ),
    Fault(
        "a poll that found nothing goes back to the beginning",
        POLL,
        "reader, cursor, more = self._reader, self._after, False",
        "reader, cursor, more = self._reader, 0, False",
        T_POLL,
    ),
    Fault(
        "all polls end at the same moment",
        POLL,
        "wait_s = self._request.wait_s * (1 - JITTER * random.random())",
        "wait_s = self._request.wait_s",
        T_POLL,
    ),
    Fault(
        "an older poll of the same client is left waiting",
        POLL,
        "            older.answer((), ())\n",
        "",
        (f"{T_CONTRACT}::test_the_newest_of_two_polls_wins_and_the_older_ends_empty",),
    ),
    Fault(
        "a poll says that there is no more where there is",
        POLL_ANSWER,
        "items(cursor, payloads, newest_seq > cursor, wait_s)",
        "items(cursor, payloads, False, wait_s)",
        T_POLL,
    ),
    Fault(
        "an answer with a signal says that there is no more where there is",
        POLL,
        "more = reader.mailbox.last_seq > cursor",
        "more = False",
        T_POLL,
    ),
    Fault(
        "a poll is answered with the cursor of its first event where it brings a signal",
        POLL,
        "            cursor = events[-1].seq\n",
        "            cursor = events[0].seq\n",
        T_POLL,
    ),
    Fault(
        "what a client sends behind a poll that waits is kept without end",
        POLL_CONNECTION,
        "if connection.waits or len(self._buffer) > HEAD_BYTES:",
        "if connection.waits:",
        (f"{T_POLL_CONNECTION}::test_what_comes_behind_a_poll_that_waits_is_bounded",),
    ),
    Fault(
        "what is asked behind the last request is carried out",
        POLL_CONNECTION,
        "        if self._close_after:\n            self._buffer.clear()",
        "        if self._close_after and not self._buffer:\n            self._buffer.clear()",
        (f"{T_POLL_CONNECTION}::test_what_is_asked_behind_the_last_request_is_not_answered",),
    ),
    Fault(
        "what was read of a connection before it was taken comes behind what is read after that",
        "chatserver/transports/connection.py",
        "            asyncio.get_running_loop().call_soon(self._receive_first, first)\n        else:\n            connections.watch.add(self._fd, self)\n",
        "            asyncio.get_running_loop().call_soon(self._receive_first, first)\n        self._look_at_reading()\n",
        T_CONNECTION,
    ),
    Fault(
        "answers to polls lead back into the next one, deeper each time",
        POLL_CONNECTION,
        "        elif not self._working and not self._rests:",
        "        elif self._buffer:\n            self._next()\n        elif not self._working:",
        (f"{T_POLL_CONNECTION}::test_many_polls_in_one_write_are_answered_one_after_another",),
    ),
    Fault(
        "the frames of one client wait without end",
        TALKING,
        "return self._unanswered >= INBOX_FRAMES",
        "return self._unanswered < 0",
        ("tests/transports/test_socketreader.py",),
    ),
    Fault(
        "bad frames are answered for ever",
        TALKING,
        "if self._bad_frames >= BAD_FRAMES_MAX:",
        "if self._bad_frames < 0:",
        (f"{T_WEBSOCKET}::test_a_client_is_closed_with_the_code_it_earned",),
    ),
    Fault(
        "what comes is no sign of life",
        "chatserver/transports/frames.py",
        "        self._silent = False\n        if not self.attached:\n            return  # it was told",
        "        if not self.attached:\n            return  # it was told",
        (f"{T_WEBSOCKET}::test_a_peer_that_answers_pings_stays",),
    ),
    Fault(
        "a silent peer stays",
        WEBSOCKET,
        "            if self._silent:\n",
        "            if not self:\n",
        (f"{T_WEBSOCKET}::test_a_silent_peer_is_gone_after_its_ping",),
    ),
)
