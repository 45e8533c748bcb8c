"""The table of the API is whole: every address that answers has its row, method by method, and every row an address."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from tornado.routing import URLSpec
from tornado.web import Application, RequestHandler

from chatserver.core.limits import Limits
from chatserver.http.handlers import METHODS, UnknownAddress
from chatserver.http.house import House
from chatserver.site.api.rows import Entrance, Row, RowHandler, Schema
from chatserver.site.api.schemas import SHAPES
from chatserver.site.api.table import TABLE
from chatserver.site.metrics import Metrics
from chatserver.site.pages import web_folder
from chatserver.site.routes import make_app
from tests.site.conftest import PASSWORD, Browser, problem
from tests.support.pushservice import PushBrowser

OURS = re.compile(r"/(api/|poll|events|ws|healthz|readyz|metrics)")

Address = tuple[str, str]
"""A pattern and a method."""


def answered(handler: type[RequestHandler]) -> list[str]:
    """The methods that a handler has; HEAD is where GET is."""
    nothing = RequestHandler._unimplemented_method
    found = [m for m in METHODS if getattr(handler, m.lower()) is not nothing]
    return [method for method in found if method != "HEAD"]


def routed(folder: Path) -> dict[Address, type[RequestHandler]]:
    """Everything that the application answers under the addresses of the API and the streams."""
    house = MagicMock(spec=House)
    for name in House.__slots__:
        setattr(house, name, MagicMock())
    house.settings.limits = Limits()
    found: dict[Address, type[RequestHandler]] = {}
    for rule in make_app(house, folder, Metrics()).wildcard_router.rules:
        assert isinstance(rule, URLSpec)
        handler: Any = rule.target
        pattern = rule.regex.pattern.removesuffix("$")
        if OURS.match(pattern) and handler is not UnknownAddress:
            found |= {(pattern, method): handler for method in answered(handler)}
    return found


def test_every_address_and_method_has_its_row_and_every_row_its_address() -> None:
    rows = {(row.pattern, row.method): row.handler for row in TABLE}
    assert rows == routed(web_folder())
    assert len(rows) == len(TABLE)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.method} {row.path}")
def test_a_row_is_whole(row: Row) -> None:
    assert row.does.endswith(".") and row.answers
    assert all(not each.shape or each.shape in SHAPES for each in row.answers)
    assert not (row.method == "GET" and row.fields)
    limits = Limits()
    assert all(each.schema(limits) for each in row.fields)
    assert all(each.schema(limits) for each in row.arguments)


def test_no_shape_is_left_over() -> None:
    used = {each.shape for row in TABLE for each in row.answers} - {""} | {"Problem", "Hello"}
    text = repr(SHAPES)
    used |= set(re.findall(r"#/components/schemas/(\w+)", text))
    assert used == set(SHAPES)


def test_a_handler_sees_no_field_that_its_row_does_not_name() -> None:
    """So a field cannot be forgotten in the table: its verb would never hear of it."""
    typing = next(row for row in TABLE if (row.method, row.path) == ("POST", "/api/typing"))
    headers = HTTPHeaders({"Host": "x", "Content-Type": "application/json"})
    line = RequestStartLine("POST", typing.path, "HTTP/1.1")
    request = HTTPServerRequest(start_line=line, headers=headers, connection=MagicMock())
    house = MagicMock()
    house.settings.limits = Limits()
    handler = RowHandler(Application(), request, house=house, rows={"POST": typing})
    handler.data_received(b'{"to": null, "text": 7}')
    assert handler.fields() == {"to": None}


GOOD: dict[str, object] = {
    "email": "a@example.com",
    "password": PASSWORD,
    "firstName": "A",
    "label": "a",
    "text": "a",
    "upTo": 0,
    "client": "lab-a",
    "endpoint": "https://push.example.com/a",
    **PushBrowser().keys(),
}
"""What a field that must be there may be, where another one is wrong."""


@pytest.mark.parametrize(
    ("row", "name"),
    [(row, field.name) for row in TABLE for field in row.fields],
    ids=lambda each: f"{each.method} {each.path}" if isinstance(each, Row) else each,
)
def test_a_field_that_a_row_names_is_looked_at(
    browser: Callable[[], Browser], row: Row, name: str
) -> None:
    body = {each.name: GOOD[each.name] for each in row.fields if each.required}
    answer = browser().http.request(row.method, row.path, json=body | {name: [["x"]]})
    assert problem(answer, 422, "invalid_field")["field"] == name


@pytest.mark.parametrize(
    ("row", "name", "schema"),
    [
        (row, each.name, each.schema(Limits()))
        for row in TABLE
        for each in row.arguments
        if not row.is_stream
    ],
    ids=lambda each: f"{each.method} {each.path}" if isinstance(each, Row) else str(each)[:10],
)
def test_an_argument_that_a_row_names_is_looked_at(
    browser: Callable[[], Browser], row: Row, name: str, schema: Schema
) -> None:
    wrong = "x" if schema["type"] == "integer" else "x" * (5 * schema["maxLength"])
    answer = browser().http.request(row.method, row.path, params={name: wrong})
    assert problem(answer, 422, "invalid_field")["field"] == name


def test_only_what_needs_no_login_lets_everybody_in() -> None:
    everybody = {row.path for row in TABLE if row.entrance is not Entrance.SIGNED_IN}
    assert everybody == {
        "/api/register",
        "/api/login",
        "/api/visitor",
        "/api/openapi.json",
        "/healthz",
        "/readyz",
        "/metrics",
        "/ws",
        "/events",
    }
