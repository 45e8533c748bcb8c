"""The signs that the page's picker offers, with their names, from the package `emoji`, which follows Unicode.

Made when somebody first asks: the package takes a tenth of a second to read.
"""

from __future__ import annotations

import importlib.metadata
import re
from typing import Any

from chatserver.core.events import encode_json

VERSION_MAX = 15.1
"""Of Emoji: what is newer is an empty box on many screens."""

_LIGHT = "\U0001f3fb"
_OTHER_TONES = re.compile("[\U0001f3fc-\U0001f3ff]")
_VARIATION = "\ufe0f"
_NAME = re.compile(r"emoji/([a-z]{2})(?:-[A-Za-z]+)?\.json")


def version() -> str:
    """Of the package: another one is another list."""
    return importlib.metadata.version("emoji")


def language_of(name: str) -> str | None:
    """The package's language that a file's name asks for; None where the name is that of no list."""
    found = _NAME.fullmatch(name)
    return None if found is None else found[1]


def listed(language: str) -> bytes | None:
    """JSON: `[sign, name, other words, light]` each, where `light` is the sign in the lightest skin tone, or empty.

    None in a language that the package does not have. Takes long: call it in a thread.
    """
    import emoji  # here, because nothing else needs it

    if language not in emoji.LANGUAGES:
        return None
    emoji.config.load_language(language)
    data = emoji.EMOJI_DATA
    light = {
        sign.replace(_LIGHT, "").replace(_VARIATION, ""): sign
        for sign in data
        if _LIGHT in sign and _OTHER_TONES.search(sign) is None and _is_whole(data[sign])
    }
    rows = [
        [
            sign,
            _words(of[language]),
            _more(of, language),
            light.get(sign.replace(_VARIATION, ""), ""),
        ]
        for sign, of in data.items()
        if _is_whole(of) and language in of and not _OTHER_TONES.search(sign) and _LIGHT not in sign
    ]
    return encode_json(sorted(rows, key=lambda row: _place(row[0])))


def _is_whole(of: dict[str, Any]) -> bool:
    return bool(of["status"] == 2 and of["E"] <= VERSION_MAX)  # fully qualified


def _words(name: str) -> str:
    return name.strip(":").replace("_", " ")


def _more(of: dict[str, Any], language: str) -> str:
    names = [*([] if language == "en" else [of["en"]]), *of.get("alias", [])]
    return " ".join(_words(name) for name in names)


def _place(sign: str) -> tuple[bool, str]:
    """Faces and hands first, in the order of their numbers; then everything else."""
    return (not "\U0001f600" <= sign[0] <= "\U0001f64f", sign)
