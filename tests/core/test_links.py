"""Where addresses begin and end in what people write: the same as in the page (`tests/web/links.test.js`)."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from chatserver.core.links import split_links

CASES = json.loads((Path(__file__).parent.parent / "links.json").read_text("utf-8"))


@pytest.mark.parametrize(("text", "links"), CASES, ids=[case[0] for case in CASES])
def test_an_address_ends_where_people_end_it(text: str, links: list[list[str]]) -> None:
    parts = list(split_links(text))
    assert "".join(part.text for part in parts) == text
    assert [part.text for part in parts if part.href] == [shown for shown, _ in links]
    assert all((part.href or "http:").startswith(("http:", "https:", "mailto:")) for part in parts)


@pytest.mark.parametrize("piece", ["a", "a.", "a@", "www.", "(", "https://", "https://(", "a-"])
def test_a_hostile_text_costs_no_time(piece: str) -> None:
    begin = time.process_time()
    list(split_links(piece * (4000 // len(piece))))
    assert time.process_time() - begin < 0.5
