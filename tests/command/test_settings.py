"""One table of settings: options, environment, defaults and the document agree."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

import pytest

from chatserver.command.refusal import SettingsError
from chatserver.command.settings import (
    SETTINGS,
    Settings,
    add_options,
    from_options,
    markdown,
)
from chatserver.core.limits import Limits
from chatserver.store.sqlite.database import READERS

DOCUMENT = Path(__file__).parent.parent.parent / "docs" / "settings.md"


def parse(*arguments: str, **environment: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_options(parser)
    return from_options(vars(parser.parse_args(arguments)), environment)


def test_without_any_word_the_defaults_count() -> None:
    assert parse() == Settings()
    assert parse().limits == Limits()


def test_every_limit_is_a_setting() -> None:
    assert {field.name for field in fields(Limits)} <= {row.name for row in SETTINGS}


def test_an_option_wins_over_the_environment_and_that_over_the_default() -> None:
    environment = {"CHATSERVER_PORT": "1", "CHATSERVER_TEXT_CHARS": "10", "CHATSERVER_DEMO": "1"}
    settings = parse("--port", "2", **environment)
    assert (settings.port, settings.limits.text_chars, settings.demo) == (2, 10, True)


def test_what_may_be_given_more_than_once_is_comma_separated_in_the_environment() -> None:
    expected = ("http://a.example:80", "https://b.example:443")
    assert parse("--origin", "http://a.example", "--origin", "https://B.example").origin == expected
    environment = {"CHATSERVER_ORIGIN": "http://a.example, https://b.example"}
    assert parse(**environment).origin == expected


@pytest.mark.parametrize(
    ("flag", "bad"),
    [
        ("--port", "65536"),
        ("--port", "-1"),
        ("--port", "http"),
        ("--origin", "example.com"),
        ("--log-level", "loud"),
        ("--trusted-proxy", "proxy"),
        ("--metrics-token", "short"),
        ("--text-chars", "0"),
        ("--text-chars", "1.5"),
        ("--send-rate", "nan"),
        ("--send-rate", "inf"),
        ("--send-rate", "nan"),
        ("--send-rate", "1e999"),
        ("--send-rate", "1_0"),
        ("--send-rate", "٢"),
        ("--send-rate", "²"),
        ("--send-rate", "9" * 5000),
        ("--heartbeat-s", "0"),
        ("--heartbeat-s", "soon"),
        ("--poll-wait-s", "56"),
        ("--data", "mongodb://127.0.0.1:27017/chatserver"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_by_the_name_of_its_setting(
    flag: str, bad: str
) -> None:
    with pytest.raises(SettingsError, match=flag):
        parse(f"{flag}={bad}")
    if flag != "--poll-wait-s":
        variable = "CHATSERVER_" + flag[2:].replace("-", "_").upper()
        with pytest.raises(SettingsError, match=variable):
            parse(**{variable: bad})


def test_of_several_values_the_wrong_one_is_named_and_no_password_is() -> None:
    with pytest.raises(SettingsError) as refused:
        parse("--origin", "https://a.example", "--origin", "b.example")
    assert "'b.example'" in str(refused.value) and "a.example" not in str(refused.value)
    for flag in ("--data", "--nats"):
        with pytest.raises(SettingsError, match=flag) as refused:
            parse(flag, "http://ann:pass/word@127.0.0.1:1/x")
        assert "word" not in str(refused.value)


def test_a_misspelt_variable_is_not_passed_over() -> None:
    with pytest.raises(SettingsError, match="CHATSERVER_PROT"):
        parse(CHATSERVER_PROT="1")


def test_the_document_shows_the_table() -> None:
    """To mend it: python -c 'from chatserver.command.settings import markdown; print(markdown())'."""
    assert markdown() in DOCUMENT.read_text("utf-8")


@pytest.mark.parametrize("where", ["0.0.0.0", "::", "192.0.2.1", "chat.example.com"])
def test_demo_accounts_are_for_loopback_only(where: str) -> None:
    with pytest.raises(SettingsError, match="--demo"):
        parse("--demo", f"--address={where}")
    for loopback in ("127.0.0.1", "::1", "localhost"):
        assert parse("--demo", f"--address={loopback}").demo


@pytest.mark.parametrize("where", ["0.0.0.0", "192.168.1.5", "::", "chat.example.com"])
def test_the_meter_is_off_on_loopback_only(where: str) -> None:
    with pytest.raises(SettingsError, match="loopback"):
        parse("--meter=off", f"--address={where}")
    for loopback in ("127.0.0.1", "::1", "localhost"):
        assert not parse("--meter=off", f"--address={loopback}").limits.meter
    assert parse(f"--address={where}").limits.meter


def test_a_sign_in_never_waits_for_a_thread_behind_costly_reads() -> None:
    assert Limits().reads_at_once < READERS
    assert Limits().reads_per_user < Limits().reads_at_once
    assert Limits().register_burst <= Limits().hashing_per_address
