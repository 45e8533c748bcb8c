"""What is held is what is counted: an event in a mailbox costs about its payload, measured in the process."""

from __future__ import annotations

import subprocess
import sys

FILL = """
import gc, os, sys
from chatserver.core import vocabulary
from chatserver.core.conversations import BROADCASTS
from chatserver.core.events import encode_event
from chatserver.core.mailbox import Bounds, Mailbox

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

sender = {"id": "XMKdPT7rMPxq", "name": "Bob Baker", "color": "#9d572c"}
bounds = Bounds(1000, 2**30)
text = sys.argv[1] * int(sys.argv[2])

def fill(count):
    boxes = []
    for n in range(count):
        box = Mailbox(f"user{n}", 0, {})
        for at in range(1, 1001):
            seq = 1795443674328000 + n * 1000 + at
            draft = vocabulary.message(sender, BROADCASTS, text, f"c{seq}")
            event = encode_event(draft, seq, seq // 1000)
            box.extend([event], 0, bounds)
        boxes.append(box)
    return boxes

warm = fill(2)
gc.collect()
before = resident()
boxes = fill(50)
gc.collect()
held = resident() - before
counted = sum(box.size_bytes for box in boxes)
print(held / 50_000, counted / 50_000)
"""


def held_and_counted(char: str, chars: int) -> tuple[float, float]:
    command = [sys.executable, "-c", FILL, char, str(chars)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=150)
    held, counted = answer.stdout.split()
    return float(held), float(counted)


def test_a_short_event_in_a_mailbox_holds_less_than_600_bytes() -> None:
    held, counted = held_and_counted("x", 20)
    assert held < 600
    assert 0.8 < held / counted < 1.25, "and that is what the mailbox counts"


def test_a_long_event_holds_little_more_than_its_payload() -> None:
    held, counted = held_and_counted("x", 2000)
    assert 0.8 < held / counted < 1.25
