"""Attacks on a server of its own, and what they cost the others."""
