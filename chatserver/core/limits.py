"""How much of anything one client may have: the numbers, and the token bucket that enforces rates."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Every bound of the contract with its default. `chatserver.command.settings` makes each an option."""

    meter: bool = True
    """Off: no rate is limited. What bounds memory stays."""
    text_chars: int = 4000
    body_bytes: int = 64 * 1024
    """An HTTP body or a WebSocket message."""
    readers_per_user: int = 20
    """Streams and polling clients together; one more ends the oldest."""
    send_rate: float = 5.0
    """Messages a second and user, sustained."""
    send_burst: int = 20
    sign_in_failures_per_account: int = 5
    """A minute, from strangers. A browser that has signed in before, a login that asks for the password again, and an
    address that knew it before have as many of their own, so that no stranger can use theirs up."""
    sign_in_failures_per_address: int = 20
    """A minute."""
    sign_in_rate: float = 1.0
    """Sign-ins a second and address, right ones too: each costs 35 ms of a core."""
    sign_in_burst: int = 100
    """A school behind one address, at eight in the morning."""
    logins_per_minute: int = 10
    """Sign-ins to one account, and tokens that one user makes, sustained: each is a row and an end later."""
    logins_burst: int = 60
    sessions_per_user: int = 50
    """Browsers signed in at once; one more ends the oldest."""
    register_rate: float = 0.1
    """Registrations a second and address, sustained: each costs 35 ms of a core, and a row for good."""
    register_burst: int = 30
    """A class that registers together behind one address."""
    hashing_per_address: int = 32
    """Passwords of one address that may wait to be hashed; not less than a burst of registrations."""
    request_rate: float = 0.1
    """Friend requests a second to one person, sustained."""
    request_burst: int = 5
    requests_per_day: int = 60
    """Friend requests of one user to anybody: as many at once, and then as many a day."""
    relation_rate: float = 1.0
    """Acceptances, ends, declines, withdrawals and blocks a second and user, sustained."""
    relation_burst: int = 60
    profile_per_minute: int = 5
    """Changes of name, colour or password, sustained."""
    profile_burst: int = 10
    read_rate: float = 1.0
    """Read positions written a second and user; what comes in between is written as one."""
    read_burst: int = 1
    email_search_rate: float = 0.2
    """Searches for a whole email address a second and user, sustained: or they would tell who has an account."""
    email_search_burst: int = 20
    reads_at_once: int = 3
    """Costly reads (histories, searches, friends, unread counts, replays) at the same time, of all users. Fewer than
    SQLite has threads to read with, so that a sign-in never waits behind them."""
    reads_per_user: int = 2
    """Of them, at the same time, of one user."""
    reads_waiting: int = 100
    """Of them, of one user, that may wait; one more is refused."""
    mailbox_events: int = 1000
    mailbox_bytes: int = 1024 * 1024
    mailbox_linger_s: float = 120.0
    """How long a mailbox is kept after its last reader left."""
    replay_events: int = 2000
    friends: int = 5000
    page_events: int = 200
    """The largest page of history; also what one page of a replay holds."""
    offline_grace_s: float = 10.0
    """A page reload must not flicker."""
    heartbeat_s: float = 25.0
    """Under the 30 to 60 s after which home routers and proxies cut a quiet connection."""
    silence_s: float = 20.0
    """A WebSocket peer that says nothing for so long past a ping is gone."""
    poll_wait_s: float = 25.0
    poll_wait_max_s: float = 55.0
    """Under the 60 s of nginx and of most load balancers."""
    stuck_s: float = 30.0
    """A stream whose kernel buffer takes no byte for so long is closed as too slow."""
    connections: int = 100_000
    """In all; never more than the descriptors allow (`chatserver.command.descriptors`)."""
    connections_per_address: int = 500
    """Before sign-in, of an IPv4 address or an IPv6 /64; of all in a /48 four times as many (`core.addresses`). A large office behind one address passes through it, since
    whoever is signed in pays as a user."""
    connections_per_user: int = 100
    """After sign-in; one more is still its address's."""
    lobby: int = 10_000
    """Connections that have asked for something and wait until there is room; then accepting stops."""
    joins: int = 50
    """Readers that are being greeted, or whose mailbox is mended, at the same time. Enough to keep the store's
    threads busy; a turn of the loop in which all of them go on is still short."""
    head_s: float = 15.0
    """For the head of a connection's first request. Slow lines need about one; a browser that connects ahead of
    need connects again."""
    idle_s: float = 75.0
    """Between two requests; longer than a poll is held."""
    body_s: float = 30.0
    """For the body of a request; for the rest of a WebSocket's message or frame, from the first look at which it has no end."""
    turn_frames: int = 32
    """Frames of one WebSocket that are carried out in one turn of the loop."""
    frame_rate: float = 100.0
    """Frames a second and user, sustained; 4 KiB count as one more. Never less than twice `send_rate`."""
    frame_burst: int = 400
    http_rate: float = 200.0
    """HTTP requests a second and user, sustained; each is about 0.7 ms of a core, a poll a tenth of that."""
    http_burst: int = 600
    """A browser that opens the tabs of yesterday, all at once. Never less than twice `connections_per_user`."""
    http_rate_per_address: float = 300.0
    """As `http_rate`, of an address, for whoever is not signed in."""
    http_burst_per_address: int = 1000
    """A class that opens the page together behind one address."""
    refusals: int = 300
    """Frames over the rate, beyond one a second, after which a WebSocket is closed with 4500."""
