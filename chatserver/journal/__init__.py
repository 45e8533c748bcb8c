"""The durable order of events, and signals beside it. `contract` is the contract."""
