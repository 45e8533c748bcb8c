"""Faults in what every answer shares: admission, origins, problems, requests."""

from __future__ import annotations

from scripts.mutation.fault import Fault

POLL_CONNECTION = "chatserver/transports/pollconnection.py"
ADMISSION = "chatserver/http/admission.py"

T_ADMISSION = "tests/http/test_admission.py"
T_BAD = "tests/site/test_bad_requests.py"

FAULTS = (
    Fault(
        "the origin is not looked at by the API",
        "chatserver/http/handlers.py",
        "self.house.admission.ask(headers, sets_cookie=self.sets_cookie)",
        "self.house.admission.ask(headers, navigates=True)",
        (f"{T_BAD}::test_a_foreign_page_is_refused_wherever_a_cookie_counts_or_is_set",),
    ),
    Fault(
        "the origin is not looked at by the classic forms",
        "chatserver/site/classic.py",
        "navigates=shows)",
        "navigates=True)",
        (
            "tests/site/test_classic.py::test_a_foreign_page_writes_nothing_even_with_the_secret_of_the_form",
        ),
    ),
    Fault(
        "X-Chat-User is ignored",
        ADMISSION,
        'headers.get("X-Chat-User") or query.get("user")',
        'query.get("user")',
        (f"{T_ADMISSION}::test_a_page_of_another_account_does_nothing",),
    ),
    Fault(
        "whose page it is is looked at only where the login is in memory",
        ADMISSION,
        "        check_whose(ask, login)\n        user = await",
        "        user = await",
        ("tests/http/test_entrance.py",),
    ),
    Fault(
        "a made-up token excuses a foreign page that signs somebody in",
        ADMISSION,
        '("Authorization" in headers and not sets_cookie)',
        '"Authorization" in headers',
        ("tests/http/test_entrance.py",),
    ),
    Fault(
        "requests are taken while the server sends everybody away",
        ADMISSION,
        "        self._readers.refuse_while_draining()\n",
        "",
        ("tests/http/test_entrance.py",),
    ),
    Fault(
        "every origin may read what the cookie counts for",
        "chatserver/http/cors.py",
        "return len(origins) == 1 and normal_origin(origins[0]) in self._origins",
        "return len(origins) == 1",
        ("tests/site/test_cors.py",),
    ),
    Fault(
        "a poll on the fast path says nothing to a named origin",
        POLL_CONNECTION,
        "lines = self._admission.cors.lines(self._headers)",
        'lines = ""',
        ("tests/site/test_cors.py",),
    ),
    Fault(
        "there is no Retry-After",
        "chatserver/http/problems.py",
        'headers["Retry-After"] = str(problem["retryAfter"])',
        'headers["Retry-After"] = ""',
        ("tests/http/test_problems.py",),
    ),
    Fault(
        "a form of another site may send JSON",
        "chatserver/http/requests.py",
        'if media_type != "application/json" and (body or _may_be_foreign(method, media_type, headers)):',
        'if media_type != "application/json" and not body and media_type in UNASKED:',
        (f"{T_BAD}::test_a_body_of_another_media_type_is_refused",),
    ),
)
