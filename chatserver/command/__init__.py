"""The command `chatserver`: settings, building, and one file a command."""
