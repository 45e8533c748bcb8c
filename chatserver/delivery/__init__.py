"""From the order to this process's readers."""
