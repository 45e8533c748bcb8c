"""Faults under hopping traffic, one at a time, and what became of every message."""
