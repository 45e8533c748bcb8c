"""Which cookies a browser is left with: the one that signs it in, and those of another server on the same host."""

from __future__ import annotations

from pathlib import Path

import pytest

from chatserver.core.errors import NotFound, Unauthenticated
from chatserver.verbs.cookies import port_of
from chatserver.verbs.keys import KeyRing
from chatserver.verbs.sessions import Sessions
from tests.support.logins import resolve
from tests.verbs.test_sessions import NOW_MS, World, header, opened


def foreign(world: World) -> Sessions:
    """Of another server on this host."""
    ring = KeyRing.load(world.folder / "other", 0)
    return Sessions(world.store, world.journal, ring, lambda: NOW_MS, 50)


async def test_who_signs_in_over_another_login_ends_that_and_no_other(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        sessions = world.sessions()
        before, elsewhere, now = [await sessions.begin(who, 0, "") for who in ("ann", "ann", "bob")]
        cookies = "; ".join(
            [
                header(foreign(world).cookie(elsewhere, secure=False)),
                header(sessions.cookie(before, secure=False)),
                header(sessions.cookie(now, secure=True)),
            ]
        )
        await sessions.end_replaced(cookies, now)
        assert [sessions.is_current(one) for one in (before, elsewhere, now)] == [
            *(False, True, True)
        ]
        await sessions.end_replaced(None, now)
        assert sessions.is_current(now)


async def test_a_browser_has_been_theirs_whose_cookie_it_has_though_it_has_ended(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as world:
        sessions = world.sessions()
        ann, bob = [await sessions.begin(who, 0, "") for who in ("ann", "bob")]
        cookies = (
            f"x=1; {header(sessions.cookie(bob, False))}; {header(sessions.cookie(ann, True))}"
        )
        await sessions.end(ann)
        assert sessions.earlier(cookies, "ann") == ann.id
        assert sessions.earlier(cookies, "bob") == bob.id
        assert sessions.earlier(cookies, "cho") is sessions.earlier(None, "ann") is None
        assert sessions.earlier(header(foreign(world).cookie(ann, False)), "ann") is None


async def test_signing_out_leaves_the_cookie_of_another_server_on_this_host(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        sessions = world.sessions()
        ann = await sessions.begin("ann", 0, "")
        theirs = header(foreign(world).cookie(ann, secure=False))
        assert theirs.startswith("chatserver=")
        name = "chatserver-8888"
        ours = header(sessions.cookie(ann, secure=False, name=name))
        assert ours.startswith(f"{name}=")
        taken = sessions.away(f"{theirs}; {ours}", "localhost:8888", abroad=False)
        assert {each.partition("=")[0] for each in taken} == {"__Host-chatserver", name}
        # Where there is no other, both names go; what nobody has set is nobody's.
        for cookies in (header(sessions.cookie(ann, secure=False)), "chatserver=planted", None):
            taken = sessions.away(cookies, "localhost:8888", abroad=True)
            assert {each.partition("=")[0] for each in taken} == {"__Host-chatserver", "chatserver"}
            assert all("; Partitioned" in each and "; Max-Age=0" in each for each in taken)


async def test_a_cookie_beside_that_of_another_server_is_renewed_under_its_own_name(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as world:
        sessions = world.sessions()
        ann = await sessions.begin("ann", 0, "")
        theirs = header(foreign(world).cookie(ann, secure=False))
        ours = header(sessions.cookie(ann, secure=False, name="chatserver-8888"))
        login = await resolve(sessions, f"{theirs}; {ours}", None, port="8888")
        with pytest.raises(Unauthenticated):
            await resolve(sessions, f"{theirs}; {ours}", None, port="9999")
        world.now_ms += 2 * 86_400_000
        renewed = sessions.renewed_cookie(f"{theirs}; {ours}", login, False, port="8888")
        assert renewed is not None and renewed.startswith("chatserver-8888=")
        plain = header(sessions.cookie(ann, secure=False))
        assert await resolve(sessions, plain, None, port="8888")
        world.now_ms += 2 * 86_400_000
        renewed = sessions.renewed_cookie(plain, login, False, port="8888")
        assert renewed is not None and renewed.startswith("chatserver=")


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("localhost:8888", "8888"),
        ("[::1]:80", "80"),
        ("localhost", ""),
        ("8888", ""),
        ("localhost:", ""),
        ("localhost:123456", ""),
        ("localhost:\u0661", ""),
    ],
)
def test_the_port_is_the_one_of_the_host_that_was_asked_for(host: str, port: str) -> None:
    assert port_of(host) == port


async def test_the_others_are_signed_out_and_who_asks_is_not(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        sessions = world.sessions()
        asks, *others = [await sessions.begin("ann", 0, "") for _ in range(3)]
        stranger = await sessions.begin("bob", 0, "")
        token, _ = await sessions.issue_token(asks, "script", None)
        await sessions.end_others(asks)
        assert [one.id for one in await sessions.listed("ann", "cookie")] == [asks.id]
        assert not any(map(sessions.is_current, others))
        assert sessions.is_current(stranger) and sessions.is_current(token)
        await sessions.end_one("ann", "cookie", asks.id)
        assert not sessions.is_current(asks)
        with pytest.raises(NotFound, match="session"):
            await sessions.end_one("ann", "cookie", asks.id)
