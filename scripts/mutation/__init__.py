"""Planted faults: the tests are tested."""
