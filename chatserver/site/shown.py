"""What stands in the pages without script: words, names, and messages with their days and links."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from tornado.template import Loader

from chatserver.core.links import split_links
from chatserver.core.visible import enclosed, isolated
from chatserver.http.house import House
from chatserver.http.words import Language
from chatserver.site.files import Web
from chatserver.verbs.zones import local_time


def vocabulary(language: Language) -> dict[str, Any]:
    """What a template says its words with. `say` gives markup, of values that are markup; `t` gives text."""
    return {
        "language": language,
        "t": language.say,
        "say": lambda key, **values: language.markup(key, values),
        "bdi": lambda name: f"<bdi>{escape(name)}</bdi>",
        "isolated": isolated,
    }


def messages(
    found: Sequence[dict[str, Any]], zone: str, language: Language
) -> list[dict[str, Any]]:
    """Messages as their reader's clock and calendar have them; `day` where another one begins than above."""
    shown = []
    above = None
    for message in found:
        at = local_time(message["at"], zone)
        day = at.date()
        shown.append(
            {
                **message,
                "day": language.say(
                    "classic.day", date=day.isoformat(), weekday=_weekday(language, day.weekday())
                )
                if day != above
                else "",
                "time": f"{at:%H:%M} {at.tzname() or ''}".rstrip(),
                "utc": local_time(message["at"], "").isoformat(timespec="seconds"),
                "lines": [
                    list(split_links(enclosed(line))) for line in message["text"].split("\n")
                ],
            }
        )
        above = day
    return shown


def _weekday(language: Language, number: int) -> str:
    return language.say("classic.weekdays").split(" ")[number]


def arguments(house: House, web_folder: Path, web: Web) -> dict[str, Any]:
    """What a handler of these pages is given; templates are read from `web_folder`/templates, all of them now: later there
    may be no descriptor for it."""
    folder = web_folder / "templates"
    loader = Loader(
        str(folder),
        autoescape="xhtml_escape",
        whitespace="all",
        namespace={"static": web.url},
    )
    for path in sorted(folder.glob("*.html")):
        loader.load(path.name)
    return {"house": house, "loader": loader}
