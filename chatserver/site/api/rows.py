"""What one address of the API is, method by method: the form of a row of the table, and the handler that keeps to it.

The rows themselves are in `site.api.table`, what they say to others in `site.api.openapi`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from tornado.web import RequestHandler

from chatserver.core.errors import (
    AnotherAccount,
    BadRequest,
    ChatError,
    Forbidden,
    InvalidField,
    RateLimited,
    TooLarge,
    Unauthenticated,
    Unavailable,
    UnsupportedMedia,
)
from chatserver.core.limits import Limits
from chatserver.http.handlers import ApiHandler
from chatserver.http.house import House

Schema = dict[str, Any]
"""A JSON Schema (draft 2020-12)."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a request's body, by its rule in `core.fields`, which the verb applies."""

    name: str
    schema: Callable[[Limits], Schema]
    required: bool = True


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a query. `read` makes what the verb wants of its text, None where it is absent."""

    name: str
    schema: Callable[[Limits], Schema]
    read: Callable[[str | None, Limits], Any]
    """Raises `ChatError`."""
    place: str = "query"
    """`query` or `header`."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client gets where nothing is refused. `shape` is a name of `schemas.SHAPES`, empty where there is no body."""

    status: int
    does: str
    shape: str = ""
    media: str = "application/json"


class Entrance(Enum):
    """Who may ask, which says what everybody may be refused with."""

    SIGNED_IN = frozenset({Unauthenticated, AnotherAccount, Forbidden, RateLimited, Unavailable})
    EVERYBODY = frozenset({Forbidden, RateLimited, Unavailable})
    OPERATOR = frozenset[
        type[ChatError]
    ]()  # an empty tuple is no value of an Enum in Python 3.11.2
    """While the server drains too, and without a look at the origin."""


@dataclass(frozen=True, slots=True)
class Row:
    """One method of one address: who answers, what it does, what it takes, and what may come back.

    `path` has its parameters in braces. `refusals` are those beside what follows from the entrance and the fields.
    """

    method: str
    path: str
    handler: type[RequestHandler]
    does: str
    answers: tuple[Answer, ...]
    refusals: tuple[type[ChatError], ...] = ()
    fields: tuple[Field, ...] = ()
    arguments: tuple[Argument, ...] = ()
    entrance: Entrance = Entrance.SIGNED_IN
    whole_body: Schema | None = None
    """What of a body no single field can say."""

    @property
    def is_stream(self) -> bool:
        """Whether it is a transport's, with its own routes and its own reading of arguments."""
        return not issubclass(self.handler, RowHandler)

    @property
    def reads_body(self) -> bool:
        """Whether a body is looked at, if only to see that no form sends it."""
        return self.method != "GET"

    @property
    def parameters(self) -> list[str]:
        """The names in the path."""
        return re.findall(r"\{(\w+)\}", self.path)

    @property
    def pattern(self) -> str:
        """The path as a regular expression."""
        return re.sub(r"\{\w+\}", "([^/]+)", self.path)

    def all_refusals(self) -> list[type[ChatError]]:
        """Everything that it may refuse with, by status."""
        found = {BadRequest, *self.entrance.value, *self.refusals}
        if not self.is_stream:
            found.add(TooLarge)
            if self.fields or self.arguments:
                found.add(InvalidField)
        if self.reads_body:
            found.add(UnsupportedMedia)
        return sorted(found, key=lambda each: (each.status, each.code))


class RowHandler(ApiHandler):
    """A handler whose methods are rows: it sees no field and no argument that its row does not name."""

    _rows: Mapping[str, Row]

    def initialize(self, house: House, **more: Any) -> None:
        super().initialize(house)
        self._rows = more["rows"]

    @property
    def row(self) -> Row:
        """The row of the method that is asked for."""
        return self._rows["GET" if self.request.method == "HEAD" else str(self.request.method)]

    def fields(self) -> dict[str, object]:
        """The fields of the body that the row names; what else there is, is passed over."""
        given = super().fields()
        return {each.name: given[each.name] for each in self.row.fields if each.name in given}

    def arguments(self) -> dict[str, Any]:
        """The arguments of the query, read by their rules. Raises `InvalidField` and `BadRequest`."""
        limits = self.house.settings.limits
        return {
            each.name: each.read(self.argument(each.name), limits) for each in self.row.arguments
        }
