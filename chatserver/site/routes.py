"""The application: every route, in the order in which they are tried, and what is measured."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tornado.web import Application, RequestHandler

from chatserver.http.house import House
from chatserver.http.problems import log_request
from chatserver.site import classic, classic_friends, pages, settings, shown
from chatserver.site.api import routes as api
from chatserver.site.files import Web
from chatserver.site.metrics import Metrics, by_transport
from chatserver.transports import handshake, longpoll, sse

STREAMS = ("websocket", "sse", "longpoll")


def make_app(house: House, web_folder: Path, metrics: Metrics) -> Application:
    """The application. Polls go past it (`chatserver.site.dispatch`)."""
    web = Web(web_folder)
    measure(house, metrics)
    plain = shown.arguments(house, web_folder, web)
    routes: list[Any] = [
        *handshake.routes(house),
        *longpoll.routes(house),
        *sse.routes(house),
        *_socketio_routes(house),
        *api.routes(house, metrics),
        *api.unknown(house),
        *classic.routes(plain, (*classic_friends.PAGES, *settings.PAGES)),
        *pages.routes(house, web),
    ]
    return Application(
        routes,
        default_handler_class=pages.UnknownPage,
        default_handler_args={"house": house},
        log_function=_log_and_count(house),
    )


def _socketio_routes(house: House) -> list[Any]:
    if not house.settings.socketio:
        return []
    # Here, because its library is an extra, and nobody else should wait for its import.
    from chatserver.transports import socketio

    return socketio.routes(house)


def _log_and_count(house: House) -> Callable[[RequestHandler], None]:
    def log_and_count(handler: RequestHandler) -> None:
        house.delivery.connections.answered(handler.get_status())
        log_request(handler)

    return log_and_count


def measure(house: House, metrics: Metrics) -> None:
    """Say where the numbers are to be read."""
    metrics.gauge("processes", "Processes of this server that answer.", lambda: 1)
    house.measure(metrics)
    _measure_seats(house, metrics)
    _measure_room(house, metrics)
    _measure_connections(house, metrics)
    _measure_the_order(house, metrics)


def _measure_seats(house: House, metrics: Metrics) -> None:
    connections = house.delivery.connections
    seats, limits = connections.seats, house.delivery.limits
    metrics.gauge("open_connections", "Connections in all.", lambda: len(seats))
    metrics.gauge("open_connections_max", "As many there may be.", lambda: limits.connections)
    metrics.gauge(
        "signed_out_connections",
        "Connections over which nobody has signed in yet.",
        lambda: seats.signed_out,
    )
    metrics.counters(
        "connections_refused",
        "Connections refused, or ended to make room for others.",
        "reason",
        lambda: seats.counts,
    )
    metrics.gauge(
        "accepting",
        "1 while new connections are taken.",
        lambda: int(connections.accepting),
        min,
    )
    metrics.counter(
        "paused_sockets",
        "WebSockets not read until their user could pay for their frames.",
        lambda: connections.paused,
    )
    tolls = connections.tolls
    metrics.counter(
        "requests_refused", "HTTP requests that were not paid for: 429.", lambda: tolls.refused
    )
    metrics.counter(
        "requests_held", "Files held back until they could be paid.", lambda: tolls.held
    )
    metrics.counters(
        "failed_answers",
        "Answers of 500 and above.",
        "status",
        lambda: {str(status): count for status, count in connections.answers.items()},
    )


def _measure_room(house: House, metrics: Metrics) -> None:
    joins = house.delivery.joins
    metrics.gauge(
        "joins", "Readers being greeted, or their mailboxes mended.", lambda: joins.under_way
    )
    metrics.gauge("joins_waiting", "Those that wait for their turn.", lambda: joins.waiting)
    metrics.gauge("joins_peak", "The most at the same time so far.", lambda: joins.peak, max)
    metrics.counter("joins_done", "Readers greeted or mended.", lambda: joins.done)
    metrics.gauge(
        "links_waiting",
        "Socket.IO links on which nobody has signed in yet.",
        lambda: house.delivery.connections.links_waiting(),
    )
    metrics.gauge(
        "lobby",
        "Connections that wait until there is room.",
        lambda: house.delivery.connections.lobby(),
    )


def _measure_connections(house: House, metrics: Metrics) -> None:
    delivery = house.delivery
    streams = (*STREAMS, "socketio") if house.settings.socketio else STREAMS
    metrics.gauges(
        "connections",
        "Readers: live streams and polling clients.",
        "transport",
        lambda: by_transport((reader.transport for reader in delivery.readers.all), streams),
    )
    metrics.gauge(
        "polls_waiting",
        "Long-polls that wait for an event.",
        lambda: sum(reader.parked for reader in delivery.readers.all),
    )
    metrics.counters(
        "connections_broken",
        "Connections that did not end well.",
        "reason",
        lambda: delivery.connections.counts,
    )
    metrics.counters(
        "resets", "Readers told to start anew.", "reason", lambda: delivery.catchup.resets
    )
    metrics.gauge("requests_active", "Requests being answered.", lambda: house.active_requests)
    metrics.gauge("tasks", "Tasks of the event loop.", lambda: len(asyncio.all_tasks()))


def _measure_the_order(house: House, metrics: Metrics) -> None:
    hub, mailboxes, fanout = house.delivery.hub, house.delivery.mailboxes, house.fanout
    metrics.gauge("mailboxes", "Mailboxes in memory.", lambda: len(mailboxes))
    metrics.counter("mailboxes_opened", "Mailboxes opened.", lambda: mailboxes.opened)
    metrics.gauge("head_seq", "The newest position in the order.", lambda: hub.head_seq, max)
    metrics.counter("events", "Events of the order.", lambda: fanout.applied_events)
    metrics.counter("deliveries", "Events put into mailboxes.", lambda: hub.delivered_events)
    metrics.histogram(
        "append_seconds",
        "Time from the append of a message to its durability.",
        house.messages.append_s,
    )
    metrics.histogram(
        "fanout_lag_seconds",
        "Time from an event's place in the order until it was written to the readers.",
        fanout.lag.seconds,
    )
