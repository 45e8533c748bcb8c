"""Trying the texts of `deploy/`."""
