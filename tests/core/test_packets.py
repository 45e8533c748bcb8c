"""Packets of Engine.IO and Socket.IO: whatever comes is one of three things, and never an exception."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatserver.core import packets
from chatserver.core.errors import RateLimited
from chatserver.core.events import Audience, Event

ALPHABET = '0123456789[]{}",:/-b \\uabc\x1e'


@given(st.text(alphabet=ALPHABET, max_size=60) | st.text(max_size=60))
def test_whatever_comes_is_said_refused_or_for_the_library(packet: str) -> None:
    for upgrades in (False, True):
        if packets.is_control(packet, upgrades):
            assert packet[0] in "1345" or packet == packets.PROBE
            assert not packet.startswith("42")
    said = packets.parse_event(packet)
    if isinstance(said, packets.Said):
        assert packet.startswith("42") and said.fields["type"] in packets.VERBS.values()
    else:
        assert said.error.code == "bad_request"


@given(
    st.sampled_from(sorted(packets.VERBS)),
    st.dictionaries(st.sampled_from(["text", "to", "type", "clientId"]), st.text(max_size=5)),
    st.none() | st.integers(0, 10**15 - 1),
)
def test_what_a_client_says_is_read_as_it_was_said(
    name: str, fields: dict[str, str], number: int | None
) -> None:
    packet = f"42{'' if number is None else number}{json.dumps([name, fields])}"
    said = packets.parse_event(packet)
    assert isinstance(said, packets.Said)
    assert said.number == number
    assert said.fields == {**fields, "type": packets.VERBS[name]}


@pytest.mark.parametrize(
    "packet",
    [
        '42["connect",{}]',
        '42["disconnect"]',
        '42[{"a":1},{}]',
        '42["typing",{},{}]',
        '42["typing","text"]',
        '42["typing",{"a.b":1}]',
        '42["typing",{"$gt":1}]',
        '42/admin,["typing",{}]',
        f'42{"1" * 16}["typing",{{}}]',
        "42[]",
        "42" + "[" * 65,
        '451-["typing",{"_placeholder":true,"num":0}]',
        "43[]",
    ],
)
def test_what_is_no_event_of_a_client_is_refused(packet: str) -> None:
    assert isinstance(packets.parse_event(packet), packets.Refused)
    assert not packets.is_control(packet, True)


@pytest.mark.parametrize(
    ("packet", "polling", "upgrading"),
    [
        ("3", True, True),
        ("1", True, True),
        ("40", True, True),
        ('40{"token":"x"}', True, True),
        ('40/admin,{"token":"x"}', True, True),
        ("41", True, True),
        ("2probe", False, True),
        ("5", False, True),
        ("2", False, False),
        ("6", False, False),
        ("0{}", False, False),
        ("40[]", False, False),
        ("40{", False, False),
        ('40{"a":"\\ud800"}', False, False),
        ("44{}", False, False),
        ("b" + "A" * 8, False, False),
    ],
)
def test_the_library_gets_a_small_grammar(packet: str, polling: bool, upgrading: bool) -> None:
    assert packets.is_control(packet, False) is polling
    assert packets.is_control(packet, True) is upgrading


def test_a_message_has_the_names_that_its_clients_know() -> None:
    payload = orjson.dumps(
        {
            "seq": 7,
            "type": "message",
            "at": 8,
            "from": {"id": "u", "name": "Ann", "color": "#123456"},
            "to": None,
            "text": "two\nlines \x1e",
            "clientId": None,
        }
    )
    packet = packets.message(Event(7, 8, "message", Audience.FRIENDS, "u", None, payload))
    assert packet.endswith(packets.END) and packet.count(packets.END) == 1
    name, fields = orjson.loads(packet[2:-1])
    assert name == "server-talking"
    assert fields == {
        "text": "two\nlines \x1e",
        "user": "Ann",
        "color": "#123456",
        "seq": 7,
        "from": "u",
        "to": None,
        "at": 8,
    }


def test_a_refusal_says_what_its_kind_adds() -> None:
    error = packets.refusal(RateLimited("Too fast.", 2.0))
    assert error["code"] == "rate_limited" and error["retryAfter"] == 2
