"""Asking, accepting, ending, blocking; and what each side sees of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.site.conftest import Browser, problem

Make = Callable[..., Browser]


def told(one: Browser) -> list[tuple[str, str]]:
    """What a person's own friend events say: about whom, and what."""
    return [(e["user"]["id"], e["relation"]) for e in one.events() if e["type"] == "friend"]


def test_asking_and_accepting_make_friends_and_both_are_told(browser: Make) -> None:
    ann, bob = browser("Ann"), browser("Bob")
    assert ann.http.put(f"/api/friends/{bob.id}").json() == {"relation": "outgoing"}
    assert (ann.relation_to(bob), bob.relation_to(ann)) == ("outgoing", "incoming")
    assert ann.http.get("/api/friends").json()["outgoing"] == [bob.public()]
    assert bob.http.get("/api/friends").json()["incoming"] == [ann.public()]
    assert bob.http.put(f"/api/friends/{ann.id}").json() == {"relation": "friend"}
    shown = ann.http.get("/api/friends").json()
    assert shown["outgoing"] == [] and [one["id"] for one in shown["friends"]] == [bob.id]
    assert shown["friends"][0] | bob.public() == shown["friends"][0]
    assert shown["friends"][0].keys() - bob.public().keys() == {"online", "lastSeen"}
    assert told(ann) == [(bob.id, "outgoing"), (bob.id, "friend")]
    assert told(bob) == [(ann.id, "incoming"), (ann.id, "friend")]


def test_repeating_a_wish_changes_nothing_and_tells_nobody(browser: Make) -> None:
    ann, bob = browser(), browser()
    for _ in range(2):
        assert ann.http.put(f"/api/friends/{bob.id}").json() == {"relation": "outgoing"}
    for _ in range(2):
        assert bob.http.put(f"/api/friends/{ann.id}").json() == {"relation": "friend"}
    for _ in range(2):
        assert ann.http.delete(f"/api/friends/{bob.id}").status_code == 204
    assert told(bob) == [(ann.id, "incoming"), (ann.id, "friend"), (ann.id, "none")]
    assert ann.http.delete("/api/friends/nobody-at-all").status_code == 204


def test_both_asking_at_once_are_friends(browser: Make) -> None:
    ann, bob = browser(), browser()
    with ThreadPoolExecutor(8) as threads:
        for _ in range(4):
            threads.submit(ann.http.put, f"/api/friends/{bob.id}")
            threads.submit(bob.http.put, f"/api/friends/{ann.id}")
    assert ann.relation_to(bob) == bob.relation_to(ann) == "friend"
    assert len(told(ann)) == len(told(bob)) == 2


def test_declining_and_withdrawing_leave_nothing(browser: Make) -> None:
    ann, bob = browser(), browser()
    for ends in (ann, bob):
        ann.http.put(f"/api/friends/{bob.id}")
        other = bob if ends is ann else ann
        assert ends.http.delete(f"/api/friends/{other.id}").status_code == 204
        assert (ann.relation_to(bob), bob.relation_to(ann)) == ("none", "none")


def test_oneself_is_no_friend_and_an_unknown_person_is_not_found(browser: Make) -> None:
    ann = browser()
    problem(ann.http.put(f"/api/friends/{ann.id}"), 422, "invalid_field")
    problem(ann.http.put(f"/api/blocks/{ann.id}"), 422, "invalid_field")
    problem(ann.http.put("/api/friends/nobody-at-all"), 404, "not_found")
    problem(ann.http.put("/api/blocks/nobody-at-all"), 404, "not_found")


def test_a_blocker_is_not_found_and_not_reached(browser: Make) -> None:
    ann, bob = browser("Ann"), browser("Bob")
    ann.befriend(bob)
    assert ann.http.put(f"/api/blocks/{bob.id}").status_code == 204
    assert ann.http.get("/api/blocks").json() == {"users": [bob.public()]}
    assert told(bob)[-1] == (ann.id, "none") and told(ann)[-1] == (bob.id, "none")
    assert bob.relation_to(ann) == "hidden"
    unknown = bob.http.put("/api/friends/nobody-at-all")
    blocked = bob.http.put(f"/api/friends/{ann.id}")
    assert (blocked.status_code, blocked.content) == (404, unknown.content)
    problem(bob.http.post("/api/messages", json={"text": "x", "to": ann.id}), 403, "forbidden")
    problem(ann.http.put(f"/api/friends/{bob.id}"), 409, "conflict")
    for _ in range(2):
        assert ann.http.delete(f"/api/blocks/{bob.id}").status_code == 204
    assert bob.http.put(f"/api/friends/{ann.id}").json() == {"relation": "outgoing"}


def test_blocking_a_stranger_tells_nobody(browser: Make) -> None:
    ann, bob = browser(), browser()
    for _ in range(2):
        assert ann.http.put(f"/api/blocks/{bob.id}").status_code == 204
    assert bob.relation_to(ann) == "hidden"
    assert told(ann) == told(bob) == []


def test_people_are_found_by_words_of_their_name_and_by_their_whole_email(browser: Make) -> None:
    ann, bob = browser("Ann"), browser("Xaverine")

    def find(query: str) -> list[str]:
        answer = ann.http.get("/api/users", params={"q": query, "limit": 50}).json()
        return [row["id"] for row in answer["users"]]

    assert find("xAv") == find(f"xaverine {bob.user['lastName']}") == find(bob.email) == [bob.id]
    assert find(bob.email[:-1]) == find("") == find("  ") == []
    assert ann.id not in find("Ann")


def test_presence_is_part_of_the_list_of_friends(browser: Make) -> None:
    ann, bob = browser(), browser()
    ann.befriend(bob)
    assert ann.http.get("/api/friends").json()["friends"][0]["online"] is False
    bob.events()
    assert ann.http.get("/api/friends").json()["friends"][0]["online"] is True


def test_a_stranger_whose_name_looks_like_a_friends_is_marked(browser: Make) -> None:
    ann, bob = browser("Ann"), browser("Quentin")
    ann.befriend(bob)
    name = {"firstName": "Quent\u0456n", "lastName": bob.user["lastName"]}  # Ukrainian i
    double = browser("Eve")
    double.user |= double.http.patch("/api/me", json=name).json()["user"]
    other = browser("Quentina")

    def rows(one: Browser, query: str) -> dict[str, object]:
        found = one.http.get("/api/users", params={"q": query}).json()["users"]
        return {row["id"]: row.get("looksLike") for row in found}

    assert rows(ann, double.email) == {double.id: bob.id}
    assert rows(ann, bob.email) == {bob.id: None}
    assert rows(ann, other.email) == {other.id: None}
    assert rows(bob, double.email) == {double.id: None}, "nobody's friend is imitated to him"
    for one in (double, other):
        assert one.http.put(f"/api/friends/{ann.id}").json() == {"relation": "outgoing"}
    incoming = {row["id"]: row for row in ann.http.get("/api/friends").json()["incoming"]}
    assert incoming[double.id] == {**double.public(), "looksLike": bob.id}
    assert incoming[other.id] == other.public()
    assert "Looks like a friend of yours" in ann.http.get("/classic/friends").text
    # A mark is no refusal.
    assert ann.http.put(f"/api/friends/{double.id}").json() == {"relation": "friend"}


def test_a_name_that_shows_nothing_is_refused_wherever_one_is_set(browser: Make) -> None:
    one = browser()
    for field, name in (("firstName", "\u3164"), ("lastName", "\u2800"), ("firstName", "a\u202eb")):
        answer = one.http.patch("/api/me", json={field: name})
        assert problem(answer, 422, "invalid_field")["field"] == field
    problem(one.http.post("/api/messages", json={"text": "\u200b\u3164\n"}), 422, "invalid_field")
    problem(one.http.post("/api/tokens", json={"label": "\u115f"}), 422, "invalid_field")


def test_the_end_of_a_friendship_can_be_put_off_and_taken_back(browser: Make) -> None:
    ann, bob = browser(), browser()
    ann.befriend(bob)
    later = ann.http.delete(f"/api/friends/{bob.id}?delay=10")
    assert (later.status_code, later.json()) == (202, {"endsIn": 10})
    assert "endsIn" in ann.http.get("/api/friends").json()["friends"][0]
    assert ann.http.put(f"/api/friends/{bob.id}").json() == {"relation": "friend"}
    assert "endsIn" not in ann.http.get("/api/friends").json()["friends"][0]
    problem(ann.http.delete(f"/api/friends/{bob.id}?delay=61"), 422, "invalid_field")
    assert ann.http.delete(f"/api/friends/{bob.id}?delay=0").status_code == 204
    assert ann.http.delete(f"/api/friends/{bob.id}?delay=10").status_code == 204
    assert told(bob)[-1] == (ann.id, "none")


def test_people_of_one_name_are_told_apart_by_friends_in_common_and_the_email_that_was_typed(
    browser: Make,
) -> None:
    ann, bob, cho = browser("Ann"), browser("Bob"), browser("Cho")
    twins = [browser("Maria") for _ in range(3)]
    for friend in (bob, cho):
        ann.befriend(friend)
        twins[0].befriend(friend)
    twins[1].befriend(bob)

    def found(q: str) -> dict[str, tuple[object, object]]:
        users = ann.http.get("/api/users", params={"q": q}).json()["users"]
        return {one["id"]: (one.get("inCommon"), one.get("email")) for one in users}

    ids = [one.id for one in twins]
    assert found("maria") == {ids[0]: (2, None), ids[1]: (1, None), ids[2]: (0, None)}
    assert found(twins[2].email.upper()) == {ids[2]: (0, twins[2].email)}
    # Of friends one knows who they are, and part of an address shows none.
    assert found("bob")[bob.id] == (None, None)
    assert found(twins[2].email.split("@")[0]) == {}
    twins[0].http.put(f"/api/blocks/{ann.id}")
    assert found(twins[0].email) == {}
