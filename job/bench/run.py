"""A whole bench: the workload, then the parts one by one, each result kept as soon as it is there."""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from job.bench.parts import PARTS
from job.bench.pictures import draw
from job.bench.report import write_report
from job.bench.results import Kept, Results, keep, read_kept
from job.bench.scale import Scale
from job.bench.workload import make_workload
from job.cluster.running import Progress
from model.folders import FolderKind, claim_folder

_OUT = FolderKind("a bench's folder", "bench.txt", frozenset(), ())
"""Folders of versions that wrote no marker are recognised by bench.txt."""
_CORES = 2
"""The cores of all contenders."""
_Done = Callable[[str, float], None]
"""A callback that gets a part's name and its duration in seconds."""


@dataclass(frozen=True, slots=True)
class Bench:
    """The parts to measure, and the folder of their results.

    Attributes:
        scale: the sizes and times.
        out: the folder of results, report and pictures.
        parts: names in `PARTS`; the others keep the results of an earlier run.
        overrides: settings of the job, in the format of `--set`.
    """

    scale: Scale
    out: Path
    parts: Sequence[str]
    overrides: tuple[str, ...] = ()


def run_bench(bench: Bench, report: Progress, done: _Done) -> tuple[Results, dict[str, Kept]]:
    """Run the parts, and return the results of all parts, with those of earlier runs.

    Raises:
        BenchError: a part did not finish; the results before it are kept.
        NotOursError: the folder has files, but is not a bench's.
    """
    out = bench.out.absolute()
    claim_folder(out, _OUT)
    run = datetime.now(UTC).isoformat(timespec="seconds")
    work = out / "work"
    try:
        with on_cores(_CORES):
            workload = make_workload(bench.scale, work, bench.overrides, report)
            for name in (name for name in PARTS if name in bench.parts):
                began = time.monotonic()
                result = PARTS[name](workload, read_kept(out / "parts")[0])
                seconds = time.monotonic() - began
                keep(out / "parts", name, Kept(run, bench.scale.name, round(seconds, 1), result))
                done(name, seconds)
    finally:  # all is removed that was only needed for measuring; logs of peers stay
        for path in work.glob("*"):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.suffix != ".log":
                path.unlink(missing_ok=True)
    results, kept = read_kept(out / "parts")
    draw(results, out)
    write_report(results, kept, out / "report.md")
    return results, kept


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Pin this thread, and processes that it starts in the block, to the same `count` cores at most."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
