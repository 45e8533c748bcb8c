"""The README in Chinese says what the one in English says."""

from __future__ import annotations

import re
from pathlib import Path

HOME = Path(__file__).parent.parent
ENGLISH = (HOME / "README.md").read_text("utf-8")
CHINESE = (HOME / "README.zh.md").read_text("utf-8")


def blocks(text: str) -> list[str]:
    return re.findall(r"^```.*?^```$", text, re.MULTILINE | re.DOTALL)


def shape(text: str) -> list[str]:
    """Headings, points, rows and pictures in their order, without their words."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^(#+ |- |\| `[\w-]+` |!\[|\*\*)", prose, re.MULTILINE)


def names(text: str) -> set[str]:
    """Files, commands and settings that are named."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return set(re.findall(r"`([^`]+)`", prose)) | set(re.findall(r"\]\((docs/[^)]+)\)", prose))


def test_both_have_the_same_examples() -> None:
    assert blocks(CHINESE) == blocks(ENGLISH)


def test_both_have_the_same_parts_in_the_same_order() -> None:
    assert shape(CHINESE) == shape(ENGLISH)


def test_both_name_the_same_things() -> None:
    assert names(CHINESE) == names(ENGLISH)


def test_each_leads_to_the_other() -> None:
    assert "(README.zh.md)" in ENGLISH and "(README.md)" in CHINESE
