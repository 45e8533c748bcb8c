"""The five transports compared: the same messages, how long each took to arrive on which.

`scripts/lab` is the way in. `comparison` writes and reads, `table` and `picture` show what was seen.
It starts a server and reads the transports by `tests.support`, as the tests do.
"""
