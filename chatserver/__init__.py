"""A friends' chat server: four transports that read one mailbox per user, and classic pages.

The package is a house of floors, and each folder is one: it imports its own floor and those before it
(`docs/architecture.md`). `core` is pure; `journal` and `store` keep things; `verbs` is what people do; `delivery`,
`http`, `transports` and `site` speak to clients; `command` puts it together.
"""

__version__ = "0.1.0"
