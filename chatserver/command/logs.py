"""What stands in a line of the log, and what never does: no token, no cookie, no password, at any level.

Two nets. Tornado quotes what it cannot read, which may be a header with a secret: of its lines, only what was not said by
a client is kept. And whatever looks like a secret of ours is taken out of every line, whoever wrote it: that is for the
mistake that nobody has made yet.

And no character that a terminal obeys: a path may hold any byte from 0x80 on, and 0x9B begins a command to it (ECMA-48, 5.4).
"""

from __future__ import annotations

import logging
import re
import traceback
from types import TracebackType

QUOTING = frozenset({"tornado"})
"""Whose lines quote clients: the first words of loggers' names."""

CHATTY = ("pymongo", "asyncio")
"""Who at the finest level writes whole commands, with accounts and messages in them, or nothing of use."""

LEFT_OUT = "…"

_SECRETS = (
    # Headers, as text or as the repr of a mapping or of a list of pairs: the rest of the line.
    re.compile(r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)\b([\"']?\s*[:=,]\s*).*"),
    re.compile(r"(?i)\b(bearer|basic|digest)(\s+)[^\s\"',;]+"),
    re.compile(r"(?i)((?:current)?password[\"']?)(\s*[:=,]\s*)(?:\"[^\"]*\"?|'[^']*'?|[^\s,;&}]+)"),
    re.compile(r"((?:__Host-)?chatserver(?:_form|-[0-9]{1,5})?)(=)[^\s\"',;]+"),
    # What is sealed, and what is hashed, wherever a client writes it: as the id of a session in a path, say.
    re.compile(r"()()\b[0-9a-f]{8}\.[\w-]{20,}"),
    re.compile(r"(\$argon2id\$)()[^\s\"']+"),
    re.compile(r"(cst_)()[\w-]+"),
)

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
"""But newline and tab, which our own lines have."""

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def begin(level: str, handler: logging.Handler) -> None:
    """Log to `handler` from this level on."""
    spread(handler)
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.INFO, logging.getLogger().level))


def spread(handler: logging.Handler) -> None:
    """Spread both nets over what `handler` writes. The first is a filter: a handler may keep a line to repeat it."""
    handler.addFilter(_unquote)
    say_who(handler, "")


def say_who(handler: logging.Handler, who: str) -> None:
    """Have each line say which of several processes writes it."""
    form = f"%(asctime)s %(levelname)s {who}%(name)s: %(message)s"
    handler.setFormatter(SecretFormatter(form))


def without_secrets(text: str) -> str:
    """`text` without what looks like a secret of ours."""
    for pattern in _SECRETS:
        text = pattern.sub(rf"\1\2{LEFT_OUT}", text)
    return text


def without_controls(text: str) -> str:
    """`text` with each control character written out."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


class SecretFormatter(logging.Formatter):
    """Lines without what looks like a secret, and without what a terminal obeys."""

    def format(self, record: logging.LogRecord) -> str:
        return without_secrets(without_controls(super().format(record)))


def _unquote(record: logging.LogRecord) -> bool:
    """Take out of a record what a client may have said: numbers and the peer's address stay. Always True."""
    if record.name.partition(".")[0] in QUOTING:
        if isinstance(record.args, tuple):
            record.args = tuple(map(_kept, record.args))
        elif record.args:
            record.msg, record.args = LEFT_OUT, ()
        if record.exc_info:
            vars(record).update(exc_text=_frames(record.exc_info), exc_info=None)
    return True


def _kept(argument: object) -> object:
    if isinstance(argument, (int, float)) or type(argument).__name__ == "_HTTPRequestContext":
        return argument
    return LEFT_OUT


def _frames(raised: ExcInfo) -> str:
    """Where it was raised and of which type, not what it says."""
    kind, _, frames = raised
    lines = ["Traceback (most recent call last):\n", *traceback.format_tb(frames)]
    return "".join(lines) + ("" if kind is None else kind.__name__)
