"""Why an order cannot be followed as things stand."""


class OrderRefused(Exception):
    """The order cannot be used as it stands; the text is one sentence that says what to do."""
