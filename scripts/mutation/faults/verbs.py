"""Faults in what people do: accounts, logins, passwords, friendships, messages, read positions."""

from __future__ import annotations

from scripts.mutation.fault import Fault

SESSIONS = "chatserver/verbs/sessions.py"
COOKIES = "chatserver/verbs/cookies.py"
LOGINS = "chatserver/verbs/logins.py"
KEYS = "chatserver/verbs/keys.py"
PASSWORDS = "chatserver/verbs/passwords.py"
FRIENDSHIPS = "chatserver/verbs/friendships.py"
MESSAGES = "chatserver/verbs/messages.py"
READS = "chatserver/verbs/reads.py"

T_SESSIONS = "tests/verbs/test_sessions.py"
T_KEYS = ("tests/verbs/test_keys.py",)
T_PASSWORDS = ("tests/verbs/test_passwords.py",)
T_ACCOUNTS = "tests/verbs/test_accounts.py"
T_READS = ("tests/verbs/test_reads.py",)
T_FRIENDS = "tests/site/test_friends.py"
T_MESSAGES = "tests/site/test_messages.py"

FAULTS = (
    Fault(
        "blocks at the same instant all find the last place free",
        FRIENDSHIPS,
        "async with self._pair(user_id, user_id):",
        "async with self._pair(user_id, other_id + user_id):",
        ("tests/verbs/test_friendships.py",),
    ),
    Fault(
        "scripts may read the cookie",
        COOKIES,
        "Max-Age={max_age_s}; HttpOnly; ",
        "Max-Age={max_age_s}; ",
        (
            f"{T_SESSIONS}::test_a_cookie_under_https_has_the_host_prefix_and_is_the_only_one_that_counts",
        ),
    ),
    Fault(
        "the cookie goes along with requests from other sites",
        COOKIES,
        "{kept}SameSite=Lax",
        "{kept}SameSite=None",
        (
            f"{T_SESSIONS}::test_a_cookie_under_https_has_the_host_prefix_and_is_the_only_one_that_counts",
        ),
    ),
    Fault(
        "a cookie counts for ever",
        SESSIONS,
        "end = min(login.created_at + COOKIE_LIFE_MAX_MS, login.last_used_at + COOKIE_LIFE_MS)",
        "end = login.created_at + COOKIE_LIFE_MAX_MS",
        (f"{T_SESSIONS}::test_a_cookie_login_slides_by_use_and_ends_30_days_after_the_last",),
    ),
    Fault(
        "a token does not end by time",
        SESSIONS,
        "if login.expires_at is not None and login.expires_at <= now_ms:",
        "if login.expires_at is not None and login.expires_at < 0:",
        (f"{T_SESSIONS}::test_a_token_ends_by_time",),
    ),
    Fault(
        "a token that was asked for by a login outlives it",
        SESSIONS,
        "        if not self.is_current(asker):\n",
        "        if not asker:\n",
        (
            f"{T_SESSIONS}::"
            "test_a_token_that_is_asked_for_while_its_asker_signs_out_does_not_outlive_it",
        ),
    ),
    Fault(
        "a login of a stale generation counts",
        LOGINS,
        "if newest is None or login.generation >= newest[0]:",
        "if newest is None or login.generation <= newest[0]:",
        (
            f"{T_SESSIONS}::"
            "test_what_the_store_answers_late_brings_no_login_of_an_old_generation_back",
        ),
    ),
    Fault(
        "a login that ended while it was read comes back",
        LOGINS,
        "            self._ended.put(login_id, True)\n",
        "",
        (f"{T_SESSIONS}::test_a_login_that_is_ended_while_it_is_read_stays_ended",),
    ),
    Fault(
        "the secret of a form is that of any browser",
        SESSIONS,
        'return bool(subject) and self._ring.open("form", field) == subject',
        'return bool(subject) and self._ring.open("form", field) is not None',
        (f"{T_SESSIONS}::test_a_form_field_is_of_its_subject_only",),
    ),
    Fault(
        "the secret of a form is not looked at",
        "chatserver/site/classic.py",
        "if not self.house.sessions.form_field_is_of(",
        "if self is None and self.house.sessions.form_field_is_of(",
        ("tests/site/test_classic.py::test_a_form_with_a_foreign_secret_is_refused",),
    ),
    Fault(
        "a password is compared with what is kept of it",
        KEYS,
        "        Argon2id.verify_phc_encoded(password.encode(), phc)\n",
        "        return password == phc\n",
        T_KEYS,
    ),
    Fault(
        "an unknown account costs no work, and so is told from a known one",
        PASSWORDS,
        "            matches = await self._in_thread(",
        "            if phc is None:\n                return False\n"
        "            matches = await self._in_thread(",
        T_PASSWORDS,
    ),
    Fault(
        "guesses at once count as one",
        PASSWORDS,
        "            bucket.take(key, now_s)\n",
        "            bucket.wait_s(key, now_s)\n",
        T_PASSWORDS,
    ),
    Fault(
        "a right guess counts as a failure",
        PASSWORDS,
        "            bucket.give_back(key)\n",
        "            bucket.wait_s(key, self._clock_s())\n",
        T_PASSWORDS,
    ),
    Fault(
        "a password is changed by a login that has ended",
        "chatserver/verbs/accounts.py",
        "        if not self._sessions.is_current(login):\n",
        "        if not login:\n",
        (f"{T_ACCOUNTS}::test_a_password_is_not_changed_by_a_login_that_has_ended_meanwhile",),
    ),
    Fault(
        "a key is dropped while cookies of it live",
        KEYS,
        "if successor.created_at + life_ms > now_ms:",
        "if successor.created_at > now_ms:",
        T_KEYS,
    ),
    Fault(
        "whoever is blocked may ask for friendship",
        FRIENDSHIPS,
        "        if await self._store.blocked(other_id, user_id):\n            raise NotFound(_NOBODY)\n        if await self._store.blocked(user_id, other_id):\n            raise Conflict(",
        "        if await self._store.blocked(user_id, other_id):\n            raise Conflict(",
        (f"{T_FRIENDS}::test_a_blocker_is_not_found_and_not_reached",),
    ),
    Fault(
        "a block does not end the friendship",
        FRIENDSHIPS,
        "await self._part(user_id, other_id, True, guard)",
        "await self._set_block(BlockChange(user_id, other_id, True), guard)",
        (f"{T_FRIENDS}::test_a_blocker_is_not_found_and_not_reached",),
    ),
    Fault(
        "there may be any number of friends",
        FRIENDSHIPS,
        'if max(found.get("friend", 0), found.get("outgoing", 0)) >= self._prices.limits.friends:',
        'if found.get("friend", 0) < 0:',
        (f"{T_ACCOUNTS}::test_there_are_so_many_friends_and_no_more",),
    ),
    Fault(
        "wishes that cross at two nodes both come true",
        "chatserver/journal/guards.py",
        "if self.newest(guard.subject) > guard.seq:",
        "if False:",
        (
            "tests/journal/test_guards.py",
            "tests/verbs/test_nodes.py::test_two_nodes_that_change_one_pair_at_once_agree",
        ),
    ),
    Fault(
        "a stranger may be written to",
        MESSAGES,
        "elif not await self._may_write(user.id, conversation):",
        "elif not conversation:",
        (f"{T_MESSAGES}::test_a_direct_message_is_for_the_two",),
    ),
    Fault(
        "anybody hears that somebody is typing",
        MESSAGES,
        "        if not await self._may_write(user_id, conversation):\n",
        "        if not conversation:\n",
        ("tests/verbs/test_messages.py",),
    ),
    Fault(
        "sending is not limited",
        MESSAGES,
        "        if payment is None:\n            refusal = self._sending.refuse(user.id)",
        '        if payment is None:\n            payment = free_of_charge("a fault")\n        if payment is None:\n            refusal = self._sending.refuse(user.id)',
        (f"{T_MESSAGES}::test_writing_too_fast_is_refused_and_a_repeat_costs_nothing",),
    ),
    Fault(
        "a message under way outlives its author",
        MESSAGES,
        "            self._users.refuse_gone(user.id)\n",
        "",
        (f"{T_ACCOUNTS}::test_a_message_under_way_does_not_outlive_its_author",),
    ),
    Fault(
        "a repeat costs what a new message costs",
        MESSAGES,
        "            if place.duplicate:\n",
        "            if not place:\n",
        ("tests/verbs/test_messages.py",),
    ),
    Fault(
        "a read position moves backwards",
        READS,
        "position = max(up_to, self._positions.get(key) or 0)",
        "position = up_to",
        T_READS,
    ),
    Fault(
        "a read position that does not move is written again",
        READS,
        "            if not await self._is_news(key, position, reading.up_to):\n                return\n",
        "",
        T_READS,
    ),
    Fault(
        "a read position may lie beyond everything",
        READS,
        "up_to = min(up_to, await self._journal.newest())\n            await self._journal.caught_up(up_to)",
        "pass",
        (f"{T_MESSAGES}::test_a_read_position_past_the_head_is_taken_as_the_head",),
    ),
    Fault(
        "a profile that changes while it is read is remembered as it was",
        "chatserver/verbs/users.py",
        "if changes == reading.changes:",
        "if changes <= reading.changes:",
        ("tests/verbs/test_users.py",),
    ),
)
