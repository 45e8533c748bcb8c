"""The server's rule for texts, by the table that the page's rule is held against (tests/web/text.test.js)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatserver.core import fields
from chatserver.core.errors import InvalidField

TABLE: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "web" / "texts.json").read_text()
)


@pytest.mark.parametrize("row", TABLE, ids=[row["what"] for row in TABLE])
def test_what_the_page_has_mended_is_taken_unchanged_or_refused_as_the_page_expects(
    row: dict[str, Any],
) -> None:
    if row["taken"]:
        assert fields.text(row["mended"], 4000) == row["mended"]
    else:
        with pytest.raises(InvalidField, match="empty"):
            fields.text(row["mended"], 4000)
