"""How names are shown, and how they and emails are compared: what a search takes for one word, and in which order names stand.

Pure. All stores use these keys, so that they find the same people in the same order.
"""

from __future__ import annotations

import re
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


_FAMILY_FIRST = re.compile(
    "[\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]+"
)
"""Han, Kana and Hangul: names in them have the family name first, and no space."""

FAMILY_NAME_CHARS = 3
"""The longest family name that is looked for in a name without a space: 欧阳 and 佐佐木 are such; longer ones are of a handful of families."""

FULL_NAME_CHARS = 8
"""A longer query is no name that somebody was given."""


def full_name(first_name: str, last_name: str) -> str:
    """A name as it is shown: first and last name with one space between, or as Chinese, Japanese and Korean names are written."""
    if not last_name:
        return first_name
    if first_name.isascii() or last_name.isascii():
        return f"{first_name} {last_name}"
    together = last_name + first_name
    return together if _FAMILY_FIRST.fullmatch(together) else f"{first_name} {last_name}"


def ways_to_read(query: str) -> list[str]:
    """The query, and where it may be a full name without a space, its parts: somebody has registered them in two fields."""
    name = query.strip()
    if len(name) > FULL_NAME_CHARS or not _FAMILY_FIRST.fullmatch(name):
        return [query]
    cuts = range(1, min(FAMILY_NAME_CHARS, len(name) - 1) + 1)
    return [query, *(f"{name[:cut]} {name[cut:]}" for cut in cuts)]


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


_GIVEN_NAME_CHARS = 2
"""A shorter given name is not looked for behind a family name: one character begins the names of too many."""


def given_names(word: str) -> list[str]:
    """Where a word may be a full name without a space, what may be the given name in it: 小明 of 王小明. At most three.

    Not where it begins in Kana, as names from elsewhere are written.
    """
    if len(word) > FULL_NAME_CHARS or word < "\u3400" or not _FAMILY_FIRST.fullmatch(word):
        return []
    cuts = range(1, min(FAMILY_NAME_CHARS, len(word) - _GIVEN_NAME_CHARS) + 1)
    return [word[cut:] for cut in cuts]


def name_words(first_name: str, last_name: str) -> list[str]:
    """What somebody is found by: the words of the name, and what may be a given name in one of them."""
    own = words(f"{first_name} {last_name}")
    return list(dict.fromkeys([*own, *(given for word in own for given in given_names(word))]))


def after_prefix(word: str) -> str:
    """A string above every string that begins with `word`, for a range over an index.

    The highest code point ends it: no word holds it, as it is no character (Unicode, 23.7).
    """
    return word + "\U0010ffff"
