"""The addresses of the API, made of its table."""

from __future__ import annotations

from typing import Any

from tornado.routing import URLSpec
from tornado.web import RequestHandler

from chatserver.http.handlers import UnknownAddress
from chatserver.http.house import House
from chatserver.site.api import openapi
from chatserver.site.api.rows import Row
from chatserver.site.api.table import TABLE
from chatserver.site.metrics import Metrics


def _by_address() -> dict[tuple[str, type[RequestHandler]], dict[str, Row]]:
    found: dict[tuple[str, type[RequestHandler]], dict[str, Row]] = {}
    for row in TABLE:
        if not row.is_stream:
            found.setdefault((row.pattern, row.handler), {})[row.method] = row
    return found


_BY_ADDRESS = _by_address()

ROUTES = tuple(_BY_ADDRESS)
"""Every address that is no stream, as a pattern, with its handler."""


def routes(house: House, metrics: Metrics) -> list[Any]:
    """The API's part of the application; `unknown` goes after every other route."""
    rooms = {
        "house": house,
        "metrics": metrics,
        "document": openapi.encoded(TABLE, house.settings.limits),
    }
    return [
        URLSpec(pattern, handler, {**rooms, "rows": rows})
        for (pattern, handler), rows in _BY_ADDRESS.items()
    ]


def unknown(house: House) -> list[Any]:
    """404 as a problem for every other address under the API's and the streams' roots."""
    pattern = r"/(?:api|poll|events|ws)(?:/.*)?"
    return [URLSpec(pattern, UnknownAddress, {"house": house})]
