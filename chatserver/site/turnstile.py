"""Turned away at the door: who asks over a new connection for what their address cannot pay.

A refusal behind Tornado costs a parser, a task and the end of both, 1.5 ms in all, nearly what an answer costs: twenty
clients that came anew for each request made turns of 127 ms, and others waited 1.7 s. Here it is 0.1 ms. What is not
plainly a head, and whoever could pay, is Tornado's as ever; it takes the payment.
"""

from __future__ import annotations

from typing import Any

from chatserver.core.errors import RateLimited
from chatserver.delivery.seats import SeatedSocket
from chatserver.delivery.tolls import FILE, PATIENCE_S, REQUEST
from chatserver.http.admission import Admission
from chatserver.http.heads import asked_line, asking_fields
from chatserver.site.lobby import last_words
from chatserver.site.pages import PAGES
from chatserver.transports.firstlook import peek

HEALTH = ("/healthz", "/readyz", "/metrics")
"""Paid from a bucket apart: who asks for the server's health is not kept out by others of the same address."""


def price_of(path: str) -> tuple[float, float, str]:
    """What a request for `path` costs, how long it may be held back until it is paid, and the bucket's own name."""
    is_file = path.startswith("/static/")
    cost = FILE if is_file else REQUEST
    patience_s = PATIENCE_S if is_file or path in PAGES else 0.0
    return cost, patience_s, "health" if path in HEALTH else ""


class Turnstile:
    """Before a connection is given a parser."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission

    def turns_away(self, sock: SeatedSocket, address: Any) -> bool:
        """Whether this connection was refused, and is closed."""
        head = peek(sock)
        if head is None:
            return False
        line, _, fields = head[:-2].partition(b"\r\n")
        asked = asked_line(line)
        headers = None if asked is None else asking_fields(fields)
        if asked is None or headers is None:
            return False
        method, path = asked
        cost, patience_s, bucket = price_of(path)
        try:
            self._admission.check_funds(headers, cost, lambda: str(address[0]), patience_s, bucket)
        except RateLimited as error:
            last_words(sock, error, self._admission.cors.headers(headers), method != "HEAD")
            sock.close()
            return True
        return False
