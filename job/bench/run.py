"""A whole bench: the ground, then part by part, each one's result kept as soon as it is there."""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from job.bench.ground import Say, make_ground
from job.bench.parts import PARTS
from job.bench.pictures import draw
from job.bench.report import write_report
from job.bench.results import Kept, Results, keep, read_kept
from job.bench.scale import Scale
from model.folders import FolderKind, claim_folder

_OUT = FolderKind("a bench's folder", "bench.txt", frozenset(), ())
"""The proof is of versions that wrote no marker."""
_CORES = 2
"""What all contenders have."""
Done = Callable[[str, float], None]
"""Told a part's name and how many seconds it took."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What is to be measured, and where it is kept.

    Attributes:
        scale: how large.
        out: folder of results, report and pictures.
        parts: names in `PARTS`; those left out keep what an earlier run measured.
        overrides: settings of the job, as `--set` takes them.
    """

    scale: Scale
    out: Path
    parts: Sequence[str]
    overrides: tuple[str, ...] = ()


def run_bench(bench: Bench, say: Say, done: Done) -> tuple[Results, dict[str, Kept]]:
    """Runs the parts, and says what all parts measured.

    Raises:
        BenchError: a part did not come to its end; what was measured until then is kept.
        NotOursError: the folder holds something that is no bench's.
    """
    out = bench.out.absolute()
    claim_folder(out, _OUT)
    run = datetime.now(UTC).isoformat(timespec="seconds")
    work = out / "work"
    try:
        with on_cores(_CORES):
            ground = make_ground(bench.scale, work, bench.overrides, say)
            for name in (name for name in PARTS if name in bench.parts):
                began = time.monotonic()
                result = PARTS[name](ground, read_kept(out / "parts")[0])
                seconds = time.monotonic() - began
                keep(out / "parts", name, Kept(run, bench.scale.name, round(seconds, 1), result))
                done(name, seconds)
    finally:
        _clear(work)
    results, kept = read_kept(out / "parts")
    draw(results, out)
    write_report(results, kept, out / "report.md")
    return results, kept


@contextmanager
def on_cores(count: int) -> Iterator[None]:
    """This thread, and processes that it starts meanwhile, on the same cores, so many at most."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _clear(work: Path) -> None:
    """Removes what was only needed to measure; logs of peers that died stay."""
    for path in work.glob("*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        elif path.suffix != ".log":
            path.unlink(missing_ok=True)
