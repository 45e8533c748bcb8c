"""Floor 1: where users, friendships, logins and the history are kept. `base` is the contract."""
