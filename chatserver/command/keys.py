"""`chatserver key rotate`: a new key for the cookies."""

from __future__ import annotations

import argparse

from chatserver.command.build import now_ms
from chatserver.command.refusal import refuse_missing_folder
from chatserver.command.settings import from_given
from chatserver.verbs.keys import KeyRing
from chatserver.verbs.sessions import COOKIE_LIFE_MS, DAY_MS


def rotate(options: argparse.Namespace) -> int:
    """Have a new key seal. Raises `Refused` and `KeysRefused`."""
    settings = from_given(options)
    refuse_missing_folder(settings.data)
    kept, dropped = KeyRing.rotate(settings.data, now_ms(), COOKIE_LIFE_MS)
    print(
        "A new key seals: from the next start on, and beside a running server within a minute (with --mongodb within"
        f" five). {kept - 1} older still open until a rotation {COOKIE_LIFE_MS // DAY_MS} days later, {dropped} dropped."
    )
    return 0
