"""Pure rules and shapes: the standard library and `orjson`. No clock, I/O or randomness: those are arguments."""
