"""Putting the house together: the only place that picks backends."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from chatserver.command.settings import Settings, is_loopback
from chatserver.command.sharing import shared_push_key, shared_ring
from chatserver.core.events import Signal
from chatserver.core.everywhere import Everywhere
from chatserver.core.hub import Hub
from chatserver.core.limits import Limits
from chatserver.core.presence import Presence
from chatserver.delivery.clockwork import Clocks
from chatserver.delivery.delivery import Delivery, furnish
from chatserver.delivery.fanout import Fanout
from chatserver.delivery.neighbours import Alone, Neighbours
from chatserver.delivery.newcomers import Newcomers
from chatserver.delivery.spending import Spending
from chatserver.http.admission import Admission
from chatserver.http.house import House
from chatserver.http.proxies import Proxies
from chatserver.http.requests import HttpSettings
from chatserver.http.words import Words
from chatserver.journal.contract import Follower, Journal, Signals
from chatserver.journal.local import LocalJournal
from chatserver.journal.nats_signals import NatsSignals, Talk
from chatserver.journal.signals import LocalSignals
from chatserver.site import lab
from chatserver.site.pages import web_folder
from chatserver.site.pushing import Pushing
from chatserver.store.behind import Behind
from chatserver.store.contract import Store
from chatserver.store.order import Wanted
from chatserver.store.sqlite.store import SqliteStore
from chatserver.verbs import partings
from chatserver.verbs.accounts import Accounts
from chatserver.verbs.alerts import Alerts
from chatserver.verbs.friendships import Friendships
from chatserver.verbs.keys import KeyRing, refuse_open_folder
from chatserver.verbs.messages import Messages
from chatserver.verbs.passwords import Passwords
from chatserver.verbs.prices import Prices
from chatserver.verbs.reads import Reads
from chatserver.verbs.sessions import Sessions
from chatserver.verbs.users import Users
from chatserver.verbs.webpush import PushKey

if TYPE_CHECKING:
    from chatserver.store.mongo.store import MongoStore

    AnyStore = SqliteStore | MongoStore


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def open_store(where: Path | str, unfinished: bool = False, order: Wanted = "local") -> AnyStore:
    """The store in a folder, or the one at a MongoDB URI; not started.

    `unfinished`: also one into which a move has begun and not ended. `order`: as `store.order` says. Raises
    `KeysRefused` for a folder that is open to others.
    """
    if isinstance(where, Path):
        refuse_open_folder(where)
        return SqliteStore(where, now_ms, unfinished=unfinished, order=order)
    # Here, because Motor takes as long to import as everything else together.
    from chatserver.store.mongo.store import MongoStore

    return MongoStore(where, now_ms, unfinished=unfinished, order=order)


@dataclass(frozen=True, slots=True)
class Order:
    """The order that a house takes part in, and the signals beside it."""

    journal: Journal
    signals: Callable[[Hub], Signals]
    alone: bool
    """Whether this is the only node, which writes the store itself: then it is never behind."""
    talk: Talk | None = None
    """With the other nodes; then presence and signals are theirs too."""


def alone(store: AnyStore) -> Order:
    """The order of one process."""
    journal = LocalJournal(store.log, now_ms)
    return Order(journal, lambda hub: LocalSignals(hub.signal), alone=True)


async def build(settings: Settings) -> House:
    """Start the store, put the house together, and follow the journal.

    Raises `StoreRefused`, `KeysRefused`, and `OrderRefused` where the order is a stream.
    """
    store = open_store(
        settings.mongodb or settings.data, order="stream" if settings.nats else "local"
    )
    try:
        await store.start()
        ring, key = await _keys(settings, store)
        pushing = Pushing(key, is_loopback(settings.address))
        if settings.nats:
            return await _build_node(settings, store, ring, pushing)
        house = put_together(settings, store, ring, pushing, alone(store))
        await follow(house)
    except BaseException:
        await store.close()
        raise
    return house


async def _keys(settings: Settings, store: AnyStore) -> tuple[KeyRing, PushKey]:
    """The keys in the data folder, which are those of all servers of a database."""
    folder, contact = settings.data, settings.push_contact or ""
    if isinstance(store, SqliteStore):  # in the same folder, for all processes that use it
        return KeyRing.load(folder, now_ms()), PushKey.load(folder, contact)
    ring = await shared_ring(store.secrets, folder, now_ms)
    return ring, await shared_push_key(store.secrets, folder, contact)


async def _build_node(
    settings: Settings, store: AnyStore, ring: KeyRing, pushing: Pushing
) -> House:
    """The house of one node among several."""
    # Here, because nobody else needs the library for NATS.
    from chatserver.command.cluster import Membership

    member = Membership(settings, store.log, store.order, now_ms)
    await member.open()
    try:
        signals = partial(NatsSignals, member.talk)
        order = Order(
            member.journal, lambda hub: signals(hub.signal), alone=False, talk=member.talk
        )
        house = put_together(settings, store, ring, pushing, order)
        house.alerts.active = lambda: member.projector.active
        house.alerts.announce = partial(member.talk.say, "subscriber")
        member.talk.on("subscriber", lambda _, said: house.alerts.note_subscriber(said[0]))
        _count_together(house, member.talk)
        house.errands = member.errands
        house.friendships.partings.others = member.errands
        lab.serve_others(member.errands, house.delivery)
        member.errands.serve_all(partings.KIND, house.friendships.partings.hear)
        house.closing = (member.close,)
        house.measure = member.measure
        house.left_behind = lambda: member.journal.left_behind
        await member.talk.start()
        await member.errands.start()
        member.projector.start()
        await follow(house)
    except BaseException:
        await member.journal.close()
        await member.close()
        raise
    return house


def _count_together(house: House, talk: Talk) -> None:
    """Rates hold for all nodes together."""
    prices, passwords = house.passwords.prices, house.passwords
    shared = prices.shared() | passwords.shared() | house.delivery.connections.shared()
    Spending(talk, shared, prices.clock_s)
    passwords.announce = partial(talk.say, "place")
    talk.on("place", lambda _, said: passwords.note_place(said[0]))


async def follow(house: House) -> None:
    """Let everybody in the house who remembers something follow its journal, and start the clockwork."""
    await house.alerts.start()
    # First whoever says who is who, then the readers: a connection whose login ends gets nothing more of the
    # same batch.
    followers: tuple[Follower, ...] = (
        house.sessions.follow,
        house.users.follow,
        house.admission.newcomers.follow,
        house.reads.follow,
        house.delivery.catchup.recent.follow,
        house.delivery.readers.follow,
        house.fanout.follow,
        house.delivery.attendance.follow,
        house.alerts.follow,
    )
    if house.messages.counts_others:
        followers += (house.messages.follow,)
    await house.journal.start(followers)
    hub = house.delivery.hub
    hub.head_seq = hub.began_seq = house.journal.head_seq
    await house.delivery.catchup.begin()
    house.delivery.start()


def put_together(
    settings: Settings, store: Store, ring: KeyRing, pushing: Pushing, order: Order
) -> House:
    """The house over a started store; it follows nothing yet."""
    limits, clocks = settings.limits, Clocks(time.monotonic, now_ms)
    clock_s, journal = clocks.monotonic_s, order.journal
    if not order.alone:
        store = Behind(store, journal)
    fanout = Fanout(limits, now_ms)
    hub = fanout.hub
    presence, neighbours, signals = _voices(order, hub, limits, clocks)
    proxies = Proxies(settings.trusted_proxy, settings.origin)
    users = Users(store)
    prices = Prices(limits, clock_s)
    sessions = Sessions(store, journal, ring, now_ms, limits.sessions_per_user)
    passwords = Passwords(prices)
    friendships = Friendships(store, journal, hub, presence, users, prices)
    messages = Messages(store, journal, signals, users, friendships, prices)
    if not order.alone:
        messages.count_others()
    source, people = (store, prices.turns), (sessions, presence, neighbours)
    # Who comes and goes, each node says to its own readers.
    delivery = furnish(hub, (journal, LocalSignals(hub.signal)), source, people, limits, clocks)
    return House(
        settings=_http_settings(settings, proxies),
        store=store,
        journal=journal,
        fanout=fanout,
        delivery=delivery,
        users=users,
        sessions=sessions,
        passwords=passwords,
        friendships=friendships,
        messages=messages,
        reads=Reads(store, journal, hub, users, friendships, prices),
        accounts=Accounts(store, journal, users, sessions, passwords, now_ms),
        alerts=Alerts(store, sessions, presence, prices, pushing, now_ms),
        admission=_admission(settings, (store, journal, sessions, users), delivery, proxies),
        words=Words(web_folder() / "js" / "words"),
    )


def _voices(
    order: Order, hub: Hub, limits: Limits, clocks: Clocks
) -> tuple[Presence, Alone | Neighbours, Signals]:
    """Who is online, the other nodes, and the way of a signal to whom it concerns, wherever they are."""
    if order.talk is None:
        return Presence(limits.offline_grace_s), Alone(), order.signals(hub)
    presence = Everywhere(limits.offline_grace_s)
    neighbours = Neighbours(order.talk, hub, presence, clocks, limits.readers_per_user)

    def receive(signal: Signal, to: str | None) -> None:
        neighbours.keep(signal, to)
        hub.signal(signal, to)

    return presence, neighbours, NatsSignals(order.talk, receive)


def _admission(
    settings: Settings,
    source: tuple[Store, Journal, Sessions, Users],
    delivery: Delivery,
    proxies: Proxies,
) -> Admission:
    origins, tolls = frozenset(settings.origin), delivery.connections.tolls
    newcomers = Newcomers(*source, delivery.mailboxes)
    _, _, sessions, users = source
    return Admission(sessions, users, newcomers, delivery.readers, origins, proxies, tolls)


def _http_settings(settings: Settings, proxies: Proxies) -> HttpSettings:
    published = bool(settings.trusted_proxy or settings.origin)
    return HttpSettings(
        limits=settings.limits,
        proxies=proxies,
        metrics_token=settings.metrics_token,
        hsts_s=settings.hsts_s,
        published=published,
        socketio=settings.socketio,
    )


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[House]:
    """The house for one command, closed after it."""
    house = await build(settings)
    try:
        yield house
    finally:
        await house.close()
