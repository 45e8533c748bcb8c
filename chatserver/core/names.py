"""How names and emails are compared: what a search takes for one word, and in which order names stand.

Pure. All stores use these keys, so that they find the same people in the same order.
"""

from __future__ import annotations

import unicodedata

MAX_QUERY_WORDS = 8
"""A search looks each word up in an index; a name has a few words, so more can only be an attack."""


FOLD_CHARS = 256
"""More than two names or a query have. What stands behind it is not looked at: normalising takes time that grows with
the square of a run of marks, and NFKC makes eighteen characters of some."""


def fold(text: str) -> str:
    """`text` as it is compared: compatibility forms and case do not count (Unicode, D145 and NFKC)."""
    text = text[:FOLD_CHARS]
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def email_key(email: str) -> str:
    """Two emails with the same key are one email."""
    return email.strip().casefold()


def name_key(first_name: str, last_name: str) -> str:
    """What people are ordered by."""
    return fold(f"{first_name} {last_name}".strip())


def words(text: str) -> list[str]:
    """The words of a name or of a query, folded, each once, in order.

    A word is a run of letters, digits and marks, so that O'Neil is found by "neil"; a part of nothing
    else (an emoji as a name) is a word as it stands.
    """
    found: dict[str, None] = {}
    for part in fold(text).split():
        run = "".join(c if unicodedata.category(c)[0] in "LNM" else " " for c in part).split()
        found.update(dict.fromkeys(run or [part]))
    return list(found)


def after_prefix(word: str) -> str:
    """A string above every string that begins with `word`, for a range over an index.

    The highest code point ends it: no word holds it, as it is no character (Unicode, 23.7).
    """
    return word + "\U0010ffff"
