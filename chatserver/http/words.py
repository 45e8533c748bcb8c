"""The words that people read, in the languages that there are.

The tables are those of the page, `web/js/words/<language>.js`: one file a language, and nothing else to change. A
page says which languages there are, and is made in the one that its reader chose, or whose browser asks for it.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT = "en"

COOKIE = "chat_language"
"""What the reader chose in this browser. The page sets it, so script may read it; it says nothing about anybody."""

_SAID = "said: "
_COMMENT = re.compile(r"^\s*//.*$", re.MULTILINE)
_END = re.compile(r",?\s*\}\s*;\s*$")
_GAP = re.compile(r"\{(\w+)\}")
_RANGES_MAX = 32
"""More of `Accept-Language` is not read."""


def read_table(text: str) -> dict[str, object]:
    """The table in a module of the page: JSON, but for the comments and the last comma."""
    body = _COMMENT.sub("", text).strip().removeprefix("export default")
    table: dict[str, object] = json.loads(_END.sub("}", body))
    return table


@dataclass(frozen=True, slots=True)
class Language:
    """One language: its tag (BCP 47), and its words."""

    tag: str
    table: Mapping[str, object]
    patterns: tuple[tuple[re.Pattern[str], str], ...]

    @property
    def direction(self) -> str:
        """As the attribute `dir` has it."""
        return self.say("language.direction")

    def say(self, key: str, **values: object) -> str:
        """The words for `key`, with `values` in the gaps. Raises `KeyError` where there are none."""
        return _fill(str(self.table[key]), values)

    def markup(self, key: str, values: Mapping[str, str]) -> str:
        """The words for `key` as HTML, with `values` that are HTML already."""
        return _fill(html.escape(str(self.table[key])), values)

    def said(self, sentence: str) -> str | None:
        """What is said in English elsewhere (`ChatError.detail`); None where no words for it are known."""
        found = self.table.get(_SAID + sentence)
        if found is not None:
            return str(found)
        for pattern, key in self.patterns:
            match = pattern.fullmatch(sentence)
            if match is not None:
                return _fill(str(self.table[key]), match.groupdict())
        return None

    def refusal(self, code: str, detail: str) -> str:
        """Why something was refused: in its own words, or what the code means in general."""
        found = self.said(detail)
        if found is not None:
            return found
        return detail if self.tag == DEFAULT else self.say(f"refused.{code}")

    def refusal_title(self, code: str, title: str) -> str:
        """A heading for a refusal: the status in words, which HTTP has in English only."""
        return title if self.tag == DEFAULT else self.say(f"refused.{code}")


def _fill(text: str, values: Mapping[str, object]) -> str:
    return _GAP.sub(lambda gap: str(values[gap[1]]), text)


def _language(tag: str, table: dict[str, object]) -> Language:
    patterns = []
    for key in table:
        if key.startswith(_SAID) and _GAP.search(key):
            pieces = _GAP.split(key.removeprefix(_SAID))
            expression = "".join(
                f"(?P<{piece}>.+)" if index % 2 else re.escape(piece)
                for index, piece in enumerate(pieces)
            )
            patterns.append((re.compile(expression), key))
    return Language(tag, table, tuple(patterns))


class Words:
    """All languages, read once from a folder of tables."""

    def __init__(self, folder: Path) -> None:
        self.languages = {
            path.stem: _language(path.stem, read_table(path.read_text("utf-8")))
            for path in sorted(folder.glob("*.js"))
        }

    @property
    def names(self) -> str:
        """Tags and names, as the page is told of them: `en=English;zh-CN=…`."""
        return ";".join(f"{tag}={one.say('language.name')}" for tag, one in self.languages.items())

    def choose(self, chosen: str | None, accept: str) -> Language:
        """What the reader chose, else what the browser asks for (`Accept-Language`; RFC 4647, lookup), else English."""
        if chosen in self.languages:
            return self.languages[chosen]
        by_folded = {tag.lower(): one for tag, one in self.languages.items()}
        for asked in _asked(accept):
            found = by_folded.get(asked) or next(
                # `zh`, `zh-TW` and `zh-Hans-SG` find what there is of that language.
                (by_folded[tag] for tag in by_folded if _primary(tag) == _primary(asked)),
                None,
            )
            if found is not None:
                return found
        return self.languages[DEFAULT]


def _primary(tag: str) -> str:
    return tag.partition("-")[0]


def _asked(accept: str) -> list[str]:
    """The tags of `Accept-Language`, the dearest first (RFC 9110, section 12.5.4)."""
    found: list[tuple[float, str]] = []
    for part in accept.split(",")[:_RANGES_MAX]:
        tag, _, weight = part.strip().partition(";")
        match = re.fullmatch(r"\s*q=([01](?:\.[0-9]{0,3})?)\s*", weight)
        quality = float(match[1]) if match else 0.0 if weight else 1.0
        if quality > 0:
            found.append((-quality, tag.strip().lower()))
    return [tag for _, tag in sorted(found, key=lambda one: one[0])]
