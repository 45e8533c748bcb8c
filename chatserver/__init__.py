"""A friends' chat server: five transports reading one mailbox per user.

The package is a house of floors: a module imports its own floor and those below it
(`docs/architecture.md`). `core` is pure; `store` and `journal` keep things; `sessions`, `service` and
`delivery` hold the rules; `transports` and the handlers speak to clients; `cli` puts it together.
"""

__version__ = "0.1.0"
