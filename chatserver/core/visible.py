"""What of a text is seen: characters that show nothing, and marks that move what stands around them. Pure."""

from __future__ import annotations

import re
import unicodedata

_INVISIBLE = (
    # Default_Ignorable_Code_Point (Unicode 15, DerivedCoreProperties.txt).
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    # Interlinear annotation: what is left of it where nothing is annotated.
    "\ufff9-\ufffb"
)
_BLANK = (
    # White_Space (PropList.txt), C0 and C1 controls.
    "\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
    # Letters and symbols that are drawn as nothing: Braille without dots, a null note, fillers and blanks.
    "\u2800\U0001d159\U00013441\U00013442\U00016fe4"
)
_NO_CHARACTERS = (
    "\ufdd0-\ufdef\ufffe\uffff\U0001fffe\U0001ffff\U0002fffe\U0002ffff\U0003fffe\U0003ffff\U0004fffe\U0004ffff"
    "\U0005fffe\U0005ffff\U0006fffe\U0006ffff\U0007fffe\U0007ffff\U0008fffe\U0008ffff\U0009fffe\U0009ffff"
    "\U000afffe\U000affff\U000bfffe\U000bffff\U000cfffe\U000cffff\U000dfffe\U000dffff\U000efffe\U000effff"
    "\U000ffffe\U000fffff\U0010fffe\U0010ffff"
)
"""Noncharacters: no font has anything for them, and whoever keeps text may use them for its own ends (Unicode, 23.7)."""
_NOTHING_ALONE = (
    # Object replacement: the place of an object that is not there. Private use (Unicode, 23.5): what nobody but the
    # sender has agreed on, drawn as an empty box or as nothing.
    "\ufffc\ue000-\uf8ff\U000f0000-\U000ffffd\U00100000-\U0010fffd"
    # Controls that join hieroglyphs (Unicode, 11.4), and marks that stack what stands around them
    # (Indic_Syllabic_Category=Invisible_Stacker, Number_Joiner, Consonant_Joiner).
    "\U00013430-\U0001343f\u1039\u17d2\u1a60\uaaf6\u2d7f\U00010a3f\U0001107f\U00011133\U0001193e"
    "\U00011a47\U00011a99\U00011d45\U00011d97"
)
_SEEN = re.compile(f"[^{_INVISIBLE}{_BLANK}{_NO_CHARACTERS}{_NOTHING_ALONE}]")
_UNSEEN = re.compile(f"[{_INVISIBLE}]+")
_GAPS = re.compile(f"[{_BLANK}]")

# Bidirectional controls and line ends that are no controls; the deprecated ones beside them, which mirror and reshape
# what follows (Unicode, 23.3); and what makes a note of what follows, or puts something in its place (23.8).
_MOVES = re.compile("[\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufff9-\ufffc]")
_NONE = re.compile(f"[{_NO_CHARACTERS}]")


def shows_something(text: str) -> bool:
    """Whether there is anything to be seen. Not by category: U+3164 is a letter and U+2800 a symbol, and both blank."""
    # Nearly every text begins with a letter that this tells at once.
    return "!" <= text[:1] <= "~" or _SEEN.search(text) is not None


def stands_alone(text: str) -> bool:
    """Whether it shows something by itself: the first that is seen of it is no combining mark.

    A mark is drawn on what stands before it, which for a name is somebody else's text, a quote or nothing. No name of any
    script begins with one (Unicode, D57: a defective combining character sequence).
    """
    seen = _SEEN.search(text)
    return seen is not None and unicodedata.category(seen[0])[0] != "M"


def without_invisible(text: str) -> str:
    """`text` without what takes no room. Blank characters stay: a gap is seen."""
    return _UNSEEN.sub("", text)


def words_between_blanks(text: str) -> list[str]:
    """What stands between gaps, whatever makes these: `str.split` takes a Braille pattern without dots for a letter."""
    return text.split() if text.isascii() else _GAPS.sub(" ", text).split()


_ISOLATES = re.compile("[\u2066-\u2069\n\u2029]")


def enclosed(text: str) -> str:
    """`text` without the ends of isolates that it did not begin: one would close what stands around it."""
    if "\u2069" not in text:
        return text
    opened = 0

    def keep(found: re.Match[str]) -> str:
        nonlocal opened
        mark = found[0]
        if mark in "\n\u2029":
            opened = 0
        elif mark != "\u2069":
            opened += 1
        elif opened:
            opened -= 1
        else:
            return ""
        return mark

    return _ISOLATES.sub(keep, text)


def isolated(text: str) -> str:
    """`text` to stand among other text, where no element can keep it apart (UAX 9, section 2.7)."""
    return f"\u2068{enclosed(text)}\u2069"


def moves_others(text: str) -> bool:
    """Whether it holds a mark that changes how other characters are drawn (UAX 9, section 2).

    A name with one can put itself in front of what stands around it, or make itself look like another.
    """
    return _MOVES.search(text) is not None


def holds_no_character(text: str) -> bool:
    """Whether it holds a noncharacter: indexes end their ranges with one (`names.after_prefix`)."""
    return _NONE.search(text) is not None
