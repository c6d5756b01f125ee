"""External sort: any number of behaviours into time order with bounded memory."""

import heapq
from collections.abc import Iterable, Iterator
from itertools import islice
from operator import itemgetter
from pathlib import Path

from model.datasets.json_lines import encode_behavior
from model.records import EpochMs, UserBehavior

CHUNK_ROWS = 500_000  # about 100 MB of rows in memory
_Keyed = tuple[EpochMs, bytes]
_TIME = itemgetter(0)


def sorted_lines(behaviors: Iterable[UserBehavior], scratch: Path, *, chunk_rows: int = CHUNK_ROWS) -> Iterator[bytes]:
    """Yield the behaviours as JSON lines, oldest first; equal times keep their order.

    Args:
        behaviors: in any order.
        scratch: an existing folder for sorted runs when there are more than `chunk_rows`.
        chunk_rows: rows held in memory at once.
    """
    keyed = ((behavior.timestamp, encode_behavior(behavior) + b"\n") for behavior in behaviors)
    last: list[_Keyed] = []
    runs: list[Path] = []
    while chunk := sorted(islice(keyed, chunk_rows), key=_TIME):
        if last:
            runs.append(scratch / f"run-{len(runs)}")
            with runs[-1].open("wb") as run:
                run.writelines(b"%d %b" % row for row in last)
        last = chunk
    for _, line in heapq.merge(*map(_read_run, runs), last, key=_TIME):
        yield line


def _read_run(path: Path) -> Iterator[_Keyed]:
    with path.open("rb") as lines:
        for row in lines:
            time, _, line = row.partition(b" ")
            yield int(time), line
