"""What a command raises that cannot do what it was asked for."""


class Refused(Exception):
    """The text is one sentence for the person who asked."""
