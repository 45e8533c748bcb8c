"""What whoever operates the server asks: is it alive, is it ready, and its numbers."""

from __future__ import annotations

import hmac
import ipaddress
from typing import Any

from chatserver.core.errors import Forbidden, Unauthenticated, Unavailable
from chatserver.http.handlers import ApiHandler
from chatserver.http.house import House
from chatserver.http.requests import client_address
from chatserver.site.metrics import Metrics


class Health(ApiHandler):
    """Alive: the loop turns."""

    drained = False

    def get(self) -> None:
        self.answer({"status": "ok"})


class Ready(ApiHandler):
    """Whether new work may be sent here."""

    drained = False

    def get(self) -> None:
        house = self.house
        if house.delivery.readers.draining:
            raise Unavailable("The server is restarting.")
        if not house.store.healthy or not house.journal.healthy:
            raise Unavailable("The store or the journal cannot be used.")
        self.answer({"status": "ready"})


class MetricsPage(ApiHandler):
    """Prometheus: to the one with the token, or without one to loopback."""

    drained = False

    def initialize(self, house: House, **more: Any) -> None:
        super().initialize(house)
        self._metrics: Metrics = more["metrics"]

    def get(self) -> None:
        self._admit()
        body, content_type = self._metrics.page()
        self.set_header("Content-Type", content_type)
        self.finish(body)

    def _admit(self) -> None:
        token = self.house.settings.metrics_token
        headers = self.request.headers
        if token:
            given = headers.get("Authorization", "").encode("utf-8", "surrogateescape")
            if not hmac.compare_digest(given, f"Bearer {token}".encode()):
                raise Unauthenticated("The metrics need their own token.")
            return
        # What a proxy on this machine passes on comes from loopback too, but not from this machine.
        forwarded = "X-Forwarded-For" in headers or "Forwarded" in headers
        address = client_address(self.request, self.house.settings)
        try:
            loopback = ipaddress.ip_address(address).is_loopback
        except ValueError:
            loopback = False
        if forwarded or not loopback:
            raise Forbidden("The metrics are for this machine only.")
