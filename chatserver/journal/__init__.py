"""Floor 1: the durable order of events. `base` is the contract."""
