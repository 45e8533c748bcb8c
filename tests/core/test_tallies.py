"""What the laboratory counts, of its own clients only, and not without end."""

from __future__ import annotations

from chatserver.core.tallies import PREFIX, TALLIES_MAX, Tallies, request_bytes, response_bytes


def test_a_client_of_the_laboratory_is_added_up_and_another_is_not() -> None:
    tallies = Tallies()
    tallies.count("ann", f"{PREFIX}a", "sse", requests=1, up=10, down=20)
    tallies.count("ann", f"{PREFIX}a", "websocket", requests=1, up=1, down=2)
    tallies.count("ann", "page", "sse", requests=1, up=10, down=20)
    tallies.count("bob", f"{PREFIX}b", "sse")
    (tally,) = tallies.of("ann")
    assert (tally.transport, tally.requests, tally.bytes_up, tally.bytes_down) == (
        "websocket",
        2,
        11,
        22,
    )


def test_past_its_bound_the_oldest_tally_is_forgotten() -> None:
    tallies = Tallies()
    for number in range(TALLIES_MAX + 1):
        tallies.count("ann", f"{PREFIX}{number}", "sse")
    clients = [tally.client for tally in tallies.of("ann")]
    assert len(clients) == TALLIES_MAX and clients[0] == f"{PREFIX}1"


def test_heads_are_as_long_as_they_stand_on_the_wire() -> None:
    headers = [("Host", "here"), ("Accept", "*/*")]
    head = b"GET /poll?a=1 HTTP/1.1\r\nHost: here\r\nAccept: */*\r\n\r\n"
    assert request_bytes("GET", "/poll?a=1", headers) == len(head)
    answer = b"HTTP/1.1 200 OK\r\nHost: here\r\nAccept: */*\r\n\r\n"
    assert response_bytes(200, "OK", headers) == len(answer)
