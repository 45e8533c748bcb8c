"""Where people, friendships, logins and the history are kept. `contract` is the contract."""
