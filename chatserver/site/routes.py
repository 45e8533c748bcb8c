"""Floor 4: the application: every route, in the order in which they are tried, and what is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tornado.routing import URLSpec
from tornado.web import Application

from chatserver.http.handlers import Parts, log_request
from chatserver.site import api, classic, lab, pages
from chatserver.site.metrics import Metrics, by_transport
from chatserver.transports.doors import PollDoor
from chatserver.transports.sse import EventsHandler
from chatserver.transports.websocket import SocketHandler

STREAMS = ("websocket", "sse", "longpoll")


def make_app(parts: Parts, metrics: Metrics, web_folder: Path) -> Application:
    """The application. Polls go past it (`chatserver.site.dispatch`)."""
    measure(parts, metrics)
    stream = {"gate": parts.gate, "delivery": parts.delivery}
    socket = {**stream, "service": parts.service}
    routes: list[Any] = [
        URLSpec(r"/ws", SocketHandler, socket),
        URLSpec(r"/poll", PollDoor, stream),
        URLSpec(r"/events", EventsHandler, stream),
        *api.routes(parts, metrics),
        *lab.routes(parts),
        *api.unknown(parts),
        *classic.routes(parts, web_folder),
        *pages.routes(parts, pages.Web(web_folder)),
    ]
    return Application(
        routes,
        default_handler_class=pages.UnknownPage,
        default_handler_args={"parts": parts},
        log_function=log_request,
    )


def measure(parts: Parts, metrics: Metrics) -> None:
    """Say where the numbers are to be read."""
    delivery = parts.delivery
    metrics.gauges(
        "connections",
        "Readers: live streams and polling clients.",
        "transport",
        lambda: by_transport((reader.transport for reader in delivery.readers), STREAMS),
    )
    metrics.gauge(
        "polls_waiting",
        "Long-polls that wait for an event.",
        lambda: sum(reader.parked for reader in delivery.readers),
    )
    metrics.gauge("mailboxes", "Mailboxes in memory.", lambda: delivery.open_mailboxes)
    metrics.counter("mailboxes_opened", "Mailboxes opened.", lambda: delivery.opened_mailboxes)
    metrics.gauge("head_seq", "The newest position in the order.", lambda: delivery.head_seq)
    metrics.counter("events", "Events of the order.", lambda: delivery.applied_events)
    metrics.counter("deliveries", "Events put into mailboxes.", lambda: delivery.delivered_events)
    metrics.counters("resets", "Readers told to start anew.", "reason", lambda: delivery.resets)
    metrics.gauge("requests_active", "Requests being answered.", lambda: parts.active_requests)
    metrics.histogram(
        "fanout_lag_seconds",
        "Time from an event's place in the order until it was written to the readers.",
        delivery.fanout_lag.seconds,
    )
