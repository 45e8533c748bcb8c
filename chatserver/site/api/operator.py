"""What whoever operates the server asks: is it alive, is it ready, and its numbers."""

from __future__ import annotations

import hmac
import re
from typing import Any

from chatserver.core import vocabulary
from chatserver.core.addresses import address
from chatserver.core.errors import Forbidden, Unauthenticated, Unavailable
from chatserver.http.house import House
from chatserver.http.proxies import is_forwarded
from chatserver.site.api.rows import RowHandler
from chatserver.site.metrics import Metrics


class Health(RowHandler):
    """Alive: the loop turns."""

    drained = False
    shared = False

    def get(self) -> None:
        self.answer(vocabulary.alive())


class Ready(RowHandler):
    """Whether new work may be sent here: the store (reads, writes and its threads), the journal, and whether new
    connections are taken."""

    drained = False
    shared = False

    async def get(self) -> None:
        """Of several processes behind one port: of all of them, since nobody knows which one a connection comes to."""
        whole = self.house.whole
        trouble = trouble_of(self.house)
        if trouble is None and whole is not None:
            trouble = await whole.trouble()
        if trouble is not None:
            raise Unavailable(trouble)
        self.answer({"status": "ready"})


def trouble_of(house: House) -> str | None:
    """Why no new work may be sent to this process, in a sentence; None where it may."""
    if house.delivery.readers.draining:
        return "The server is restarting."
    if not house.store.healthy:
        return "The store cannot be used."
    if not house.journal.healthy:
        return "The journal cannot be written."
    if not house.journal.fresh:
        return "The server is cut off from the others."
    return house.delivery.connections.trouble()


class MetricsPage(RowHandler):
    """Prometheus: to the one with the token, or without one to this machine, where nobody else can come by it."""

    drained = False
    shared = False

    def initialize(self, house: House, **more: Any) -> None:
        super().initialize(house, **more)
        self._metrics: Metrics = more["metrics"]

    async def get(self) -> None:
        self._admit()
        whole = self.house.whole
        others = () if whole is None else await whole.numbers()
        body, content_type = self._metrics.page(others)
        self.set_header("Content-Type", content_type)
        self.finish(body)

    def _admit(self) -> None:
        token = self.house.settings.metrics_token
        if token:
            given = self.request.headers.get("Authorization", "")
            right = f"Bearer {token}".encode()
            if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), right):
                raise Unauthenticated("The metrics need their own token.")
        elif self.house.settings.published or not self._is_from_here():
            raise Forbidden("The metrics are for this machine only: others need --metrics-token.")

    def _is_from_here(self) -> bool:
        """Whether somebody on this machine has asked this machine.

        What a proxy on it passes on comes from loopback too. It is told by its headers, or by a Host that is not
        this machine's; a name that an attacker made point to loopback (DNS rebinding) by its Host as well.
        """
        peer, headers = address(self.request.remote_ip or ""), self.request.headers
        if peer is None or not peer.is_loopback or is_forwarded(headers):
            return False
        host = headers.get("Host", "")
        named = address(host)
        if named is not None:
            return named.is_loopback
        return re.fullmatch(r"localhost(:[0-9]{1,5})?", host, re.IGNORECASE) is not None
