"""Preparation of a data set: read a source, leave out what the job would, sort by time, write the folder."""

import hashlib
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from model.actions import DEFAULT_ACTIONS, ActionTable
from model.datasets.action_map import ActionMap
from model.datasets.errors import NotPreparedError, SourceError
from model.datasets.external_sort import sorted_lines
from model.datasets.log_rules import LogFilter, LogRules
from model.datasets.parquet import parquet_files
from model.datasets.prepared import DATASET, Dataset, DatasetInfo, write_behaviors, write_catalogue, write_info
from model.datasets.reading import PLAIN, Format, Item, Reader, ReadReport
from model.datasets.remarks import Findings
from model.datasets.sources import SOURCES
from model.datasets.tables import read_items
from model.folders import whole_folder
from model.records import EpochMs, ItemId, UserBehavior, UserId

_OnBehaviors = Callable[[int], None]
"""A callback that gets the number of behaviours read so far."""
_PROGRESS_EVERY = 10_000
_READERS_VERSION = "3"
"""Version of the readers' output: a set of another version is prepared anew."""


@dataclass(frozen=True, slots=True)
class Request:
    """A data set to prepare.

    Attributes:
        name: of the data set.
        source: a key of `SOURCES`.
        path: the file or folder to read.
        actions: mapping to the action table.
        form: the user's options for reading the files.
        items: a catalogue beside the source, read in place of the source's own.
        item_form: the user's options for reading that catalogue.
        table: the action table.
        log: the job's rules for leaving rows out.
        least_usable: the smallest share of rows that have to be usable; rows left out on purpose count as usable.
    """

    name: str
    source: str
    path: Path
    actions: ActionMap
    form: Format = PLAIN
    items: Path | None = None
    item_form: Format = PLAIN
    table: ActionTable = field(default_factory=lambda: DEFAULT_ACTIONS)
    log: LogRules = field(default_factory=LogRules)
    least_usable: float = 0.5

    def describe(self) -> dict[str, str]:
        """Describe the source and the options; a prepared folder with another description is not up to date."""
        described = {
            "kind": self.source,
            "path": str(self.path),
            "content": _signature(self.path),
            "readers": _READERS_VERSION,
            "form": repr(self.form) if self.form != PLAIN else "",
            "items": f"{self.items} {_signature(self.items)} {self.item_form!r}" if self.items else "",
            "log": repr(self.log) if self.log != LogRules() else "",
        }
        return {name: value for name, value in described.items() if value}


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
    """Counts of the behaviours that stream by."""

    progress: _OnBehaviors
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
            if self.behaviors % _PROGRESS_EVERY == 0:
                self.progress(self.behaviors)
            yield behavior


def prepare(
    request: Request,
    out: Path,
    *,
    force: bool = False,
    progress: _OnBehaviors = lambda _: None,
    now_ms: EpochMs | None = None,
) -> Outcome:
    """Prepare `request` into the folder `out`, unless that is up to date.

    Args:
        request: what to prepare.
        out: the folder; replaced if it is not up to date.
        force: prepare it even if it is up to date.
        progress: called with the number of behaviours read so far.
        now_ms: the time of reading, by which times too far ahead are impossible; the machine's clock if None.

    Raises:
        SourceError: the source cannot be read, or too few rows of it are usable.
    """
    if not force:
        with suppress(NotPreparedError):
            there = Dataset.open(out)
            made_from = (there.info.source, there.info.actions, there.action_table)
            if made_from == (request.describe(), request.actions.as_text(), request.table):
                return Outcome(there, None)
    _check_there("--path", request.path)
    if request.items is not None:
        _check_there("--items", request.items)  # checked now, as it is read last
    work = _Preparation(request, progress, int(time.time() * 1000) if now_ms is None else now_ms)
    with whole_folder(out, DATASET) as folder:
        work.write(folder)
    return Outcome(Dataset.open(out), work.report)


def _check_there(option: str, path: Path) -> None:
    if not path.exists():
        msg = f"{path} is not there; say with {option} where it lies"
        raise SourceError(msg)


class _Preparation:
    """One run over a source."""

    def __init__(self, request: Request, progress: _OnBehaviors, now_ms: EpochMs) -> None:
        self.report = ReadReport()
        self._request = request
        self._tally = _Tally(progress)
        self._filter = LogFilter(request.log, now_ms)
        source = SOURCES[request.source]
        self._is_log = source.own_words
        self._reader: Reader = source.reader(request.path, request.actions, request.form)

    def write(self, folder: Path) -> None:
        """Write the whole data set into an empty folder."""
        scratch = folder / "scratch"
        scratch.mkdir()
        applied = self._filter(self._reader.behaviors(self.report), self.report)
        fingerprint = write_behaviors(folder, sorted_lines(self._tally.counted(applied), scratch))
        shutil.rmtree(scratch)
        self._check()
        known = self._items()
        lacking = {item_id: Item(item_id, item_id) for item_id in self._tally.items - known.keys()}
        catalogue = [item for _, item in sorted({**known, **lacking}.items())]
        write_catalogue(folder, catalogue)
        write_info(folder, self._info(len(catalogue), fingerprint, self._of_catalogue(known)))

    def _items(self) -> Mapping[ItemId, Item]:
        request = self._request
        if request.items is None:
            return self._reader.items()
        return read_items(request.items, request.item_form, self._reader.catalogue)

    def _of_catalogue(self, known: Mapping[ItemId, Item]) -> tuple[str, ...]:
        """Return a remark if --items tells of none of the items that are used."""
        path = self._request.items
        if path is None or not known.keys().isdisjoint(self._tally.items):
            return ()
        if not known:
            return (f"The catalogue {path} has no item: is it the right file?",)
        ids = f"its ids are like {min(known)[:64]!r}, theirs like {min(self._tally.items)[:64]!r}"
        remark = f"No behaviour has an item of the catalogue {path}: {ids}. Are file and --item-columns the right ones?"
        return (remark,)

    def _check(self) -> None:
        """Refuse a set of which too few rows can be used, or whose dates contradict each other."""
        report = self.report
        if contradiction := self._reader.times.contradiction():
            msg = f"{self._request.path}: {contradiction}"
            raise SourceError(msg)
        bad = report.skipped.total() - report.intended
        if self._tally.behaviors and bad <= (1 - self._request.least_usable) * report.rows:
            return
        if not report.rows:
            counts = f"{report.lines:,} lines, {report.blank:,} of them blank"
            msg = f"{self._request.path} has no rows ({counts}); give another"
            raise SourceError(msg)
        used = f"{self._tally.behaviors:,}" if self._tally.behaviors else "none"
        lines = [f"{self._request.path}: {used} of {report.rows:,} rows can be used, so nothing was written:"]
        lines += [
            f"- {rows:,} rows: {reason}; the first is: {report.examples[reason]}"
            for reason, rows in report.skipped.most_common(5)
        ]
        if self._tally.behaviors:
            lines.append("With --least-usable 0 the set is made of the rows that can be used.")
        raise SourceError("\n".join([*lines, *self._findings().remarks()]))

    def _findings(self) -> Findings:
        return Findings(
            report=self.report,
            catalogue=self._reader.catalogue,
            times=self._reader.times,
            actions=self._request.actions,
            rules=self._request.log,
            late=self._filter.late,
            is_log=self._is_log,
        )

    def _info(self, items: int, fingerprint: str, of_catalogue: tuple[str, ...]) -> DatasetInfo:
        request, report, tally = self._request, self.report, self._tally
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
            counted={name: getattr(report, name) for name in ("lines", "headers", "blank", "continued", "rows")},
            remarks=(*self._findings().remarks(), *of_catalogue),
            action_table={} if request.table == DEFAULT_ACTIONS else dict(request.table),
        )


def _signature(path: Path) -> str:
    """Return a text that changes with the files that a reader may read in the path: those in it, and all Parquet."""
    if path.is_dir():
        files = {str(file.relative_to(path)): file for file in (*path.iterdir(), *parquet_files(path))}
    else:
        files = {path.name: path} if path.exists() else {}
    stats = [(name, file.stat().st_size, file.stat().st_mtime_ns) for name, file in sorted(files.items())]
    return hashlib.sha256(repr(stats).encode()).hexdigest()[:16]
