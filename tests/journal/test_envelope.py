"""Where an event stands in the stream: no two users meet under one subject, whatever their ids are."""

from __future__ import annotations

from chatserver.journal.envelope import Subjects


def test_an_id_is_one_token_of_a_subject_and_no_other_id_has_it() -> None:
    subjects = Subjects("00ff")
    ids = ["ann", "ann.bob", "*", ">", "", "=616e6e", "an n", "\u00e9", "a" * 65, "\n"]
    found = [subjects.of_actor(each) for each in ids]
    assert len(set(found)) == len(ids)
    for each in found:
        head, _, token = each.rpartition(".")
        assert head == "chat.00ff.e" and token and not set(token) & set(" *>\n\t")
    assert subjects.guarded(("a.b", "c")) != subjects.guarded(("a", "b.c"))
