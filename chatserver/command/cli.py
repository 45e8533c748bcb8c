"""Floor 5: the command `chatserver`. The only place that picks backends and puts the parts together."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import getpass
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from chatserver import __version__
from chatserver.command import demo
from chatserver.command.settings import Settings, SettingsError, add_options, from_options
from chatserver.core.errors import ChatError
from chatserver.delivery.delivery import Delivery
from chatserver.http.admission import HouseGate, HttpSettings
from chatserver.http.handlers import Parts
from chatserver.journal.contract import Journal
from chatserver.journal.local import LocalJournal
from chatserver.site import pages
from chatserver.site.dispatch import Front
from chatserver.site.metrics import Metrics
from chatserver.site.routes import make_app
from chatserver.site.server import Server, describe_socket_error
from chatserver.store.archive import migrate
from chatserver.store.contract import Store, StoreRefused
from chatserver.store.sqlite.store import SqliteStore
from chatserver.verbs.accounts import Accounts, close_connections
from chatserver.verbs.friendships import Friendships
from chatserver.verbs.keys import KeyRing, KeysRefused
from chatserver.verbs.messages import Service
from chatserver.verbs.sessions import COOKIE_LIFE_MS, Sessions

if TYPE_CHECKING:
    from chatserver.store.mongo.store import MongoStore

log = logging.getLogger(__name__)

EXIT_REFUSED = 2
FLUSH_S = 60.0
"""How often the last use of logins is kept."""


class Refused(Exception):
    """What was asked for cannot be done; the text is one sentence for the person who asked."""


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, without the usage that nobody reads."""

    def error(self, message: str) -> NoReturn:
        raise Refused(f"{message} (see {self.prog} --help)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit code: 0, or 2 with one sentence on stderr."""
    try:
        options = _parser().parse_args(arguments)
        run: Callable[[argparse.Namespace], int] = options.run
        return run(options)
    except (Refused, SettingsError, StoreRefused, KeysRefused) as refusal:
        print(f"chatserver: {refusal}", file=sys.stderr)
    except ChatError as error:
        print(f"chatserver: {error.detail}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return EXIT_REFUSED


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="chatserver", description="A friends' chat server.", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"chatserver {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)

    def command(parent: Any, name: str, text: str, run: Callable[..., int]) -> _Parser:
        made: _Parser = parent.add_parser(name, help=text, description=text, allow_abbrev=False)
        made.set_defaults(run=run)
        return made

    add_options(command(commands, "serve", "Run the server.", _serve))
    key = commands.add_parser("key", help="The keys that seal cookies.")
    rotate = key.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    text = "Seal with a new key from the next start on; older ones open until they expire."
    add_options(command(rotate, "rotate", text, _rotate), ["data"])
    user = commands.add_parser("user", help="The accounts.")
    users = user.add_subparsers(required=True, metavar="COMMAND", parser_class=_Parser)
    add = command(users, "add", "Make an account.", _add_user)
    add.add_argument("email", metavar="EMAIL")
    add.add_argument("--first-name", required=True)
    add.add_argument("--last-name", default="")
    add.add_argument("--password-stdin", action="store_true", help="read the password from stdin")
    add_options(add, ["data", "mongodb"])
    add_options(command(users, "list", "Show the accounts.", _list_users), ["data", "mongodb"])
    text = "Move everything from one store to another; start it again if it was interrupted."
    move = command(commands, "migrate", text, _migrate)
    where = "a data folder, or a mongodb:// URI"
    move.add_argument("--from", dest="source", metavar="X", required=True, help=where)
    move.add_argument("--to", dest="target", metavar="X", required=True, help=where)
    return parser


def _settings(options: argparse.Namespace) -> Settings:
    return from_options(vars(options), os.environ)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


# Putting together.


@dataclass(slots=True)
class House:
    """The parts below the floor of HTTP, started."""

    store: Store
    journal: Journal
    delivery: Delivery
    sessions: Sessions
    service: Service
    friendships: Friendships
    accounts: Accounts
    metrics: Metrics

    async def close(self) -> None:
        """Make everything accepted durable, and let go of the database."""
        await self.journal.close()
        await self.delivery.close()
        await self.sessions.close()
        await self.store.close()


def _store(where: Path | str, unfinished: bool = False) -> SqliteStore | MongoStore:
    """The store in a folder, or the one at a MongoDB URI."""
    if isinstance(where, Path):
        return SqliteStore(where, _now_ms, unfinished=unfinished)
    # Here, because Motor takes as long to import as everything else together.
    from chatserver.store.mongo.store import MongoStore

    return MongoStore(where, _now_ms, unfinished=unfinished)


def _backends(settings: Settings) -> tuple[Store, Journal]:
    store = _store(settings.mongodb or settings.data)
    return store, LocalJournal(store.log, _now_ms)


async def build(settings: Settings) -> House:
    """Start store, journal and delivery, and put the verbs on top.

    Raises `StoreRefused` and `KeysRefused`.
    """
    store, journal = _backends(settings)
    await store.start()
    try:
        ring = KeyRing.load(settings.data, _now_ms())
        limits, clock_s, metrics = settings.limits, time.monotonic, Metrics()
        delivery = Delivery(journal, store, limits, clock_s, _now_ms)
        sessions = Sessions(store, ring, _now_ms, close_connections(delivery))
        service = Service(store, journal, delivery, limits, clock_s, metrics.append_s.observe)
        friendships = Friendships(store, journal, delivery, service, limits)
        accounts = Accounts(store, journal, delivery, sessions, service, limits, _now_ms, clock_s)
        await delivery.start()
    except BaseException:
        await store.close()
        raise
    return House(store, journal, delivery, sessions, service, friendships, accounts, metrics)


@asynccontextmanager
async def _house(settings: Settings) -> AsyncIterator[House]:
    """The parts for one command, closed after it."""
    house = await build(settings)
    try:
        yield house
    finally:
        await house.close()


def _parts(house: House, settings: Settings) -> Parts:
    http = HttpSettings(settings.limits, settings.trusted_proxy, settings.metrics_token)
    return Parts(
        settings=http,
        store=house.store,
        journal=house.journal,
        delivery=house.delivery,
        sessions=house.sessions,
        service=house.service,
        friendships=house.friendships,
        accounts=house.accounts,
        gate=HouseGate(house.sessions, house.service, frozenset(settings.origin)),
    )


# serve


def _serve(options: argparse.Namespace) -> int:
    settings = _settings(options)
    logging.basicConfig(
        level=settings.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    _run(_serve_until_told(settings))
    return 0


async def _serve_until_told(settings: Settings) -> None:
    house = await build(settings)
    running = False
    try:
        server = _server(house, settings)
        if settings.demo:
            await demo.add(house.store, house.accounts, house.friendships)
        try:
            port = server.listen(settings.address, settings.port)
        except OSError as error:
            sentence = describe_socket_error(error, settings.address, settings.port)
            raise Refused(sentence) from error
        running = True
    finally:
        if not running:
            await house.close()
    _announce(settings, port)
    log.info("started on port %d with the data in %s", port, settings.data)
    flushing = asyncio.create_task(_flush_now_and_then(house.sessions))
    await server.run()  # its drain closes the house
    flushing.cancel()


def _server(house: House, settings: Settings) -> Server:
    parts = _parts(house, settings)
    app = make_app(parts, house.metrics, pages.web_folder())
    server = Server(
        Front(app, parts.gate, house.delivery),
        house.delivery,
        house.journal,
        house.sessions,
        house.store,
        settings.limits.body_bytes,
    )
    server.active_requests = lambda: parts.active_requests
    return server


async def _flush_now_and_then(sessions: Sessions) -> None:
    while True:
        await asyncio.sleep(FLUSH_S)
        await sessions.flush()


def _announce(settings: Settings, port: int) -> None:
    host = f"[{settings.address}]" if ":" in settings.address else settings.address
    url = f"http://{host}:{port}"
    if settings.demo:
        print(demo.welcome(url, settings.data / "demo-ann.cookies"))
    print(f"listening on {url}", flush=True)


# key and user


def _rotate(options: argparse.Namespace) -> int:
    settings = _settings(options)
    if not settings.data.is_dir():
        raise Refused(f"there is no data folder {settings.data}.")
    kept, dropped = KeyRing.rotate(settings.data, _now_ms(), COOKIE_LIFE_MS)
    print(f"A new key seals; {kept - 1} older still open, {dropped} dropped.")
    return 0


def _add_user(options: argparse.Namespace) -> int:
    fields = {
        "email": options.email,
        "password": _password(options.password_stdin),
        "firstName": options.first_name,
        "lastName": options.last_name,
    }

    async def add() -> None:
        async with _house(_settings(options)) as house:
            user = await house.accounts.register(fields, None)
            print(f"{user.id}  {options.email}  {user.name}")

    _run(add())
    return 0


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise Refused("there is nobody to ask for a password: use --password-stdin.")
    try:
        password = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != password:
            raise Refused("the two passwords differ.")
    except EOFError:
        raise Refused("no password was given.") from None
    return password


def _list_users(options: argparse.Namespace) -> int:
    settings = _settings(options)
    if settings.mongodb is None and not settings.data.is_dir():
        raise Refused(f"there is no data folder {settings.data}.")

    async def show() -> None:
        store = _store(settings.mongodb or settings.data)
        await store.start()
        try:
            async for rows in store.port.records("users", 0):
                for row in rows:
                    names = ("id", "email", "first_name", "last_name")
                    user_id, email, first_name, last_name = (str(row[name]) for name in names)
                    print(f"{user_id}  {email}  {first_name} {last_name}".rstrip())
        finally:
            await store.close()

    _run(show())
    return 0


# migrate


def _migrate(options: argparse.Namespace) -> int:
    source, target = _place(options.source), _place(options.target)
    if source == target:
        raise Refused("--from and --to are the same.")
    if isinstance(source, Path) and not source.is_dir():
        raise Refused(f"there is no data folder {source}.")
    _run(_move(_store(source), _store(target, unfinished=True)))
    return 0


def _place(text: str) -> Path | str:
    return text if text.startswith(("mongodb://", "mongodb+srv://")) else Path(text)


async def _move(source: SqliteStore | MongoStore, target: SqliteStore | MongoStore) -> None:
    await source.start()
    try:
        await target.start()
        try:
            found = await migrate(source.port, target.port, _show_progress)
        finally:
            await target.close()
    finally:
        await source.close()
    for kind, total in found.items():
        print(f"{kind}: {total.count}, the same on both sides ({total.checksum[:12]})")
    print("Everything is there. Cookies stay valid where keys.json of the data folder is kept.")


_shown: dict[str, float] = {}


def _show_progress(kind: str, done: int, total: int) -> None:
    """A line a second, and one at the end of each kind."""
    now_s = time.monotonic()
    if done >= total or now_s - _shown.get(kind, now_s - 2) >= 1:
        _shown[kind] = now_s
        print(f"{kind}: {done} of {total}", file=sys.stderr, flush=True)


def _run(work: Any) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(work)
