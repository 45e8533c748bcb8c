"""What of a batch is for whom, against a list for each mailbox."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given

from chatserver.core.events import Audience, Draft, Event, encode_event
from chatserver.core.mailbox import Mailbox
from chatserver.core.news import News

USERS = "abcdef"

audiences = st.lists(st.lists(st.sampled_from(USERS), unique=True), max_size=12)


def boxes() -> dict[str, Mailbox]:
    return {user: Mailbox(user, 0, {}) for user in USERS}


def an_event(seq: int, actor: str = "a") -> Event:
    draft = Draft("message", Audience.FRIENDS, actor, None, {"text": "x"})
    return encode_event(draft, seq, 1)


@given(audiences)
def test_each_gets_what_is_for_them_once_and_in_order(audiences: list[list[str]]) -> None:
    mailboxes, news = boxes(), News()
    expected: dict[str, list[Event]] = {}
    for number, audience in enumerate(audiences):
        run = [an_event(10 * number + 1), an_event(10 * number + 2)]
        for user in audience:
            expected[user] = expected.get(user, []) + run
        news.add(run, [mailboxes[user] for user in audience])
    found = [(mailbox.user_id, run) for run, some in news for mailbox in some]
    assert len(found) == len(dict(found)), "each mailbox is handed one list"
    assert dict(found) == expected
    assert len(list(news)) == len({tuple(map(id, run)) for run in expected.values()}), (
        "the same events are one list"
    )


@given(audiences, st.sampled_from(USERS))
def test_what_a_user_may_not_see_any_more_is_taken_out_of_theirs_alone(
    audiences: list[list[str]], user: str
) -> None:
    mailboxes, news = boxes(), News()
    seen: dict[str, list[str]] = {}
    for number, audience in enumerate(audiences):
        actor = USERS[number % 2]
        for hearer in audience:
            seen.setdefault(hearer, []).append(actor)
        news.add([an_event(number + 1, actor)], [mailboxes[one] for one in audience])
    news.withdraw(mailboxes[user])  # it has no friends
    if user in seen:
        seen[user] = [actor for actor in seen[user] if actor == user]
    found = {box.user_id: [event.actor for event in run] for run, some in news for box in some}
    assert found == {hearer: actors for hearer, actors in seen.items() if actors}
