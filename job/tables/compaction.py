"""The compaction of the many small files of each hour into few, while the job writes and others read.

The job commits one file for each checkpoint and subtask. A closed hour becomes one file; an open hour is merged
whenever it has too many small files. Readers that use `job.tables.files.reading` see every row exactly once; other
readers may see rows twice during a swap, and the epoch views show them once.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from job.tables import journal, leftovers, locks
from job.tables.errors import TablesBusyError
from job.tables.files import as_unreadable, committed, hour_folders
from job.tables.journal import OnStep, Step, Swap, ignore_step
from job.tables.schema import TABLES
from model.records import EpochMs

_CHUNK_BYTES = 1 << 20
_COMPACTED = re.compile(r"compact-(\d+)-[0-9a-f]+")
_MERGING_PREFIX = ".compact-"
_HOUR_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Policy:
    """The thresholds of compaction.

    Attributes:
        max_small_files: an open hour with more small files than this is merged.
        small_bytes: larger files of an open hour are left until it closes.
        close_after_s: the time after its end at which an hour is closed; longer than the checkpoint interval.
        leftover_after_s: the age at which hidden files of killed attempts are checked.
        patience_s: how long to wait for readers, and let new ones wait, before a swap is postponed.
    """

    max_small_files: int = 32
    small_bytes: int = 32 << 20
    close_after_s: float = 120.0
    patience_s: float = 2.0
    leftover_after_s: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Report:
    """The counts of a pass.

    Attributes:
        files_before: committed files of all tables before the pass.
        files_after: their number after merging.
        merges: hour folders whose files were merged.
        bytes_merged: size of the merged files.
        postponed: 1 if readers held the lock too long, and the rest was left to the next pass.
        recovered: swaps of a killed compactor that were finished or undone.
        leftovers: hidden files of killed attempts that were removed: their rows were written again.
    """

    files_before: int = 0
    files_after: int = 0
    merges: int = 0
    bytes_merged: int = 0
    postponed: int = 0
    recovered: int = 0
    leftovers: int = 0

    def __add__(self, other: "Report") -> "Report":
        return Report(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def to_json(self) -> dict[str, int]:
        """Return the counts by name."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Compactor:
    """The compactor of a tables folder, run a pass at a time.

    Attributes:
        on_step: called after each step of a merge; an exception from it simulates a compactor's death at that point.
    """

    tables_dir: Path
    policy: Policy = Policy()
    on_step: OnStep = ignore_step

    def run_once(self, now_ms: EpochMs, stop: Callable[[], bool] = lambda: False) -> Report:
        """Make one pass over all tables; `stop` is called before each merge. A missing folder has no tables.

        Raises:
            TablesBusyError: another compactor is active here, or a killed one's swap waits for readers.
            UnreadableTableError: a folder is there, but cannot be listed.
            OSError: a file could not be read or written; merges until then stay.
        """
        if not self.tables_dir.is_dir():
            return Report()
        with locks.sole_compactor(self.tables_dir):
            recovered = journal.recover(self.tables_dir, self.policy.patience_s, self.on_step)
            report = Report(recovered=int(recovered))
            for folder in self._folders():
                for unfinished in folder.glob(f"{_MERGING_PREFIX}*.merging"):  # of a compactor killed while merging
                    unfinished.unlink()
                skip = stop() or report.postponed > 0
                report += self._compact_folder(folder, now_ms, skip=skip)
            if not stop() and not report.postponed:
                report += Report(leftovers=leftovers.remove(self.tables_dir, now_ms, self.policy.leftover_after_s))
            return report

    def _folders(self) -> Iterator[Path]:
        for table in TABLES:
            with as_unreadable(self.tables_dir):
                folders = hour_folders(self.tables_dir, table)
            yield from folders

    def _compact_folder(self, folder: Path, now_ms: EpochMs, *, skip: bool) -> Report:
        with as_unreadable(self.tables_dir):
            files = committed(folder)
        sources = [] if skip else self._sources(folder, files, now_ms)
        self.on_step(Step.LISTED)
        if not sources:
            return Report(files_before=len(files), files_after=len(files))
        compacted = [int(match[1]) for path in files if (match := _COMPACTED.fullmatch(path.name))]
        merged = _merge(folder, sources, 1 + max(compacted, default=0))
        self.on_step(Step.MERGED)
        return self._swap(folder, merged, len(files))

    def _sources(self, folder: Path, files: list[Path], now_ms: EpochMs) -> list[Path]:
        if now_ms >= _closed_at(folder, self.policy.close_after_s):
            return files if len(files) > 1 else []
        small = [path for path in files if path.stat().st_size < self.policy.small_bytes]
        return small if len(small) > self.policy.max_small_files else []

    def _swap(self, folder: Path, merged: "_Merged", files_before: int) -> Report:
        swap = Swap(
            folder=str(folder.relative_to(self.tables_dir)),
            merging=merged.hidden_name,
            target=merged.visible_name,
            sources=merged.sources,
        )
        try:
            with locks.exclusive(self.tables_dir, self.policy.patience_s):
                journal.carry_out(self.tables_dir, swap, self.on_step)
        except TablesBusyError:
            (folder / merged.hidden_name).unlink()
            return Report(files_before=files_before, files_after=files_before, postponed=1)
        files_after = files_before - len(merged.sources) + 1
        return Report(files_before=files_before, files_after=files_after, merges=1, bytes_merged=merged.bytes)


@dataclass(frozen=True, slots=True)
class _Merged:
    hidden_name: str
    visible_name: str
    sources: tuple[str, ...]
    bytes: int


def _merge(folder: Path, sources: list[Path], number: int) -> _Merged:
    hidden = folder / f"{_MERGING_PREFIX}{number}.merging"
    digest = hashlib.sha256()
    try:
        with hidden.open("wb") as target:
            for chunk in _lines(sources):
                digest.update(chunk)
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
            size = target.tell()
    except OSError:
        hidden.unlink(missing_ok=True)
        raise
    return _Merged(
        hidden_name=hidden.name,
        visible_name=f"compact-{number}-{digest.hexdigest()[:12]}",
        sources=tuple(path.name for path in sources),
        bytes=size,
    )


def _lines(sources: list[Path]) -> Iterator[bytes]:
    """Yield the files' bytes, with a newline after a last line that has none."""
    for path in sources:
        last = b"\n"
        with path.open("rb") as source:
            while chunk := source.read(_CHUNK_BYTES):
                yield chunk
                last = chunk[-1:]
        if last != b"\n":
            yield b"\n"


def _closed_at(folder: Path, close_after_s: float) -> float:
    """Return when the hour counts as closed, epoch milliseconds; infinity if the folder's name is not an hour."""
    name = f"{folder.parent.name}/{folder.name}"
    try:
        start = datetime.strptime(name, "dt=%Y-%m-%d/hour=%H").replace(tzinfo=UTC)
    except ValueError:
        return float("inf")
    return start.timestamp() * 1000 + _HOUR_MS + close_after_s * 1000
