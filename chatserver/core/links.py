"""Web and mail addresses in what people write, for the pages without script. Pure.

The same rules as in `web/js/core/links.js`; `tests/links.json` has the cases of both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote, urlsplit

_ENDS = (
    # Terminal_Punctuation and Quotation_Mark (Unicode 15, PropList.txt), categories Ps, Pe, Pi and Pf, and the dash;
    # but for ASCII.
    "\u00ab\u00bb\u037e\u0387\u0589\u05c3\u060c\u061b\u061d-\u061f\u06d4\u0700-\u070a\u070c\u07f8"
    "\u07f9\u0830-\u0835\u0837-\u083e\u085e\u0964\u0965\u0e5a\u0e5b\u0f08\u0f0d-\u0f12\u0f3a-\u0f3d"
    "\u104a\u104b\u1361-\u1368\u166e\u169b\u169c\u16eb-\u16ed\u1735\u1736\u17d4-\u17d6\u17da\u1802-\u1805"
    "\u1808\u1809\u1944\u1945\u1aa8-\u1aab\u1b4e\u1b4f\u1b5a\u1b5b\u1b5d-\u1b5f\u1b7d-\u1b7f\u1c3b-\u1c3f"
    "\u1c7e\u1c7f\u2014\u2018-\u201f\u2024\u2039\u203a\u203c\u203d\u2045-\u2049\u207d\u207e\u208d"
    "\u208e\u2308-\u230b\u2329\u232a\u2768-\u2775\u27c5\u27c6\u27e6-\u27ef\u2983-\u2998\u29d8-\u29db"
    "\u29fc\u29fd\u2cf9-\u2cfb\u2e02-\u2e05\u2e09\u2e0a\u2e0c\u2e0d\u2e1c\u2e1d\u2e20-\u2e29\u2e2e"
    "\u2e3c\u2e41\u2e42\u2e4c\u2e4e\u2e4f\u2e53-\u2e5c\u3001\u3002\u3008-\u3011\u3014-\u301b\u301d-\u301f"
    "\ua4fe\ua4ff\ua60d-\ua60f\ua6f3-\ua6f7\ua876\ua877\ua8ce\ua8cf\ua92f\ua9c7-\ua9c9\uaa5d-\uaa5f"
    "\uaadf\uaaf0\uaaf1\uabeb\ufd3e\ufd3f\ufe12\ufe15-\ufe18\ufe35-\ufe44\ufe47\ufe48\ufe50-\ufe52"
    "\ufe54-\ufe57\ufe59-\ufe5e\uff01\uff02\uff07-\uff09\uff0c\uff0e\uff1a\uff1b\uff1f\uff3b\uff3d"
    "\uff5b\uff5d\uff5f-\uff64\U0001039f\U000103d0\U00010857\U0001091f\U00010a56\U00010a57\U00010af0-\U00010af5"
    "\U00010b3a-\U00010b3f\U00010b99-\U00010b9c\U00010f55-\U00010f59\U00010f86-\U00010f89\U00011047-\U0001104d"
    "\U000110be-\U000110c1\U00011141-\U00011143\U000111c5\U000111c6\U000111cd\U000111de\U000111df"
    "\U00011238-\U0001123c\U000112a9\U000113d4\U000113d5\U0001144b-\U0001144d\U0001145a\U0001145b"
    "\U000115c2-\U000115c5\U000115c9-\U000115d7\U00011641\U00011642\U0001173c-\U0001173e\U00011944"
    "\U00011946\U00011a42\U00011a43\U00011a9b\U00011a9c\U00011aa1\U00011aa2\U00011c41-\U00011c43"
    "\U00011c71\U00011ef7\U00011ef8\U00011f43\U00011f44\U00012470-\U00012474\U00016a6e\U00016a6f"
    "\U00016af5\U00016b37-\U00016b39\U00016b44\U00016d6e\U00016d6f\U00016e97\U00016e98\U0001bc9f"
    "\U0001da87-\U0001da8a"
)
_NEVER = '\\s<>"`\\u0000-\\u001f\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff'
"""Never in an address as people write it: blanks, marks that show nothing and may turn the line, quotes."""

_LETTER = "[A-Za-z\\u00c0-\\u024f\\u0400-\\u052f]"
"""Of the scripts that have an apostrophe; in the others the same mark only ends a quotation."""

_SIGN = rf"(?:[^{_NEVER}{_ENDS}]|(?<={_LETTER})\u2019(?={_LETTER}))"
_LABEL = r"[^\W_](?:[^\W_]|-(?=[\w-])){0,62}"
_LOCAL = r"[\w%+-]{1,64}(?:\.[\w%+-]{1,64}){0,8}"

_ADDRESS = re.compile(
    rf"(?<![A-Za-z0-9@])(?:https?://{_SIGN}{{1,2000}}|www\.{_LABEL}(?:\.{_LABEL})+(?:[/?#:]{_SIGN}{{0,2000}})?)"
    rf"|(?<![\w.%+@/-]){_LOCAL}@{_LABEL}(?:\.{_LABEL}){{1,8}}",
    re.IGNORECASE,
)
"""Bounded, so that a hostile text costs no time. Only http, https and mail: others run or show what the sender likes."""

_TRAILING = re.compile(r"(?:[.,;:!?…*_~'·]|['\u2019]s)+$")
_CLOSERS = {")": "(", "]": "[", "}": "{"}


class Part(NamedTuple):
    """A piece of a text; `href` is None where it is no address."""

    text: str
    href: str | None


def split_links(text: str) -> Iterator[Part]:
    """The pieces of `text` in order; joined, they are `text` again."""
    end = 0
    for match in _ADDRESS.finditer(text):
        address = _ended(match[0])
        href = _href(address)
        if href is None:
            continue
        if match.start() > end:
            yield Part(text[end : match.start()], None)
        yield Part(address, href)
        end = match.start() + len(address)
    if end < len(text):
        yield Part(text[end:], None)


def _ended(address: str) -> str:
    """Up to the first bracket that closes what began before it, and without the marks at its end."""
    opened: list[str] = []
    end = len(address)
    for at, sign in enumerate(address):
        if sign in "([{":
            opened.append(sign)
        elif sign in _CLOSERS and (not opened or opened.pop() != _CLOSERS[sign]):
            end = at
            break
    kept = _TRAILING.sub("", address[:end])
    while kept.endswith(("(", "[", "{")):
        kept = _TRAILING.sub("", kept[:-1])
    return kept


def _href(address: str) -> str | None:
    """Where it leads; None where it is no address after all."""
    if not address.lower().startswith(("http:", "https:", "www.")):
        return "mailto:" + quote(address, safe="@+%")
    try:
        url = urlsplit(address if "://" in address else f"https://{address}")
        port = url.port
    except ValueError:
        return None
    # A name before the host ("https://bank.example@evil.example") only serves to deceive.
    if not url.hostname or "@" in url.netloc or port == 0:
        return None
    return url.geturl()
