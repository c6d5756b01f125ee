"""What is kept of users takes no more memory than it may, counted as the system counts it."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.heavy
_FILL = """
import sys
from pathlib import Path

import numpy as np

from udfs.elements import LoggedBehavior, TrackedBehavior
from udfs.scoring.kept_states import KeptStates, Room, users_in

WIDTH, ITEMS, ID, KEPT_MB = map(int, sys.argv[1:])
LENGTH = 100


def resident():
    # in bytes, without the pages of program files, which come in when code first runs
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024


def users(first, count):
    for number in range(first, first + count):
        user = f"{number:0{ID}d}"
        behavior = LoggedBehavior(user, "click", "i", 0, None, None, None, 0, 0, None)
        history = number.to_bytes(8, "little") * ITEMS
        yield TrackedBehavior(behavior, 1, history, bytes(ITEMS), b"", b"", b"", [])


room = Room(KEPT_MB * 2**20)
kept = KeptStates(users_in(room, WIDTH, LENGTH), WIDTH, LENGTH, room)
states, histories = np.ones((16, WIDTH), np.float32), np.ones((16, LENGTH), np.int64)
before = resident()
for first in range(0, users_in(room, WIDTH, LENGTH) + 128, 16):
    kept.keep(list(users(first, 16)), states, histories)
print((resident() - before) / 2**20, len(kept._users))
"""


@pytest.mark.parametrize(
    ("width", "items", "characters"), [(8, 1, 8), (8, 99, 8), (8, 10, 250), (512, 50, 8), (25_000, 99, 8)]
)
def test_what_is_kept_takes_what_it_may_and_not_much_less(width: int, items: int, characters: int) -> None:
    """Of 24 MiB at least half is used by what is of use, and the allocator's part on top is small."""
    command = [sys.executable, "-c", _FILL, *map(str, (width, items, characters, 24))]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    taken, users = output.split()
    assert int(users) > 0
    assert 24 * 0.6 < float(taken) < 24 * 1.25
