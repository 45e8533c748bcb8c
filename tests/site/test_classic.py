"""The classic pages: everything by forms, nothing twice, nothing for another site to send."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from tests.site.conftest import PASSWORD, Browser
from tests.support.process import ServerProcess


class Forms(HTMLParser):
    """The forms of a page: where they go, and what stands in their fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append((values["action"], {}))
        elif tag in ("input", "textarea"):
            self.found[-1][1][values["name"]] = values.get("value", "")


class TextBrowser:
    """A browser that follows what a form answers, as w3m does."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(base_url=url, timeout=30, follow_redirects=True)
        self.page = self.http.get("/classic")

    def form(self, address: str, /, **also: str) -> dict[str, str]:
        for where, values in Forms(self.page.text).found:
            if where == address and also.items() <= values.items():
                return dict(values)
        raise AssertionError(f"no form to {address} with {also} in\n{self.page.text}")

    def submit(self, address: str, /, **values: str) -> httpx.Response:
        """Fill in the form on the page that is shown, and send it."""
        known = {n: v for n, v in values.items() if n in ("id", "action")}
        self.page = self.http.post(address, data=self.form(address, **known) | values)
        return self.page

    def open(self, path: str) -> httpx.Response:
        self.page = self.http.get(path)
        return self.page

    def sign_in(self, email: str, password: str = PASSWORD) -> None:
        self.open("/classic/login")
        self.submit("/classic/login", email=email, password=password)
        assert "Sign out" in self.page.text


@pytest.fixture
def classic(server: ServerProcess) -> Iterator[Callable[[], TextBrowser]]:
    made: list[TextBrowser] = []

    def make() -> TextBrowser:
        made.append(TextBrowser(server.url))
        return made[-1]

    yield make
    for one in made:
        one.http.close()


Make = Callable[..., Browser]
MakeClassic = Callable[[], TextBrowser]


def test_register_write_sign_out_and_in_by_forms_alone(classic: MakeClassic) -> None:
    one = classic()
    assert "Sign in" in one.page.text
    one.open("/classic/register")
    email = f"classic-{id(one)}@example.com"
    one.submit("/classic/register", firstName="Clara", lastName="", email=email, password=PASSWORD)
    assert "Sign out <bdi>Clara</bdi>" in one.page.text
    one.submit("/classic/messages", text="Hello from <w3m> & friends")
    assert "Hello from &lt;w3m&gt; &amp; friends" in one.page.text
    one.submit("/classic/logout")
    assert "Sign in" in one.page.text and "Hello from" not in one.page.text
    one.sign_in(email)
    assert "Hello from" in one.page.text


def test_an_account_is_deleted_by_a_form_with_its_password(
    classic: MakeClassic, browser: Make
) -> None:
    ann, bob = browser("Ann"), browser("Bob")
    ann.befriend(bob)
    one = classic()
    one.sign_in(ann.email)
    one.submit("/classic/messages", text="soon gone")
    assert "soon gone" in bob.http.get("/api/messages").text
    one.open("/classic/settings")
    assert one.submit("/classic/leave", password="not this one").status_code == 403
    assert "The password is wrong" in one.page.text and "Delete my account" in one.page.text
    one.submit("/classic/leave", password=PASSWORD)
    assert "Sign in" in one.page.text and "Sign out" not in one.page.text
    assert "soon gone" not in bob.http.get("/api/messages").text
    assert bob.http.get("/api/friends").json()["friends"] == []
    answer = ann.http.post("/api/login", json={"email": ann.email, "password": PASSWORD})
    assert answer.status_code == 401


def test_a_form_answers_303_to_an_address_that_names_the_message(
    classic: MakeClassic, browser: Make
) -> None:
    ann = browser()
    one = classic()
    one.sign_in(ann.email)
    one.submit("/classic/messages", text="hi")
    (answer,) = one.page.history
    assert answer.status_code == 303
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    (message,) = ann.http.get("/api/messages").json()["messages"]
    assert query == {"m": [str(message["seq"])]}
    # And to its place there: a page is shown from its top, and what is newest stands at its end.
    assert answer.headers["location"].endswith("#newest")
    assert re.findall(r'<li id="newest">.*', one.page.text)[0].count("hi") >= 1
    assert one.page.text.count('id="newest"') == 1


def test_sending_a_form_again_writes_once_and_goes_to_another_address(
    classic: MakeClassic, browser: Make
) -> None:
    ann = browser()
    one = classic()
    one.sign_in(ann.email)
    form = one.form("/classic/messages") | {"text": "only once"}
    first, again = (one.http.post("/classic/messages", data=form) for _ in range(2))
    assert first.status_code == again.status_code == 200
    assert first.url != again.url
    assert [m["text"] for m in ann.http.get("/api/messages").json()["messages"]] == ["only once"]
    assert one.form("/classic/messages")["clientId"] == form["clientId"]
    one.open("/classic")
    assert one.form("/classic/messages")["clientId"] != form["clientId"]


def test_a_message_that_is_refused_stands_in_the_form_again(
    classic: MakeClassic, browser: Make
) -> None:
    one = classic()
    one.sign_in(browser().email)
    message_id = one.form("/classic/messages")["clientId"]
    page = one.submit("/classic/messages", text="<b>" + "x" * 4000)
    assert page.status_code == 422
    assert "at most 4000 characters" in page.text and "&lt;b&gt;xxxx" in page.text
    assert one.form("/classic/messages")["clientId"] == message_id


def test_friends_are_found_asked_answered_and_written_to(
    classic: MakeClassic, browser: Make
) -> None:
    ann, bob = browser("Ann"), browser("Bob")
    one, other = classic(), classic()
    one.sign_in(ann.email)
    other.sign_in(bob.email)
    # Whoever has no friends is told that they write for nobody, and where to find some.
    nobody = 'nobody would read this. <a href="/classic/friends">Find some</a>.'
    assert nobody in other.page.text
    one.open(f"/classic/friends?q={bob.email}")
    one.submit("/classic/friends", id=bob.id, action="ask")
    assert "You have asked" in one.page.text
    other.open("/classic/friends")
    other.submit("/classic/friends", id=ann.id, action="accept")
    assert ann.relation_to(bob) == "friend"
    one.open(f"/classic?with={bob.id}")
    assert f"You and <bdi>{bob.user['name']}</bdi>" in one.page.text
    assert nobody not in one.page.text
    one.submit("/classic/messages", text="just for you")
    assert f"with={bob.id}" in str(one.page.url) and "just for you" in one.page.text
    other.open("/classic")
    assert nobody not in other.page.text
    assert "(1 new)" in other.page.text and "just for you" not in other.page.text
    assert "just for you" in other.open(f"/classic?with={ann.id}").text
    assert "(1 new)" not in other.open("/classic").text
    other.open("/classic/friends")
    other.open(f"/classic/end?{urlencode(other.form('/classic/end', id=ann.id, action='block'))}")
    assert "cannot be undone" in other.page.text
    other.submit("/classic/friends", id=ann.id, action="block")
    assert "Unblock" in other.page.text and ann.relation_to(bob) == "hidden"


def test_older_messages_are_a_page_away(classic: MakeClassic, browser: Make) -> None:
    ann = browser()
    for number in range(25):
        ann.http.post("/api/messages", json={"text": f"number {number}."})
    one = classic()
    one.sign_in(ann.email)
    assert "number 24." in one.page.text and "number 4." not in one.page.text
    older = re.search(r'href="(/classic\?before=\d+)"', one.page.text)
    assert older is not None
    one.open(older.group(1))
    assert "number 4." in one.page.text and "number 24." not in one.page.text
    assert "Older messages" not in one.page.text


def test_refreshing_is_an_option_and_bounded(classic: MakeClassic, browser: Make) -> None:
    one = classic()
    one.sign_in(browser().email)
    assert 'http-equiv="refresh"' not in one.page.text
    for asked, given in ((10, 10), (1, 5), (99_999, 600)):
        page = one.open(f"/classic?refresh={asked}")
        assert f'http-equiv="refresh" content="{given}"' in page.text
        assert page.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("field", ["missing", "made up", "of another", "signed out"])
def test_a_form_with_a_foreign_secret_is_refused(
    classic: MakeClassic, browser: Make, field: str
) -> None:
    ann = browser()
    one, other = classic(), classic()
    one.open("/classic/login")
    signed_out = one.form("/classic/login")["_xsrf"]
    one.sign_in(ann.email)
    other.sign_in(browser().email)
    form = one.form("/classic/messages") | {"text": "forged"}
    form["_xsrf"] = {
        "missing": "",
        "made up": form["_xsrf"][:-3] + "AAA",
        "of another": other.form("/classic/messages")["_xsrf"],
        "signed out": signed_out,
    }[field]
    answer = one.http.post("/classic/messages", data=form)
    assert answer.status_code == 403
    assert ann.http.get("/api/messages").json()["messages"] == []


def test_signing_in_needs_the_form_of_this_very_browser(
    classic: MakeClassic, browser: Make
) -> None:
    """Else another site could sign somebody in to the attacker's account."""
    ann = browser()
    one, other = classic(), classic()
    one.open("/classic/login")
    other.open("/classic/login")
    form = other.form("/classic/login") | {"email": ann.email, "password": PASSWORD}
    assert one.http.post("/classic/login", data=form).status_code == 403
    assert other.http.post("/classic/login", data=form).status_code == 200


@pytest.mark.parametrize("path", ["/classic/login", "/classic/register"])
@pytest.mark.parametrize(
    ("language", "words"), [("en", "allow cookies for this site"), ("zh-CN", "允许本站使用 Cookie")]
)
def test_a_browser_that_keeps_no_cookies_is_told_so(
    classic: MakeClassic, path: str, language: str, words: str
) -> None:
    one = classic()
    one.open(path)
    form = one.form(path) | {"email": "a@example.com", "password": PASSWORD}
    one.http.cookies.clear()
    answer = one.http.post(path, data=form, headers={"Accept-Language": language})
    assert answer.status_code == 403 and words in answer.text


def test_a_wrong_password_is_told_on_the_form(classic: MakeClassic, browser: Make) -> None:
    one = classic()
    email = browser().email
    one.open("/classic/login")
    page = one.submit("/classic/login", email=email, password="not this one")
    assert page.status_code == 401 and "password is wrong" in page.text
    assert one.form("/classic/login")["email"] == email


def test_signed_out_is_asked_to_sign_in_everywhere(classic: MakeClassic) -> None:
    one = classic()
    for path in ("/classic", "/classic/friends"):
        assert 'action="/classic/login"' in one.open(path).text
    assert one.http.post("/classic/messages", data={"text": "x"}).status_code == 401
    assert one.http.post("/classic/messages", content=b"\xff").status_code == 401


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"\xff=1", 400), (b"text=%ff", 400), (b"&".join([b"a=1"] * 100), 400), (b"x" * 70_000, 413)],
)
def test_a_form_that_makes_no_sense_is_refused(
    classic: MakeClassic, browser: Make, content: bytes, status: int
) -> None:
    one = classic()
    one.sign_in(browser().email)
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = one.http.post("/classic/messages", content=content, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")


def test_w3m_shows_the_page(classic: MakeClassic, browser: Make, tmp_path: Path) -> None:
    w3m = shutil.which("w3m")
    if w3m is None:
        pytest.fail("this test needs w3m (scripts/system-packages names it)")
    ann = browser("Ann")
    ann.http.post("/api/messages", json={"text": "line one\nline two"})
    one = classic()
    one.sign_in(ann.email)
    page = tmp_path / "page.html"
    page.write_text(one.page.text)
    command = [w3m, "-dump", "-cols", "100", "-T", "text/html", str(page)]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout
    assert f"{ann.user['name']}: line one\n" in shown and "line two" in shown
    assert "Write to all friends" in shown and "Send" in shown


def test_a_link_on_a_foreign_page_leads_here_but_its_form_does_nothing(
    browser: Callable[..., Browser],
) -> None:
    one = browser()
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert one.http.get("/classic", headers=foreign).status_code == 200
    foreign["Origin"] = "http://elsewhere.example"
    form = {"text": "not from me"}
    assert one.http.post("/classic/messages", data=form, headers=foreign).status_code == 403
    assert one.events() == []


def test_a_foreign_page_writes_nothing_even_with_the_secret_of_the_form(
    classic: MakeClassic, browser: Make
) -> None:
    ann = browser()
    one = classic()
    one.open("/classic/login")
    one.submit("/classic/login", email=ann.email, password=PASSWORD)
    form = one.form("/classic/messages") | {"text": "not from me"}
    foreign = {"Origin": "http://elsewhere.example", "Sec-Fetch-Site": "cross-site"}
    assert one.http.post("/classic/messages", data=form, headers=foreign).status_code == 403
    assert ann.http.get("/api/messages").json()["messages"] == []
    assert one.http.post("/classic/messages", data=form).status_code == 200


def test_the_end_of_a_friendship_asks_says_what_is_lost_and_can_be_undone(
    classic: MakeClassic, browser: Make
) -> None:
    ann, bob = browser("Ann"), browser("Bob")
    ann.befriend(bob)
    bob.http.post("/api/messages", json={"text": "before", "to": ann.id})
    one = classic()
    one.sign_in(ann.email)
    one.open("/classic/friends")
    one.open(f"/classic/end?{urlencode(one.form('/classic/end', id=bob.id))}")
    assert f"You will not see any more what <bdi>{bob.user['name']}</bdi> wrote" in one.page.text
    one.submit("/classic/friends", id=bob.id, action="part")
    assert "seconds." in one.page.text and ann.relation_to(bob) == "friend"
    one.submit("/classic/friends", id=bob.id, action="stay")
    assert "seconds." not in one.page.text
    assert "before" in one.open(f"/classic?with={bob.id}").text
    # What has ended is not asked for again by a button that was left on a page.
    one.open("/classic/friends")
    one.open(f"/classic/end?{urlencode(one.form('/classic/end', id=bob.id))}")
    one.submit("/classic/friends", id=bob.id, action="part")
    ann.http.delete(f"/api/friends/{bob.id}")
    late = one.submit("/classic/friends", id=bob.id, action="stay")
    assert late.status_code == 409 and "too late" in late.text
    assert ann.relation_to(bob) == "none"
    assert one.open(f"/classic/end?id={bob.id}").status_code == 404


@pytest.mark.parametrize("page", ["/classic/end", "/classic/friends"])
def test_a_refusal_reads_nothing_that_is_wrong_with_the_request(
    http: httpx.Client, page: str
) -> None:
    """It used to fail in the middle, with a trace in the log and an empty page."""
    answer = http.get(f"{page}?client=%ff&with=%ff")
    assert "<html" in answer.text and 'name="password"' in answer.text, answer.status_code
