"""Bringing a call to a push service (RFC 8030), whose address a stranger has chosen.

So only addresses of the internet are asked, whatever a name says when it is resolved; answers are short, redirects are not
followed, and nobody waits for long.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
import time
from typing import Any
from urllib.parse import urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPError, HTTPRequest
from tornado.httputil import HTTPHeaders
from tornado.netutil import Resolver
from tornado.simple_httpclient import SimpleAsyncHTTPClient

from chatserver.core.alerts import Subscription
from chatserver.verbs.alerts import Outcome, is_public
from chatserver.verbs.webpush import PushKey, encrypt

log = logging.getLogger(__name__)

TTL_S = 24 * 3600
"""How long a push service keeps what it cannot deliver: tomorrow it is no news."""
ANSWER_S = 10.0
TRIES = 3
RETRY_S = 2.0
RETRY_MAX_S = 30.0
ANSWER_BYTES = 16 * 1024
KEPT = 1000
"""Push services whose proof is remembered."""
KEPT_S = 3600


class PublicResolver(Resolver):
    """Resolves to addresses of the internet alone: what is asked is what was looked at, so a name cannot change in between."""

    def initialize(self) -> None:
        self._resolve = socket.getaddrinfo

    async def resolve(
        self, host: str, port: int, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[tuple[int, Any]]:
        """Raises OSError where there is none."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            None, lambda: self._resolve(host, port, family, socket.SOCK_STREAM)
        )
        public = [(int(each[0]), each[4]) for each in found if _is_global(str(each[4][0]))]
        if not public:
            raise OSError(f"{host} has no address of the internet")
        return public


def _is_global(address: str) -> bool:
    where = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(where, "ipv4_mapped", None) or where
    return bool(mapped.is_global) and not mapped.is_multicast


class Pushing:
    """The `Sender` of `verbs.alerts`. `local`: push services of this machine count too, by http."""

    def __init__(self, key: PushKey, local: bool, retry_s: float = RETRY_S) -> None:
        self._key = key
        self._retry_s = retry_s
        self.key = key.public
        self.local = local
        self._proofs: dict[str, tuple[float, str]] = {}
        self._client: AsyncHTTPClient | None = None

    async def send(self, subscription: Subscription, payload: bytes, topic: str) -> Outcome:
        """As `Sender.send`."""
        request = self._request(subscription, payload, topic)
        for tries in range(TRIES):
            outcome, wait_s = await self._try(request)
            if outcome is not None:
                return outcome
            if tries + 1 < TRIES:
                await asyncio.sleep(min(RETRY_MAX_S, wait_s or self._retry_s * 2**tries))
        return Outcome.FAILED

    async def _try(self, request: HTTPRequest) -> tuple[Outcome | None, float]:
        """None: again, after so many seconds (0: as one thinks)."""
        try:
            if not self.local and not is_public(urlsplit(request.url).hostname or ""):
                return Outcome.GONE, 0
            await self._fetcher.fetch(request)
        except HTTPError as error:
            if error.code in (404, 410):
                return Outcome.GONE, 0
            if error.code == 429 or error.code >= 500:
                return None, _retry_after(error)
            log.info("a push service has refused a call with %d", error.code)
            return Outcome.FAILED, 0
        except (TimeoutError, OSError, ssl.SSLError, ValueError):
            return None, 0
        return Outcome.SENT, 0

    @property
    def _fetcher(self) -> AsyncHTTPClient:
        if self._client is None:
            resolver = None if self.local else PublicResolver()
            self._client = SimpleAsyncHTTPClient(
                force_instance=True, resolver=resolver, max_clients=32, max_body_size=ANSWER_BYTES
            )
        return self._client

    def _request(self, subscription: Subscription, payload: bytes, topic: str) -> HTTPRequest:
        headers = {
            "Authorization": self._proof(subscription.endpoint),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(TTL_S),
            "Topic": topic,
            "Urgency": "high",
        }
        return HTTPRequest(
            subscription.endpoint,
            "POST",
            HTTPHeaders(headers),
            encrypt(payload, subscription.p256dh, subscription.auth),
            connect_timeout=ANSWER_S,
            request_timeout=ANSWER_S,
            follow_redirects=False,
        )

    def _proof(self, endpoint: str) -> str:
        parts = urlsplit(endpoint)
        origin, now_s = f"{parts.scheme}://{parts.netloc}", time.time()
        kept = self._proofs.get(origin)
        if kept is None or kept[0] < now_s:
            if len(self._proofs) >= KEPT:
                self._proofs.clear()
            kept = self._proofs[origin] = (now_s + KEPT_S, self._key.authorization(origin, now_s))
        return kept[1]


def _retry_after(error: HTTPError) -> float:
    value = (error.response.headers if error.response else HTTPHeaders()).get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else 0.0
