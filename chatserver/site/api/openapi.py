"""The table of the API as an OpenAPI 3.1 document (https://spec.openapis.org/oas/v3.1.1).

What OpenAPI has no words for (frames of a WebSocket, the order, what a block does) is in `docs/protocol.md`.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

import chatserver
from chatserver.core.errors import ChatError, Unauthenticated, UpgradeRequired
from chatserver.core.events import encode_json
from chatserver.core.limits import Limits
from chatserver.site.api.rows import Argument, Entrance, Row, Schema
from chatserver.site.api.schemas import SHAPES, ref
from chatserver.verbs.cookies import COOKIE

_ABOUT = """\
A friends' chat server. What is sent goes to one's friends: read it by WebSocket, Server-Sent Events, long-polling \
or polling, each at its own cursor, and change from one to another at any time.

Every refusal is an `application/problem+json` with a `code` (RFC 9457). Beside those that are listed, another method \
is 405 `method_not_allowed`, an address that is not listed 404 `not_found`, a head that is too large 431 \
`header_too_large`. Whatever answers GET answers HEAD. A request with a foreign `Origin` is 403. A \
body is `application/json`; members of it that are not listed are passed over, but none may have a dollar or a dot in \
its name. Ids are opaque, times milliseconds since 1970 (UTC)."""

_SECURITY: Schema = {
    "cookie": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "What registering and signing in set; `__Host-` stands before its name under https.",
    },
    "token": {"type": "http", "scheme": "bearer", "description": "Made with `POST /api/tokens`."},
    "metrics": {"type": "http", "scheme": "bearer", "description": "What `--metrics-token` says."},
}

_WHOSE: Schema = {
    "name": "X-Chat-User",
    "in": "header",
    "description": "Whose page asks. Where another is signed in: 409 `another_account`, and nothing is done. "
    "An empty one says nothing.",
    "schema": {"type": "string"},
}

_HEADERS: Schema = {
    "Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 1}},
    "WWW-Authenticate": {"schema": {"type": "string"}},
    "Upgrade": {"description": "What is spoken here.", "schema": {"type": "string"}},
}


def encoded(rows: Iterable[Row], limits: Limits) -> bytes:
    """The document of these rows, for a server with these limits."""
    return encode_json(document(rows, limits))


def document(rows: Iterable[Row], limits: Limits) -> Schema:
    """As `encoded`, before it becomes JSON."""
    paths: dict[str, Schema] = {}
    refusals: dict[str, Schema] = {}
    for row in rows:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, limits, refusals)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "chatserver",
            "version": chatserver.__version__,
            "summary": "A friends' chat server.",
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": SHAPES,
            "responses": dict(sorted(refusals.items())),
            "parameters": {"whose": _WHOSE},
            "headers": _HEADERS,
            "securitySchemes": _SECURITY,
        },
    }


def _operation(row: Row, limits: Limits, refusals: dict[str, Schema]) -> Schema:
    found: Schema = {
        "operationId": _name(row),
        "summary": row.does,
        "security": _security(row),
        "parameters": _parameters(row, limits),
        "responses": _responses(row, refusals),
    }
    if row.fields or row.method == "POST":
        media = {"application/json": {"schema": _body(row, limits)}}
        needed = row.whole_body is not None or any(field.required for field in row.fields)
        found["requestBody"] = {"required": needed, "content": media}
    return {name: value for name, value in found.items() if value != []}


def _name(row: Row) -> str:
    words = [word.strip("{}").partition(".")[0] for word in row.path.split("/") if word]
    return "_".join([row.method.lower(), *(word for word in words if word != "api")])


def _security(row: Row) -> list[Schema]:
    own: list[Schema] = [{"cookie": []}, {"token": []}]
    if row.entrance is Entrance.SIGNED_IN:
        return own
    if row.is_stream:
        return [*own, {}]
    if row.entrance is Entrance.OPERATOR and Unauthenticated in row.refusals:
        return [{"metrics": []}, {}]
    return [{}]


def _parameters(row: Row, limits: Limits) -> list[Schema]:
    found: list[Schema] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in row.parameters
    ]
    found += [_argument(argument, limits) for argument in row.arguments]
    if row.entrance is Entrance.SIGNED_IN:
        found.append({"$ref": "#/components/parameters/whose"})
    return found


def _argument(argument: Argument, limits: Limits) -> Schema:
    return {
        "name": argument.name,
        "in": argument.place,
        "required": False,
        "schema": argument.schema(limits),
    }


def _body(row: Row, limits: Limits) -> Schema:
    required = [field.name for field in row.fields if field.required]
    return {
        "type": "object",
        "properties": {field.name: field.schema(limits) for field in row.fields},
        **({"required": required} if required else {}),
        **(row.whole_body or {}),
    }


def _responses(row: Row, refusals: dict[str, Schema]) -> Schema:
    found: Schema = {}
    for answer in row.answers:
        said: Schema = {"description": answer.does}
        if answer.shape:
            said["content"] = {answer.media: {"schema": ref(answer.shape)}}
        found[str(answer.status)] = said
    by_status: dict[int, list[type[ChatError]]] = {}
    for refusal in row.all_refusals():
        by_status.setdefault(refusal.status, []).append(refusal)
    for status, kinds in by_status.items():
        name = "-or-".join(kind.code for kind in kinds)
        refusals.setdefault(name, _refusal(status, kinds))
        found[str(status)] = {"$ref": f"#/components/responses/{name}"}
    return found


def _refusal(status: int, kinds: list[type[ChatError]]) -> Schema:
    """What one status says: the problem with these codes, and the headers that come with it."""
    names = {429: ["Retry-After"], 503: ["Retry-After"], 401: ["WWW-Authenticate"]}.get(status, [])
    if UpgradeRequired in kinds:
        names = ["Upgrade"]
    codes = [kind.code for kind in kinds]
    these = {"properties": {"code": {"enum": codes}, "status": {"const": status}}}
    found: Schema = {
        "description": f"{HTTPStatus(status).phrase}: {', '.join(codes)}.",
        "content": {"application/problem+json": {"schema": {"allOf": [ref("Problem"), these]}}},
    }
    if names:
        found["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    return found
