"""Who a request signs in, by the text of its headers."""

from __future__ import annotations

from chatserver.core.people import Login
from chatserver.verbs.sessions import Sessions


def known(
    sessions: Sessions, cookies: str | None, authorization: str | None, secure: bool = False
) -> Login | None:
    """The login, where `sessions` has it in memory."""
    return sessions.known(sessions.brought(cookies, authorization, secure))


async def resolve(
    sessions: Sessions,
    cookies: str | None,
    authorization: str | None,
    secure: bool = False,
    port: str = "",
) -> Login:
    """The login. Raises `Unauthenticated`."""
    return await sessions.resolve(sessions.brought(cookies, authorization, secure, port))
