"""Why a command cannot do what it was asked for, as one sentence for the person who asked."""

from __future__ import annotations

from pathlib import Path

from chatserver.core.errors import ChatError
from chatserver.journal.refusal import OrderRefused
from chatserver.store.contract import StoreRefused
from chatserver.verbs.keys import KeysRefused, refuse_open_folder


class Refused(Exception):
    """What a command raises; the text is the sentence."""


class SettingsError(Refused):
    """A setting makes no sense; the text names it."""


def refuse_missing_folder(folder: Path) -> None:
    """Raises `Refused` where there is no data folder, and `KeysRefused` where this user may not use it."""
    refuse_open_folder(folder)
    if not folder.is_dir():
        raise Refused(f"there is no data folder {folder}.")


def sentence_of(error: BaseException) -> str | None:
    """The sentence of whatever refuses; None where it is a fault of ours."""
    if isinstance(error, (Refused, StoreRefused, KeysRefused, OrderRefused)):
        return str(error)
    return error.detail if isinstance(error, ChatError) else None
