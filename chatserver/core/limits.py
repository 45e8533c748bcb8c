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
    """A minute."""
    sign_in_failures_per_address: int = 20
    """A minute."""
    register_rate: float = 1.0
    """Registrations a second and address, sustained."""
    register_burst: int = 1000
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
    """Before sign-in, of an IPv4 address or an IPv6 /64. A large office behind one address passes through it, since
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
    """For the body of a request."""
    turn_frames: int = 32
    """Frames of one WebSocket that are carried out in one turn of the loop."""
    frame_rate: float = 100.0
    """Frames a second and user, sustained; 4 KiB count as one more. Never less than twice `send_rate`."""
    frame_burst: int = 400
    refusals: int = 300
    """Frames over the rate, beyond one a second, after which a WebSocket is closed with 4500."""
