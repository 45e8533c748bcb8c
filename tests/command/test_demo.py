"""The demo accounts, where the order that was just started with them is slow."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from chatserver.command import demo
from chatserver.core.errors import Conflict, Unavailable


class Slow:
    """A store, accounts and friendships that are cut off at every second question, after having done what was asked."""

    def __init__(self) -> None:
        self.users: dict[str, SimpleNamespace] = {}
        self.asked: set[tuple[str, str]] = set()
        self._turn = 0

    def _maybe(self) -> None:
        self._turn += 1
        if self._turn % 2:
            raise Unavailable("The server is cut off from the others.")

    async def account_by_email(self, email: str) -> Any:
        found = self.users.get(email)
        return None if found is None else SimpleNamespace(user=found)

    async def register(self, fields: dict[str, str], address: None) -> Any:
        if fields["email"] in self.users:
            raise Conflict("There is such an account.")
        user = self.users[fields["email"]] = SimpleNamespace(id=fields["email"])
        self._maybe()
        return user

    async def befriend(self, user_id: str, other_id: str) -> None:
        self.asked.add((user_id, other_id))
        self._maybe()


async def test_the_accounts_are_all_there_also_where_the_order_is_slow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(demo, "AGAIN_S", 0.0)
    slow: Any = Slow()
    await demo.add(slow, slow, slow)
    ann, bob, cho, dee = [demo.email(name) for name, _, _ in demo.PEOPLE]
    assert set(slow.users) == {ann, bob, cho, dee}
    assert slow.asked == {(ann, bob), (bob, ann), (ann, cho), (cho, ann), (dee, ann)}
