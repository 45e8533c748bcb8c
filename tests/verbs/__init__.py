"""Accounts, sessions and the rules for what people send."""
