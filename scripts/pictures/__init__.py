"""Pictures of the chat and the laboratory, light and dark, phone and desk, into docs/screenshots/.

`scripts/screenshots` is the way in. Starts a server of its own with the demo accounts, and a Chromium
from the system's packages.
"""
