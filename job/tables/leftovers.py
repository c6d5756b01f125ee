"""Hidden files that killed attempts of the job left behind, and the removal of those that are no longer needed.

Flink shows a hidden file when a checkpoint that names it completes, or when a job is restored from one that does. The
existing checkpoints and savepoints, and the files they name, are not known here. But it can be checked whether a later
attempt has written the same rows again and shown them: the views would then ignore the hidden rows even if a job was
restored from an old savepoint that names their file. Files with a row that no later attempt wrote are kept.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from job.tables.dialect import quoted
from job.tables.files import hour_folders, reading
from job.tables.lines import is_no_row
from job.tables.schema import TABLES, Table
from model.records import EpochMs

_HIDDEN = ".part-*"
_CHECKED_NAME = ".leftovers-checked"
_CHECK_EVERY_MS = 3_600_000
_ATTEMPT = ("generation", "epoch")
"""The columns whose values rise with every attempt, most significant first."""


@dataclass(frozen=True, slots=True)
class _Leftover:
    """An old hidden file of a table."""

    table: Table
    path: Path


def remove(tables_dir: Path, now_ms: EpochMs, after_s: float) -> int:
    """Remove files untouched for `after_s` seconds whose rows a later attempt wrote again; return how many.

    It checks at most once an hour, as a check scans the tables from the oldest such file on.
    """
    checked = tables_dir / _CHECKED_NAME
    if checked.exists() and now_ms - checked.stat().st_mtime * 1000 < _CHECK_EVERY_MS:
        return 0
    removed = remove_files(written_again(tables_dir, now_ms, after_s))
    checked.touch()
    return removed


def written_again(tables_dir: Path, now_ms: EpochMs, after_s: float) -> list[Path]:
    """Return the hidden files untouched for `after_s` seconds whose rows a later attempt wrote again."""
    found = list(_untouched(tables_dir, now_ms - after_s * 1000))
    return [path for table in TABLES.values() for path in _written_again(tables_dir, table, found)]


def remove_files(files: Sequence[Path]) -> int:
    """Remove files that `written_again` returned, and return their number."""
    for path in files:
        path.unlink(missing_ok=True)
    return len(files)


def _untouched(tables_dir: Path, since_ms: float) -> Iterator[_Leftover]:
    hidden = (
        _Leftover(table=table, path=path)
        for table in TABLES.values()
        for folder in hour_folders(tables_dir, table.name)
        for path in sorted(folder.glob(_HIDDEN))
    )
    for each in hidden:
        with suppress(FileNotFoundError):  # it may be committed meanwhile
            if each.path.stat().st_mtime * 1000 < since_ms:
                yield each


def _written_again(tables_dir: Path, table: Table, found: Sequence[_Leftover]) -> list[Path]:
    """Return the table's hidden files whose every row is replaced by a shown row of a later attempt."""
    hidden = [each.path for each in found if each.table is table]
    if not hidden:
        return []
    import duckdb  # the `recloop` command starts without it

    from job.tables.duck import read_lines

    columns = [name for name in _ATTEMPT if name in table.column_names]
    same = " AND ".join(f"shown.{quoted(name)} = hidden.{quoted(name)}" for name in table.key)
    later, its = (", ".join(f"coalesce({side}.{quoted(name)}, 0)" for name in columns) for side in ("shown", "hidden"))
    needed = f"SELECT DISTINCT filename FROM {read_lines(table, hidden)} AS hidden WHERE NOT ({is_no_row(table)})"
    oldest = min(str(path.parent) for path in hidden)
    with reading(tables_dir) as files, duckdb.connect(":memory:") as connection:
        shown = [path for path in files[table.name] if str(path.parent) >= oldest]
        if shown:
            again = f"SELECT 1 FROM {read_lines(table, shown)} AS shown WHERE {same} AND ({later}) > ({its})"
            needed += f" AND NOT EXISTS ({again})"
        try:
            kept = connection.execute(needed).fetchall()
        except duckdb.Error:  # one was committed meanwhile, or may not be read: the next check decides
            return []
    return [path for path in hidden if (str(path.absolute()),) not in kept]
