"""The attacks on what nobody paid for, and on whose turn it is. Each returns what others felt, by name."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from scripts.attacks.target import Target
from scripts.benchmark import seed
from tests.support.probe import Probe

SECONDS = 10.0
CROWD = 50
VICTIM, EVE, OTHER = 1, 4000, 3000
Statuses = Counter[int]


class _Asking:
    """Somebody who asks over one connection."""

    def __init__(self, target: Target, user: int | None) -> None:
        self._client = http.client.HTTPConnection("127.0.0.1", target.port, timeout=60)
        self._headers = {"Content-Type": "application/json"}
        if user is not None:
            self._headers["Authorization"] = f"Bearer {target.token(user)}"

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        data = None if body is None else json.dumps(body)
        self._client.request(method, path, data, self._headers)
        answer = self._client.getresponse()
        return answer.status, answer.read()


def _loop(
    target: Target, user: int | None, deed: Callable[[_Asking, Statuses], None], many: int = 1
) -> Statuses:
    """`many` connections of a user do this for SECONDS; how often which status came."""
    found: Statuses = Counter()
    until_s = time.monotonic() + SECONDS

    def run() -> None:
        asking = _Asking(target, user)
        while time.monotonic() < until_s:
            deed(asking, found)

    threads = [threading.Thread(target=run) for _ in range(many)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def reads(target: Target) -> dict[str, object]:
    """Fifty connections of one user ask for what costs the most; another asks who they are."""
    figures: dict[str, object] = {}
    for path in ("/poll?after=0&wait=0", "/api/read", "/api/messages?limit=200", "/api/users?q=a"):

        def ask(asking: _Asking, found: Statuses, path: str = path) -> None:
            found[asking.ask("GET", path)[0]] += 1

        with Probe(target.port, "/api/me", target.token(OTHER)) as probe:
            found = _loop(target, EVE, ask, CROWD)
        kept = probe.kept
        figures[f"{path}, another's /api/me p50 / p99 / worst ms"] = (
            f"{kept.p50_ms} / {kept.p99_ms} / {kept.worst_ms}; {dict(found)}"
        )
    return figures


def nag(target: Target) -> dict[str, object]:
    """A stranger asks for friendship and withdraws, reads all of it, and changes the name, as fast as it goes."""
    path = f"/api/friends/{seed.user_id(VICTIM)}"
    victim = _Asking(target, VICTIM)
    cursor = json.loads(victim.ask("GET", "/poll?wait=0")[1])["cursor"]
    turn = iter(range(10**9))

    def ask_and_withdraw(asking: _Asking, found: Statuses) -> None:
        found[asking.ask("PUT", path)[0]] += 1
        found[asking.ask("DELETE", path)[0]] += 1

    def read(asking: _Asking, found: Statuses) -> None:
        found[asking.ask("POST", "/api/read", {"upTo": 2**53 - 1})[0]] += 1

    def rename(asking: _Asking, found: Statuses) -> None:
        found[asking.ask("PATCH", "/api/me", {"firstName": f"Eve{next(turn) % 2}"})[0]] += 1

    figures: dict[str, object] = {}
    for name, deed in (("ask", ask_and_withdraw), ("read", read), ("rename", rename)):
        before = target.data_bytes()
        found = _loop(target, EVE, deed)
        grown = round((target.data_bytes() - before) / SECONDS)
        figures[f"{name}: statuses; bytes a second of data"] = f"{dict(found)}; {grown}"
    answer = json.loads(victim.ask("GET", f"/poll?wait=0&after={cursor}")[1])
    kinds = Counter(str(event["type"]) for event in answer["events"])
    figures["what the victim got"] = dict(kinds)
    return figures


def register(target: Target) -> dict[str, object]:
    """Six hundred register at once from one address; then somebody signs in."""

    def one(number: int) -> int:
        fields = {"email": f"r{number}@example.net", "password": "x" * 9, "firstName": "R"}
        return _Asking(target, None).ask("POST", "/api/register", fields)[0]

    with ThreadPoolExecutor(600) as pool:
        crowd = [pool.submit(one, number) for number in range(600)]
        time.sleep(0.5)
        began_s = time.monotonic()
        given = {"email": seed.email(OTHER), "password": seed.PASSWORD}
        status, _ = _Asking(target, None).ask("POST", "/api/login", given)
        took_s = time.monotonic() - began_s
        found = Counter(each.result() for each in crowd)
    return {"a sign-in, status and seconds": f"{status} / {took_s:.2f}", "registered": dict(found)}
