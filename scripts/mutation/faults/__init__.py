"""The table of faults, cut by floor."""

from __future__ import annotations

from scripts.mutation.fault import Fault
from scripts.mutation.faults import (
    core,
    delivery,
    http,
    journal,
    nodes,
    polls,
    strangers,
    streams,
    transports,
    unnoticed,
    verbs,
)

FAULTS: tuple[Fault, ...] = (
    *core.FAULTS,
    *journal.FAULTS,
    *delivery.FAULTS,
    *http.FAULTS,
    *transports.FAULTS,
    *polls.FAULTS,
    *strangers.FAULTS,
    *nodes.FAULTS,
    *streams.FAULTS,
    *verbs.FAULTS,
    *unnoticed.FAULTS,
)
"""Every fault, in the order of the floors."""
