"""The addresses of the API."""

from __future__ import annotations

from typing import Any

from tornado.routing import URLSpec

from chatserver.http.handlers import ApiHandler, UnknownAddress
from chatserver.http.house import House
from chatserver.site.api import account, friends, messages, operator
from chatserver.site.metrics import Metrics

ROUTES: tuple[tuple[str, type[ApiHandler]], ...] = (
    (r"/api/register", account.Register),
    (r"/api/login", account.SignIn),
    (r"/api/logout", account.SignOut),
    (r"/api/me", account.Me),
    (r"/api/tokens", account.Tokens),
    (r"/api/tokens/([^/]+)", account.Token),
    (r"/api/sessions", account.Devices),
    (r"/api/sessions/([^/]+)", account.Device),
    (r"/api/users", friends.People),
    (r"/api/friends", friends.Friends),
    (r"/api/friends/([^/]+)", friends.Friend),
    (r"/api/blocks", friends.Blocks),
    (r"/api/blocks/([^/]+)", friends.Block),
    (r"/api/messages", messages.Messages),
    (r"/api/typing", messages.Typing),
    (r"/api/read", messages.Read),
    (r"/healthz", operator.Health),
    (r"/readyz", operator.Ready),
)


def routes(house: House, metrics: Metrics) -> list[Any]:
    """The API's part of the application; `unknown` goes after every other route."""
    page = URLSpec(r"/metrics", operator.MetricsPage, {"house": house, "metrics": metrics})
    return [page] + [URLSpec(pattern, handler, {"house": house}) for pattern, handler in ROUTES]


def unknown(house: House) -> list[Any]:
    """404 as a problem for every other address under the API's and the streams' roots."""
    pattern = r"/(?:api|poll|events|ws)(?:/.*)?"
    return [URLSpec(pattern, UnknownAddress, {"house": house})]
