"""The table of the API: one row for each method of each address.

The routes are made of it, its handlers see the fields and arguments that it names and no others, and
`/api/openapi.json` says it to everybody. An address that is missing here does not exist
(`tests/site/test_table.py`). Streams have routes of their own; their rows say what there is to be said of them.
"""

from __future__ import annotations

from chatserver.core.errors import (
    AnotherAccount,
    Conflict,
    Forbidden,
    InvalidField,
    NotFound,
    Unauthenticated,
    Unavailable,
    UpgradeRequired,
)
from chatserver.site import lab
from chatserver.site.api import account, alerts, friends, inputs, messages, operator
from chatserver.site.api.description import Description
from chatserver.site.api.inputs import optional
from chatserver.site.api.rows import Answer, Entrance, Row
from chatserver.transports.handshake import SocketHandler
from chatserver.transports.longpoll import PollHandler
from chatserver.transports.sse import EventsHandler

DONE = (Answer(204, "Done."),)

ACCOUNT = (
    Row(
        "POST",
        "/api/register",
        account.Register,
        "Make an account, and sign in with a cookie.",
        (Answer(201, "The new account.", "Me"),),
        (Conflict,),
        fields=(inputs.EMAIL, inputs.PASSWORD, inputs.FIRST_NAME, inputs.LAST_NAME),
        entrance=Entrance.EVERYBODY,
    ),
    Row(
        "POST",
        "/api/login",
        account.SignIn,
        "Sign in with a cookie.",
        (Answer(200, "Who signed in.", "Me"),),
        (Unauthenticated,),
        fields=(inputs.EMAIL, inputs.PASSWORD_GIVEN),
        entrance=Entrance.EVERYBODY,
    ),
    Row(
        "POST",
        "/api/logout",
        account.SignOut,
        "End the login that asks, and its live connections.",
        DONE,
    ),
    Row(
        "GET",
        "/api/me",
        account.Me,
        "Oneself.",
        (Answer(200, "Oneself.", "Me"),),
    ),
    Row(
        "GET",
        "/api/visitor",
        account.Visitor,
        "Oneself where one is signed in, else null: for a page that does not know yet, and asks without a refusal.",
        (Answer(200, "Who asks.", "Visitor"),),
        (AnotherAccount,),
        entrance=Entrance.EVERYBODY,
    ),
    Row(
        "PATCH",
        "/api/me",
        account.Me,
        "Change names, colour, time zone or password. A new password ends all other logins and all tokens.",
        (Answer(200, "Oneself, changed.", "Me"),),
        fields=(
            optional(inputs.FIRST_NAME),
            optional(inputs.LAST_NAME),
            optional(inputs.COLOR),
            optional(inputs.ZONE),
            optional(inputs.PASSWORD),
            optional(inputs.CURRENT_PASSWORD),
        ),
        whole_body=inputs.ONE_CHANGE,
    ),
    Row(
        "DELETE",
        "/api/me",
        account.Me,
        "Delete the account and what it wrote.",
        DONE,
        fields=(inputs.PASSWORD_GIVEN,),
    ),
)

LOGINS = (
    Row(
        "GET",
        "/api/tokens",
        account.Tokens,
        "One's bearer tokens, without their secrets.",
        (Answer(200, "All of them.", "Tokens"),),
    ),
    Row(
        "POST",
        "/api/tokens",
        account.Tokens,
        "Make a bearer token.",
        (Answer(201, "The token, shown this once.", "IssuedToken"),),
        (Conflict,),
        fields=(inputs.LABEL, optional(inputs.EXPIRES_IN)),
    ),
    Row(
        "DELETE",
        "/api/tokens/{id}",
        account.Token,
        "Revoke a bearer token, and end its live connections.",
        DONE,
        (NotFound,),
    ),
    Row(
        "GET",
        "/api/sessions",
        account.Devices,
        "The browsers in which one is signed in.",
        (Answer(200, "All of them.", "Devices"),),
    ),
    Row(
        "DELETE",
        "/api/sessions",
        account.Devices,
        "Sign every other browser out.",
        DONE,
    ),
    Row(
        "DELETE",
        "/api/sessions/{id}",
        account.Device,
        "Sign a browser out, and end its live connections.",
        DONE,
        (NotFound,),
    ),
)

FRIENDS = (
    Row(
        "GET",
        "/api/users",
        friends.People,
        "Find people by name, word by word from its beginning, or by a whole email address.",
        (Answer(200, "Those found.", "Found"),),
        arguments=(inputs.QUERY, inputs.LIMIT),
    ),
    Row(
        "GET",
        "/api/friends",
        friends.Friends,
        "Friends with their presence, and who has asked whom.",
        (Answer(200, "All of them.", "Friends"),),
    ),
    Row(
        "PUT",
        "/api/friends/{id}",
        friends.Friend,
        "Ask for friendship, accept where the other has asked first, or take back an end that waits.",
        (Answer(200, "What the other is now.", "Relation"),),
        (NotFound, Conflict, InvalidField),
    ),
    Row(
        "DELETE",
        "/api/friends/{id}",
        friends.Friend,
        "End a friendship, decline or withdraw a request; nothing where there is nothing. With `delay` a friendship ends so"
        " many seconds later, unless `PUT` takes that back.",
        (*DONE, Answer(202, "It ends later.", "Ending")),
        (NotFound,),
        arguments=(inputs.DELAY,),
    ),
    Row(
        "GET",
        "/api/blocks",
        friends.Blocks,
        "Whom one has blocked.",
        (Answer(200, "All of them.", "Users"),),
    ),
    Row(
        "PUT",
        "/api/blocks/{id}",
        friends.Block,
        "Block somebody: it ends the friendship, and they find and reach one no more.",
        DONE,
        (NotFound, InvalidField),
    ),
    Row(
        "DELETE",
        "/api/blocks/{id}",
        friends.Block,
        "Lift a block; nothing where there is none.",
        DONE,
    ),
)

MESSAGES = (
    Row(
        "GET",
        "/api/messages",
        messages.Messages,
        "The messages with one friend, or without `with` those to all friends.",
        (Answer(200, "A page in ascending order.", "History"),),
        arguments=(inputs.WITH_ARGUMENT, inputs.BEFORE, inputs.AFTER, inputs.LIMIT),
    ),
    Row(
        "POST",
        "/api/messages",
        messages.Messages,
        "Write to all friends, or with `to` to one of them. The answer comes once the message is durable.",
        (
            Answer(201, "Where the message stands.", "Place"),
            Answer(200, "Where it has stood since its `clientId` came first.", "Place"),
        ),
        fields=(inputs.TEXT, optional(inputs.TO), optional(inputs.CLIENT_ID)),
    ),
    Row(
        "GET",
        "/api/conversations",
        messages.Conversations,
        "Where each conversation stands: with all friends (`with` is null), and with each friend. The newest message first.",
        (Answer(200, "All of them.", "Conversations"),),
    ),
    Row(
        "POST",
        "/api/typing",
        messages.Typing,
        "Let the friends, or the one friend, know that one is writing.",
        DONE,
        fields=(optional(inputs.TO),),
    ),
    Row(
        "GET",
        "/api/read",
        messages.Read,
        "How far everybody has read, and what is unread.",
        (Answer(200, "Own positions, those of friends, and counts.", "ReadState"),),
    ),
    Row(
        "POST",
        "/api/read",
        messages.Read,
        "Move one's read position forward.",
        DONE,
        fields=(optional(inputs.WITH), inputs.UP_TO),
    ),
)

LABORATORY = (
    Row(
        "GET",
        "/api/lab/lanes",
        lab.TallyTotals,
        "What each of one's clients of the laboratory has cost.",
        (Answer(200, "All of them.", "Lanes"),),
    ),
    Row(
        "POST",
        "/api/lab/close",
        lab.CutClient,
        "Cut the connection of one's client of the laboratory without a word.",
        DONE,
        fields=(inputs.LAB_CLIENT,),
    ),
)

ALERTS = (
    Row(
        "GET",
        "/api/alerts",
        alerts.AlertWishes,
        "What one has said of being called, and the key for `PushManager.subscribe`.",
        (Answer(200, "All of it.", "Wishes"),),
    ),
    Row(
        "PUT",
        "/api/alerts",
        alerts.AlertWishes,
        "Change what is given: the others stay.",
        (Answer(200, "All of it, changed.", "Wishes"),),
        fields=(
            optional(inputs.ALERT_TEXT),
            optional(inputs.QUIET_FROM),
            optional(inputs.QUIET_TO),
            optional(inputs.ZONE),
            optional(inputs.MUTED),
        ),
    ),
    Row(
        "PUT",
        "/api/push",
        alerts.PushSubscription,
        "Let this browser be called by Web Push as long as the login lives that asks.",
        DONE,
        fields=(inputs.ENDPOINT, inputs.P256DH, inputs.PUSH_AUTH),
    ),
    Row(
        "DELETE",
        "/api/push",
        alerts.PushSubscription,
        "Call this browser no more.",
        DONE,
        fields=(inputs.ENDPOINT,),
    ),
)

OPERATORS = (
    Row(
        "GET",
        "/api/openapi.json",
        Description,
        "This description.",
        (Answer(200, "An OpenAPI document.", "Description"),),
        entrance=Entrance.EVERYBODY,
    ),
    Row(
        "GET",
        "/healthz",
        operator.Health,
        "Whether the server is alive.",
        (Answer(200, "It is.", "Alive"),),
        entrance=Entrance.OPERATOR,
    ),
    Row(
        "GET",
        "/readyz",
        operator.Ready,
        "Whether new work may be sent here.",
        (Answer(200, "It may.", "Ready"),),
        (Unavailable,),
        entrance=Entrance.OPERATOR,
    ),
    Row(
        "GET",
        "/metrics",
        operator.MetricsPage,
        "Its numbers, for Prometheus: with a token of their own, or to this machine alone.",
        (Answer(200, "One line a number.", "Text", "text/plain"),),
        (Unauthenticated, Forbidden),
        entrance=Entrance.OPERATOR,
    ),
)

_READER = (inputs.CURSOR, inputs.CLIENT, inputs.WHOSE)

STREAMS = (
    Row(
        "GET",
        "/ws",
        SocketHandler,
        "A WebSocket (subprotocol `chat.v1`): a `Hello`, the whole presence, then a text frame an item."
        " Signed out, or on a page of another account, it is accepted, told `Bye` and closed.",
        (Answer(101, "The connection is a WebSocket."),),
        (UpgradeRequired,),
        arguments=_READER,
        entrance=Entrance.EVERYBODY,
    ),
    Row(
        "GET",
        "/events",
        EventsHandler,
        "Server-Sent Events: a `Hello` and the whole presence, then a line of JSON an item, with `id` where it"
        " has a `seq`. The answer has no end.",
        (
            Answer(200, "The stream.", "Text", "text/event-stream"),
            Answer(204, "Signed out, or a page of another account: do not come back."),
        ),
        (Unauthenticated,),
        arguments=(*_READER, inputs.LAST_EVENT_ID),
        entrance=Entrance.EVERYBODY,
    ),
    Row(
        "GET",
        "/poll",
        PollHandler,
        "Long-polling, or with `wait=0` polling: what stands after the cursor, at once or when there is something.",
        (Answer(200, "What there is.", "PollAnswer"),),
        arguments=(*_READER, inputs.WAIT),
    ),
)
"""Their routes are in `transports`."""

TABLE = (*ACCOUNT, *LOGINS, *FRIENDS, *MESSAGES, *ALERTS, *LABORATORY, *OPERATORS, *STREAMS)
"""Every row."""
