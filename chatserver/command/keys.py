"""`chatserver key rotate`: a new key for the cookies."""

from __future__ import annotations

import argparse

from chatserver.command.build import now_ms
from chatserver.command.refusal import Refused
from chatserver.command.settings import from_given
from chatserver.verbs.keys import KeyRing
from chatserver.verbs.sessions import COOKIE_LIFE_MS


def rotate(options: argparse.Namespace) -> int:
    """Seal with a new key from the next start on. Raises `Refused` and `KeysRefused`."""
    settings = from_given(options)
    if not settings.data.is_dir():
        raise Refused(f"there is no data folder {settings.data}.")
    kept, dropped = KeyRing.rotate(settings.data, now_ms(), COOKIE_LIFE_MS)
    print(f"A new key seals; {kept - 1} older still open, {dropped} dropped.")
    return 0
