"""The lists of a stretch of time as read from the tables: their number, source and freshness."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from job.bench.errors import BenchError
from job.bench.live import Live
from job.tables import duck
from model.waiting import polls

_PATIENCE_S = 60.0
_POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class Made:
    """The lists that were made in a stretch of time.

    Attributes:
        lists: the number of lists.
        seconds: the length of the stretch, or the time to its last list if the log ended before.
        scored: the number of lists made from a model's scores.
        fallbacks: the number of fallback lists, made without scores because none came in time.
        batch_size_mean: histories in a call of the model, mean over the calls.
        shortest: items in the shortest list.
    """

    lists: int
    seconds: float
    scored: int
    fallbacks: int
    batch_size_mean: float
    shortest: int

    @property
    def per_s(self) -> float:
        """Lists a second."""
        return self.lists / self.seconds


def made_between(live: Live, begin_ms: int, end_ms: int) -> Made:
    """Wait until all lists made before `end_ms` are in the tables, and sum them up.

    Raises:
        BenchError: no list was made, or rows do not appear in the tables.
    """
    wait_for_rows(live, end_ms)
    sql = """
        SELECT count(*), max(written_at), count(*) FILTER (source = 'scored'), count(*) FILTER (source = 'fallback'),
               sum(1.0 / batch_size), count(batch_size), min(len(items))
        FROM recommendation_lists WHERE written_at >= ? AND written_at < ?"""
    ((lists, last_ms, scored, fallbacks, calls, sized, shortest),) = duck.query(
        live.tables, sql, (begin_ms, end_ms)
    ).rows
    if not lists:
        msg = f"no list was made while timing: look at {live.cluster.layout.logs}"
        raise BenchError(msg)
    # If the log had more to read, the stretch has its full length; if the log ended, the last list ends it.
    ended = end_ms - int(str(last_ms)) > 1_000
    seconds = (int(str(last_ms)) if ended else end_ms) / 1000 - begin_ms / 1000
    mean = float(str(sized)) / float(str(calls)) if calls else 0.0
    return Made(int(str(lists)), seconds, int(str(scored)), int(str(fallbacks)), mean, int(str(shortest)))


def freshness_between(tables: Path, begin_ms: int, end_ms: int) -> npt.NDArray[np.int64]:
    """Return (N, 2): when each behaviour was appended, epoch ms, and after how many ms its list was made."""
    sql = """
        SELECT appended_at, written_at - appended_at FROM recommendation_lists
        WHERE appended_at >= ? AND appended_at < ? ORDER BY appended_at"""
    rows = duck.query(tables, sql, (begin_ms, end_ms)).rows
    return np.array(rows, dtype=np.int64).reshape(-1, 2)


def fallback_share(tables: Path) -> float:
    """Return the share of fallback lists among all lists that a model was to score."""
    sql = "SELECT count(*) FILTER (source = 'fallback'), count(*) FROM recommendation_lists WHERE source != 'rules'"
    ((fallbacks, lists),) = duck.query(tables, sql).rows
    return int(str(fallbacks)) / max(1, int(str(lists)))


def wait_for_rows(live: Live, until_ms: int) -> None:
    """Wait until a checkpoint that was triggered after that moment has made its rows visible.

    Raises:
        BenchError: there was none in a minute.
    """
    for _ in polls(timeout_s=_PATIENCE_S, poll_s=_POLL_S / 5):
        newest = live.rest.checkpoints(live.job_id).latest
        if newest is not None and newest.trigger_ms > until_ms:
            # The files are renamed once every writer is notified of the checkpoint.
            time.sleep(_POLL_S)
            return
    msg = f"no checkpoint was completed in {_PATIENCE_S:g} s: look at {live.cluster.layout.logs}"
    raise BenchError(msg)
