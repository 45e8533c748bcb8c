"""Names that look alike: a skeleton of what is seen, equal for two names that people take for one (UTS 39, section 4).

Pure. Nobody is refused for a name: somebody may really be called so. A stranger whose name looks like that of a friend
is marked, where people decide about strangers.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from chatserver.core.confusables import PROTOTYPES
from chatserver.core.names import FOLD_CHARS, fold
from chatserver.core.visible import without_invisible, words_between_blanks

REMEMBERED = 20_000
"""Names whose skeletons are kept: each is asked for with every search of every friend. About 6 MB."""


def skeleton(name: str) -> str:
    """What is seen of `name`: compatibility forms, invisible characters, case and width of gaps do not count."""
    seen = unicodedata.normalize("NFD", without_invisible(name[:FOLD_CHARS]))
    seen = unicodedata.normalize("NFKD", seen.translate(PROTOTYPES)).translate(PROTOTYPES)
    return " ".join(words_between_blanks(seen.casefold()))


@lru_cache(maxsize=REMEMBERED)
def skeletons(name: str) -> frozenset[str]:
    """Two names look alike where one of these is the same: I is l to the eye, and i to whoever writes it small."""
    return frozenset((skeleton(name), skeleton(fold(name))))
