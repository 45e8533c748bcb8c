"""The classic pages of friends: finding them, answering them, and ending a friendship, which asks and can be undone."""

from __future__ import annotations

from chatserver.core import fields as rules
from chatserver.core.errors import BadRequest, ChatError, NotFound
from chatserver.http.admission import Arrival
from chatserver.site.classic import HERE, PEOPLE_SHOWN, ClassicHandler, Page

ACTIONS = {
    "ask": "befriend",
    "accept": "befriend",
    "end": "unfriend",
    "part": "part",
    "stay": "stay",
    "block": "block",
    "unblock": "unblock",
}
"""What a button says, and the verb that it calls. `end` declines and withdraws; a friendship ends by `part`."""


class FriendsPage(ClassicHandler):
    """Friends, who has asked whom, a search, and the buttons for all that."""

    async def get(self) -> None:
        arrival = await self.signed_in()
        await self._show(arrival, self.argument("q") or "")

    async def post(self) -> None:
        arrival = await self.signed_in()
        form = self.form(arrival.login)
        verb = ACTIONS.get(form.get("action", ""))
        if verb is None:
            raise BadRequest("The form makes no sense.")
        other_id = rules.an_id(form.get("id"), "id")
        try:
            await getattr(self.house.friendships, verb)(arrival.user.id, other_id)
        except ChatError as error:
            await self._show(arrival, "", error.status, self.said(error))
            return
        self.set_status(303)
        self.set_header("Location", f"{HERE}/friends?m={self.now()}")
        self.finish()

    async def _show(
        self, arrival: Arrival, query: str, status: int = 200, error: str | None = None
    ) -> None:
        verbs = self.house.friendships
        found = await verbs.find_people(arrival.user.id, rules.query(query), PEOPLE_SHOWN)
        state = await verbs.requests(arrival.user.id)
        self.page(
            "friends.html",
            arrival.login,
            status,
            user=arrival.user,
            error=error,
            query=query,
            found=found,
            incoming_count=state["incomingCount"],
            incoming_shown=len(state["incoming"]),
            ending=await verbs.ending(arrival.user.id),
            **self.part("blocked", await verbs.blocks(arrival.user.id)),
            **await self.some_friends(arrival.user.id),
            **self.part("incoming", state["incoming"]),
            **self.part("outgoing", state["outgoing"]),
        )


class EndPage(ClassicHandler):
    """Asks before a friendship ends, or before a block ends it, and says what is lost."""

    async def get(self) -> None:
        arrival = await self.signed_in()
        other_id = rules.an_id(self.argument("id"), "id")
        blocks = self.argument("action") == "block"
        friend = await self.house.friendships.friend(arrival.user.id, other_id)
        if friend is None:
            raise NotFound("This person is not among your friends.")
        self.page("end.html", arrival.login, user=arrival.user, friend=friend, blocks=blocks)


PAGES: tuple[Page, ...] = ((f"{HERE}/friends", FriendsPage), (f"{HERE}/end", EndPage))
