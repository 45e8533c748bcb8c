"""What the tests share: a real server as a process, and clients for each transport."""
