"""All that the job left behind and nothing needs, from each place where it may be."""

import time
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path

from job.cluster import FlinkRest
from job.deployment.leftovers import KEPT, old_files, remove_old_files
from job.deployment.submission import Target
from job.housekeeping.garbage import Garbage, GarbageKind
from job.housekeeping.job_state import JobState
from job.housekeeping.models import unpointed_versions, unused_bundles
from job.settings.job_settings import JobSettings
from job.tables import leftovers
from job.tables.locks import sole_compactor
from model.files import size_of


def garbage(target: Target, rest: FlinkRest, settings: JobSettings) -> Iterator[Garbage]:
    """Yield all that nothing needs.

    Args:
        target: the cluster.
        rest: its REST interface.
        settings: those of the job, resolved; `retention` says what is kept though nothing needs it.

    Raises:
        RecloopError: a place cannot be read, so what is needed is not known.
    """
    state = JobState(target, rest, settings.job_name, settings.retention.savepoints)
    yield from chain(
        state.garbage(),
        _deployments(target.folder),
        _table_files(settings.tables.folder, settings.retention.in_progress.total_seconds()),
        unpointed_versions(settings, target.folder),
        unused_bundles(settings.models.cache),
    )


def _deployments(folder: Path) -> Iterator[Garbage]:
    for file in old_files(folder):
        yield Garbage(
            kind=GarbageKind.DEPLOYMENT,
            place=str(file),
            size_bytes=size_of(file),
            reason=f"code or settings of a deployment before the newest {KEPT}",
            remove=partial(remove_old_files, folder),
        )


def _table_files(tables: Path, after_s: float) -> Iterator[Garbage]:
    if not tables.is_dir():
        return
    for file in leftovers.written_again(tables, time.time_ns() // 1_000_000, after_s):
        with suppress(FileNotFoundError):  # the compactor may remove it at this moment
            yield Garbage(
                kind=GarbageKind.TABLE_FILE,
                place=str(file),
                size_bytes=size_of(file),
                reason="in-progress file of a killed attempt; a later one wrote each of its rows again",
                remove=partial(_remove_table_file, tables, file, after_s),
            )


def _remove_table_file(tables: Path, file: Path, after_s: float) -> None:
    with sole_compactor(tables):
        if file in leftovers.written_again(tables, time.time_ns() // 1_000_000, after_s):
            leftovers.remove_files([file])
