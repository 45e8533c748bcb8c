"""Why a command cannot do what it was asked for, as one sentence for the person who asked."""

from __future__ import annotations

from chatserver.core.errors import ChatError
from chatserver.journal.refusal import OrderRefused
from chatserver.store.contract import StoreRefused
from chatserver.verbs.keys import KeysRefused


class Refused(Exception):
    """What a command raises; the text is the sentence."""


class SettingsError(Refused):
    """A setting makes no sense; the text names it."""


def sentence_of(error: BaseException) -> str | None:
    """The sentence of whatever refuses; None where it is a fault of ours."""
    if isinstance(error, (Refused, StoreRefused, KeysRefused, OrderRefused)):
        return str(error)
    return error.detail if isinstance(error, ChatError) else None
