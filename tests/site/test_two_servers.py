"""Two servers on one host: a browser keeps the cookies of a host, whatever the port, so neither may take the other's."""

from __future__ import annotations

import uuid

import httpx
import pytest

from chatserver.verbs.cookies import all_session_cookies, port_of
from tests.conftest import FAST
from tests.support.process import ServerProcess


def register(http: httpx.Client, url: str, name: str) -> str:
    fields = {"firstName": name, "lastName": "", "email": f"{uuid.uuid4().hex}@example.com"}
    answer = http.post(f"{url}/api/register", json={**fields, "password": "password-of-tests"})
    assert answer.status_code == 201, answer.text
    return str(fields["email"])


def who(http: httpx.Client, url: str) -> str:
    """Who is signed in there: by the API, by the classic pages, and by a poll."""
    answer = http.get(f"{url}/api/me")
    poll, classic = http.get(f"{url}/poll?wait=0"), http.get(f"{url}/classic")
    if answer.status_code == 401:
        assert poll.status_code == 401
        return ""
    name = str(answer.json()["user"]["firstName"])
    assert poll.status_code == 200 and name in classic.text
    return name


def test_two_servers_on_one_host_do_not_sign_each_other_out(
    server: ServerProcess, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with ServerProcess(tmp_path_factory.mktemp("other"), *FAST) as other, httpx.Client() as http:
        register(http, server.url, "Ann")
        email = register(http, other.url, "Bob")
        assert (who(http, server.url), who(http, other.url)) == ("Ann", "Bob")
        for url, left in ((other.url, ("Ann", "")), (server.url, ("", "Bob"))):
            assert http.post(f"{url}/api/logout", json={}).status_code == 204
            assert (who(http, server.url), who(http, other.url)) == left
            credentials = {"email": email, "password": "password-of-tests"}
            if url == other.url:
                assert http.post(f"{url}/api/login", json=credentials).status_code == 200
                assert who(http, url) == "Bob"
        register(http, server.url, "Cho")
        assert (who(http, server.url), who(http, other.url)) == ("Cho", "Bob")


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("chat.example:8888", "8888"),
        ("chat.example", ""),
        ("[::1]:8888", "8888"),
        ("[::1]", ""),
        ("", ""),
        ("8888", ""),
        ("chat.example:", ""),
        ("chat.example:888888", ""),
        ("chat.example:٣", ""),
        ("chat.example:8;a=b", ""),
    ],
)
def test_the_port_is_the_one_that_the_browser_sees(host: str, port: str) -> None:
    assert port_of(host) == port


def test_cookies_of_servers_of_this_kind_are_told_from_others() -> None:
    header = "chatserver=a; chatserver-8888=b; __Host-chatserver=c; __Host-chatserver-8443=d; chatserver_form=e; chatserver-x=f; x=g"
    assert [value for _, value in all_session_cookies(header)] == ["a", "b", "c", "d"]
    assert list(all_session_cookies(None)) == []
