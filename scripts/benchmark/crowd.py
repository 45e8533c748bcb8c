"""Who is connected and who hears whom, said once for every server.

This project's server knows users and friendships; the peers know rooms. A crowd is both: where it
is made of separate circles, a circle is a room.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Crowd:
    """`users` people; `rooms[i]` is where user `i` listens; `friendships` are pairs of users."""

    name: str
    users: int
    rooms: tuple[int, ...]
    friendships: tuple[tuple[int, int], ...]


def star(friends: int) -> Crowd:
    """User 0 with `friends` friends, who do not know each other."""
    return Crowd(
        f"star-{friends}",
        friends + 1,
        (0,) * (friends + 1),
        tuple((0, i) for i in range(1, friends + 1)),
    )


def circles(count: int, size: int) -> Crowd:
    """`count` circles of `size` people, all friends of each other."""
    return Crowd(
        f"circles-{count}x{size}",
        count * size,
        tuple(i // size for i in range(count * size)),
        tuple(
            (c * size + i, c * size + j)
            for c in range(count)
            for i in range(size)
            for j in range(i)
        ),
    )


def town(users: int, friends: int) -> Crowd:
    """`users` people of about `friends` friends each, at random but the same every time."""
    return Crowd(
        f"town-{users}x{friends}", users, (0,) * users, tuple(sorted(_town_pairs(users, friends)))
    )


def _town_pairs(users: int, friends: int) -> set[tuple[int, int]]:
    random = Random(users * 1000 + friends)
    pairs: set[tuple[int, int]] = set()
    while len(pairs) < users * friends // 2:
        one, other = random.randrange(users), random.randrange(users)
        if one != other:
            pairs.add((min(one, other), max(one, other)))
    return pairs


def strangers(users: int) -> Crowd:
    """`users` people without friends."""
    return Crowd(f"strangers-{users}", users, (0,) * users, ())


def friends_of(crowd: Crowd) -> dict[int, set[int]]:
    """Each user's friends."""
    friends: dict[int, set[int]] = {user: set() for user in range(crowd.users)}
    for one, other in crowd.friendships:
        friends[one].add(other)
        friends[other].add(one)
    return friends


def pairs_both_ways(crowd: Crowd) -> Iterator[tuple[int, int]]:
    """Each friendship from both of its sides."""
    for one, other in crowd.friendships:
        yield one, other
        yield other, one
