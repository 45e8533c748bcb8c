"""Every sentence in which a person may be refused is known in the other languages too."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from chatserver.core import errors
from chatserver.http.words import Words
from chatserver.site.pages import web_folder

WORDS = Words(web_folder() / "js" / "words")
HOME = Path(__file__).parents[2] / "chatserver"

REFUSALS = {
    name
    for name, value in vars(errors).items()
    if isinstance(value, type) and issubclass(value, errors.ChatError)
}

TO_PROGRAMS = (
    *("transports/", "http/requests.py", "http/admission.py", "http/cors.py", "core/packets.py"),
    *("site/api/", "site/lab.py"),
)
"""Where only a program can be at fault; a person is told what the code means."""

FIELDS_OF_PROGRAMS = re.compile(
    r"JSON|\blists? or objects|must be|clientId|is not an id|surrogate|dollar|Forms come as|Nothing to change"
)


def sentence(node: ast.expr) -> str | None:
    """A sentence as it is said, with a number for each gap."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(v.value) if isinstance(v, ast.Constant) else "7" for v in node.values)
    return None


def sentences(path: Path) -> set[str]:
    """What a module says to whom it refuses: as an argument, or under a name whose value is one sentence."""
    found = set()
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if name in REFUSALS or name == "_till":
                found |= {text for each in node.args[:2] if (text := sentence(each))}
    return {text for text in found if re.fullmatch(r"[A-Z].*[.!]", text)}


@pytest.mark.parametrize("tag", [tag for tag in WORDS.languages if tag != "en"])
def test_every_sentence_is_known(tag: str) -> None:
    language = WORDS.languages[tag]
    unknown = [
        f"{path.relative_to(HOME)}: {text}"
        for path in sorted(HOME.rglob("*.py"))
        if not str(path.relative_to(HOME)).startswith(TO_PROGRAMS)
        for text in sorted(sentences(path))
        if language.said(text) is None and not FIELDS_OF_PROGRAMS.search(text)
    ]
    assert unknown == []


def test_every_code_has_words_in_every_language() -> None:
    codes = {getattr(errors, name).code for name in REFUSALS}
    for language in WORDS.languages.values():
        for code in codes:
            assert language.say(f"refused.{code}")
