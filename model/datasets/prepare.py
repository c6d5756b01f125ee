"""Prepares a data set: reads a source, puts it into time order, writes the folder in one piece."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from model.datasets.action_map import ActionMap
from model.datasets.errors import NotPreparedError, SourceError
from model.datasets.external_sort import sorted_lines
from model.datasets.prepared import DATASET, Dataset, DatasetInfo, write_behaviors, write_catalogue, write_info
from model.datasets.reading import Item, ReadReport
from model.datasets.sources import SOURCES
from model.folders import whole_folder
from model.records import EpochMs, ItemId, UserBehavior, UserId

Progress = Callable[[int], None]
"""Told the number of behaviours read so far."""
PROGRESS_EVERY = 10_000


@dataclass(frozen=True, slots=True)
class Request:
    """What to prepare.

    Attributes:
        name: of the data set.
        source: a key of `SOURCES`.
        path: the file or folder to read.
        actions: mapping to the action table.
    """

    name: str
    source: str
    path: Path
    actions: ActionMap

    def describe(self) -> dict[str, str]:
        """What decides the outcome, to tell whether a prepared folder is up to date."""
        return {"kind": self.source, "path": str(self.path), "content": _signature(self.path)}


@dataclass(frozen=True, slots=True)
class Outcome:
    """A prepared data set.

    Attributes:
        dataset: the folder.
        report: the rows read and skipped; None if the folder already was up to date.
    """

    dataset: Dataset
    report: ReadReport | None


@dataclass(slots=True)
class _Tally:
    """Counts behaviours while they stream by."""

    progress: Progress
    behaviors: int = 0
    users: set[UserId] = field(default_factory=set)
    items: set[ItemId] = field(default_factory=set)
    first: EpochMs = 1 << 62
    last: EpochMs = 0

    def counted(self, behaviors: Iterable[UserBehavior]) -> Iterator[UserBehavior]:
        for behavior in behaviors:
            self.behaviors += 1
            self.users.add(behavior.user_id)
            self.items.add(behavior.item_id)
            self.first = min(self.first, behavior.timestamp)
            self.last = max(self.last, behavior.timestamp)
            if self.behaviors % PROGRESS_EVERY == 0:
                self.progress(self.behaviors)
            yield behavior


def prepare(request: Request, out: Path, *, force: bool = False, progress: Progress = lambda _: None) -> Outcome:
    """Prepares `request` into the folder `out`, or finds it already there.

    Raises:
        SourceError: the source cannot be read, or no row of it is usable.
    """
    current = None if force else _up_to_date(request, out)
    if current is not None:
        return Outcome(current, None)
    report = ReadReport()
    with whole_folder(out, DATASET) as folder:
        _write(request, folder, report, _Tally(progress))
    return Outcome(Dataset.open(out), report)


def _up_to_date(request: Request, out: Path) -> Dataset | None:
    try:
        dataset = Dataset.open(out)
    except NotPreparedError:
        return None
    same = dataset.info.source == request.describe() and dataset.info.actions == request.actions.as_text()
    return dataset if same else None


def _write(request: Request, folder: Path, report: ReadReport, tally: _Tally) -> None:
    reader = SOURCES[request.source].reader(request.path, request.actions)
    scratch = folder / "scratch"
    scratch.mkdir()
    behaviors = tally.counted(reader.behaviors(report))
    fingerprint = write_behaviors(folder, sorted_lines(behaviors, scratch))
    _remove(scratch)
    if not tally.behaviors:
        msg = f"{request.path}: none of {report.rows:,} rows can be used: {dict(report.skipped)}"
        raise SourceError(msg)
    catalogue = _catalogue(reader.items(), tally.items)
    write_catalogue(folder, catalogue)
    write_info(folder, _info(request, report, tally, len(catalogue), fingerprint))


def _remove(scratch: Path) -> None:
    for run in scratch.iterdir():
        run.unlink()
    scratch.rmdir()


def _catalogue(known: Mapping[ItemId, Item], used: set[ItemId]) -> list[Item]:
    """All items of the source's catalogue, and those it forgot."""
    forgotten = {item_id: Item(item_id, item_id) for item_id in used - known.keys()}
    return [item for _, item in sorted({**known, **forgotten}.items())]


def _info(request: Request, report: ReadReport, tally: _Tally, items: int, fingerprint: str) -> DatasetInfo:
    return DatasetInfo(
        name=request.name,
        behaviors=tally.behaviors,
        users=len(tally.users),
        items=items,
        first_timestamp=tally.first,
        last_timestamp=tally.last,
        fingerprint=fingerprint,
        actions=request.actions.as_text(),
        source=request.describe(),
        skipped=dict(report.skipped),
    )


def _signature(path: Path) -> str:
    files = sorted(path.iterdir()) if path.is_dir() else [path] if path.exists() else []
    stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(repr(stats).encode()).hexdigest()[:16]
