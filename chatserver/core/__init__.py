"""Floor 0: pure rules. No asyncio, no sockets, no files, no clock and no randomness: those are arguments."""
