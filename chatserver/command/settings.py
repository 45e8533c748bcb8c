"""Every setting, in one table. The command line, the environment and `docs/settings.md` read it.

An option wins over its environment variable, that over the default.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from chatserver.command.limits import LIMIT_HELP
from chatserver.command.refusal import SettingsError
from chatserver.core.addresses import Network, address, network
from chatserver.core.fields import written_number
from chatserver.core.limits import Limits
from chatserver.core.origin import written_origin

PREFIX = "CHATSERVER_"
LOG_LEVELS = ("debug", "info", "warning", "error")

_NUMBER = re.compile(r"[0-9]{1,10}(?:\.[0-9]{1,10})?|\.[0-9]{1,10}")

PROCESSES_MAX = 64

HSTS_MAX_S = 10 * 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table. `read` turns text into the value and raises ValueError with the reason."""

    name: str
    read: Callable[[str], Any]
    default: Any
    help: str
    unit: str = ""
    kind: str = "one"
    """`one` value, `many` (repeatable; comma-separated in the environment), or a `switch`."""

    @property
    def flag(self) -> str:
        """As it is written on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def env(self) -> str:
        """As it is written in the environment."""
        return PREFIX + self.name.upper()

    def shown_default(self) -> str:
        """The default as a person would write it."""
        if self.default is None or self.default == ():
            return "none"
        if isinstance(self.default, bool):
            return "on" if self.default else "off"
        return f"{self.default:g}" if isinstance(self.default, float) else str(self.default)


def _text(text: str) -> str:
    if not text.strip():
        raise ValueError("it is empty")
    return text


def _port(text: str) -> int:
    return _integer(text, 0, 65535)


def _integer(text: str, low: int, high: int) -> int:
    number = written_number(text)
    if number is None or not low <= number <= high:
        raise ValueError(f"it must be an integer from {low} to {high}")
    return number


def _processes(text: str) -> int:
    return _integer(text, 1, PROCESSES_MAX)


def _nats_servers(text: str) -> tuple[str, ...]:
    servers = tuple(part.strip() for part in text.split(",") if part.strip())
    if not servers or not all(server.startswith(("nats://", "tls://")) for server in servers):
        raise ValueError("it must be addresses such as nats://host:4222 or tls://host:4222")
    return servers


def _contact(text: str) -> str:
    if not text.startswith(("mailto:", "https://")) or not text.isprintable() or " " in text:
        raise ValueError("it must begin with mailto: or https://")
    return text


def _hsts(text: str) -> int:
    return _integer(text, 0, HSTS_MAX_S)


def _origin(text: str) -> str:
    origin = written_origin(text)
    if origin is None:
        raise ValueError(
            "it must be an origin such as https://chat.example.com (or https://xn--… for a host beyond ASCII)"
        )
    return origin


def data_folder(text: str) -> Path:
    """A folder as it is given. A URI would be one too, of a name that nobody means. Raises `ValueError`."""
    if "://" in text:
        raise ValueError(
            "it must be a folder; a database is given by its mongodb:// URI, as --mongodb"
        )
    return Path(text)


def _log_level(text: str) -> str:
    if text.lower() not in LOG_LEVELS:
        raise ValueError(f"it must be one of {', '.join(LOG_LEVELS)}")
    return text.lower()


def _network(text: str) -> Network:
    try:
        return network(text)
    except ValueError:
        raise ValueError("it must be an IP address or a network such as 10.0.0.0/8") from None


def _token(text: str) -> str:
    if len(text) < 16 or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("it must have at least 16 ASCII characters and no space")
    return text


def _switch(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("", "0", "false", "no", "off"):
        return False
    raise ValueError("it must be on or off")


def _positive_integer(text: str) -> int:
    return _integer(text, 1, 2**40)


def _positive_number(text: str) -> float:
    # Not what `float` takes: that knows inf, nan, 1_0, and the digits of all scripts.
    value = float(text) if _NUMBER.fullmatch(text) else 0.0
    if not 0 < value < 1e9:
        raise ValueError("it must be a number above 0, such as 2.5")
    return value


_SERVER = (
    Setting("address", _text, "127.0.0.1", "the address to listen on"),
    Setting("port", _port, 8888, "the port to listen on; 0 takes a free one"),
    Setting("data", data_folder, Path("data"), "the folder of the database and the keys"),
    Setting(
        "demo", _switch, False, "make four demo accounts and show how to use them", kind="switch"
    ),
    Setting(
        "origin",
        _origin,
        (),
        "an origin whose pages may use this server, beside its own (repeatable)",
        kind="many",
    ),
    Setting("log_level", _log_level, "info", "what is logged: " + ", ".join(LOG_LEVELS)),
    Setting(
        "metrics_token",
        _token,
        None,
        "the bearer token for /metrics; without it: this machine only, and not where a proxy or origin is set",
    ),
    Setting(
        "trusted_proxy",
        _network,
        (),
        "a proxy whose X-Forwarded-For and X-Forwarded-Proto are believed (repeatable)",
        kind="many",
    ),
    Setting(
        "hsts_s",
        _hsts,
        0,
        "under https: for how long browsers are to come by https only (HSTS); 0 says nothing",
        "seconds",
    ),
    Setting(
        "socketio",
        _switch,
        False,
        "answer Socket.IO clients at /socket.io/; needs chatserver[socketio]",
        kind="switch",
    ),
    Setting(
        "push_contact",
        _contact,
        None,
        "whom a push service may write to: mailto:… or https://…; some push services ask for one",
    ),
    Setting("mongodb", _text, None, "a MongoDB URI: keep everything there instead of in SQLite"),
    Setting(
        "processes",
        _processes,
        1,
        "so many processes share the port and the data; more than one needs chatserver[cluster]",
    ),
    Setting(
        "nats",
        _nats_servers,
        (),
        "NATS servers through which several servers are one: nats://user:password@host:4222 or tls://…, comma-separated",
    ),
    Setting(
        "nats_new_stream",
        _switch,
        False,
        "once: begin a new stream where the database's is gone; what the database had not shown is lost",
        kind="switch",
    ),
    Setting("nats_token", _text, None, "the token that the NATS servers ask for"),
    Setting("nats_credentials", Path, None, "the credentials file (.creds) for the NATS servers"),
    Setting("nats_ca", Path, None, "the file of certificates that vouch for the NATS servers"),
    Setting("nats_certificate", Path, None, "this server's own certificate for NATS"),
    Setting("nats_key", Path, None, "the key of that certificate"),
)


def _limit_settings() -> tuple[Setting, ...]:
    """A row for each limit: a limit without help text stops the program at its first start."""
    default = Limits()
    rows = []
    for field in fields(Limits):
        value = getattr(default, field.name)
        read: Callable[[str], Any] = _positive_number
        if isinstance(value, int):
            read = _switch if isinstance(value, bool) else _positive_integer
        help_text, unit = LIMIT_HELP[field.name]
        rows.append(Setting(field.name, read, value, help_text, unit))
    return tuple(rows)


SETTINGS = _SERVER + _limit_settings()
"""The table."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the server was told."""

    address: str = "127.0.0.1"
    port: int = 8888
    data: Path = Path("data")
    demo: bool = False
    origin: tuple[str, ...] = ()
    log_level: str = "info"
    metrics_token: str | None = None
    trusted_proxy: tuple[Network, ...] = ()
    hsts_s: int = 0
    socketio: bool = False
    push_contact: str | None = None
    mongodb: str | None = None
    processes: int = 1
    nats: tuple[str, ...] = ()
    nats_new_stream: bool = False
    nats_token: str | None = None
    nats_credentials: Path | None = None
    nats_ca: Path | None = None
    nats_certificate: Path | None = None
    nats_key: Path | None = None
    limits: Limits = Limits()
    order_here: Path | None = None
    """No option: the folder of the NATS server that `--processes` starts itself."""


def add_options(parser: argparse.ArgumentParser, names: Sequence[str] | None = None) -> None:
    """An option for each setting (or those of `names`). Values are read by `from_options`."""
    server = parser.add_argument_group("server")
    limits = parser.add_argument_group("limits")
    for row in SETTINGS:
        if names is not None and row.name not in names:
            continue
        group = server if row in _SERVER else limits
        unit = f" ({row.unit})" if row.unit else ""
        text = f"{row.help}{unit} [{row.shown_default()}]".replace("%", "%%")
        if row.kind == "switch":
            group.add_argument(row.flag, action="store_const", const="1", default=None, help=text)
        elif row.kind == "many":
            group.add_argument(row.flag, action="append", metavar="X", help=text)
        else:
            group.add_argument(row.flag, metavar="X", help=text)


def from_given(options: argparse.Namespace) -> Settings:
    """The settings of a command that was run with these options, in the environment of this process."""
    return from_options(vars(options), os.environ)


def from_options(given: Mapping[str, Any], environment: Mapping[str, str]) -> Settings:
    """The settings from options (name -> text, list of texts or None) and the environment.

    Raises `SettingsError` for a value that makes no sense and for an unknown variable with our prefix.
    """
    known = {row.env for row in SETTINGS}
    for name in environment:
        if name.startswith(PREFIX) and name not in known:
            raise SettingsError(f"{name} is not a setting.")
    values = {row.name: _value(row, given.get(row.name), environment) for row in SETTINGS}
    limits = {field.name: values.pop(field.name) for field in fields(Limits)}
    if limits["poll_wait_s"] > limits["poll_wait_max_s"]:
        raise SettingsError("--poll-wait-s is above --poll-wait-max-s.")
    if limits["silence_s"] > limits["heartbeat_s"]:
        raise SettingsError("--silence-s is above --heartbeat-s.")
    if not limits["meter"] and not is_loopback(values["address"]):
        raise SettingsError("--meter off is for a server that listens on loopback only.")
    if values["demo"] and not is_loopback(values["address"]):
        raise SettingsError(
            "--demo is for a server that listens on loopback only: everybody knows its password."
        )
    if values["nats"] and values["mongodb"] is None:
        raise SettingsError(
            "--nats needs --mongodb: several servers need one place for their data."
        )
    if (values["nats_certificate"] is None) != (values["nats_key"] is None):
        raise SettingsError("--nats-certificate and --nats-key go together.")
    return Settings(**values, limits=Limits(**limits))


def is_loopback(name: str) -> bool:
    """Whether an address to listen on is for this machine alone."""
    where = address(name)
    return name == "localhost" if where is None else where.is_loopback


def _value(row: Setting, given: Any, environment: Mapping[str, str]) -> Any:
    source = row.flag
    if given is None and row.env in environment:
        source = row.env
        given = environment[row.env]
        if row.kind == "many":
            given = [part for part in given.split(",") if part.strip()]
    if given is None:
        return row.default
    if row.kind == "many":
        return tuple(_read(row, source, text) for text in given)
    return _read(row, source, given)


def _read(row: Setting, source: str, text: str) -> Any:
    try:
        return row.read(text)
    except ValueError as error:
        # Not the password of a URI that was given in the place of another one: the sentence may end in a log.
        shown = re.sub("//.*@", "//…@", text)
        raise SettingsError(f"{source} cannot be {shown!r}: {error}.") from None


def markdown() -> str:
    """The table as `docs/settings.md` shows it."""
    lines = [
        "| option | environment | default | unit | what it is |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in SETTINGS:
        default = row.shown_default()
        lines.append(f"| `{row.flag}` | `{row.env}` | {default} | {row.unit} | {row.help} |")
    return "\n".join(lines) + "\n"
