"""The demonstration: from an empty folder to fresh lists, on real data, step by step.

It uses its own folders below .recloop/demo, so it never touches a log or tables of yours.
"""

import json
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from job.cluster import ClusterSpec, RunningCluster, find
from job.cluster.running import Progress
from job.deployment.compacting import keep_compacted
from job.deployment.deploy import Deployment
from job.replay.files_target import FilesTarget
from job.replay.log_writer import count_lines
from job.replay.replay import Pace, replay
from job.settings.job_settings import load
from job.tables.query import QueryResult
from job.trial import accounted, launch, trial_cluster
from model.bundles.bundle import Bundle
from model.bundles.manifest import BundleError
from model.datasets.action_map import parse_action_map
from model.datasets.download import fetch_ml_100k
from model.datasets.prepare import Request, prepare
from model.datasets.prepared import Dataset
from model.datasets.sources import SOURCES
from model.errors import RecloopError
from model.folders import FolderKind, claim_folder
from model.waiting import polls
from udfs.log.file_log import partition_file

CUT = 0.8
SAMPLES = 300
SAMPLES_PER_S = 10.0
PARTITIONS = 4
_POLL_S = 0.5
_DEMO = FolderKind("a demonstration's folder", "bundle/manifest.json", frozenset({"contract_version"}), ("*",))

Count = Callable[[int], None]


class DemoError(RecloopError):
    """A step did not finish; the message says where to look."""


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of the demonstration."""

    root: Path = Path(".recloop")

    @property
    def data(self) -> Path:
        """The prepared data set."""
        return self.root / "data" / "ml-100k"

    @property
    def bundle(self) -> Path:
        """The trained bundle."""
        return self.root / "demo" / "bundle"

    @property
    def cluster(self) -> Path:
        """The cluster's state folder."""
        return self.root / "demo" / "cluster"

    @property
    def log(self) -> Path:
        """The embedded log."""
        return self.root / "demo" / "log"

    @property
    def tables(self) -> Path:
        """The output tables."""
        return self.root / "demo" / "tables"

    @property
    def lists(self) -> Path:
        """The files of published lists."""
        return self.root / "demo" / "lists"

    @property
    def serving(self) -> Path:
        """The server's own copy of the lists."""
        return self.root / "demo" / "serving"


def demo_cluster(folders: Folders, report: Progress, *, keep: bool) -> AbstractContextManager[RunningCluster]:
    """Start a JobManager and one TaskManager, with an empty log and empty tables.

    A cluster that an earlier run kept is stopped.
    """
    if (kept := find(folders.cluster)) is not None:
        report("stopping the one of an earlier run")
        kept.stop()
    claim_folder(folders.cluster.parent, _DEMO)
    for folder in (folders.log, folders.tables, folders.lists, folders.serving):
        shutil.rmtree(folder, ignore_errors=True)
    return trial_cluster(ClusterSpec(folders.cluster), report=report, keep=keep)


def prepare_data(folders: Folders, on_progress: Count) -> Dataset:
    """Return MovieLens-100K as behaviours in time order; it is downloaded once."""
    path = fetch_ml_100k(folders.root / "cache")
    request = Request("ml-100k", "ml-100k", path, parse_action_map("", SOURCES["ml-100k"].actions))
    return prepare(request, folders.data, progress=on_progress).dataset


def train_bundle(dataset: Dataset, folders: Folders, report: Progress) -> Bundle:
    """Train SASRec on the first 80 %, or return an earlier run's bundle if its training data is the same."""
    try:
        there = Bundle.load(folders.bundle)
    except BundleError:
        there = None
    if there is not None and there.manifest.training.fingerprint == dataset.info.fingerprint:
        report("using the bundle of an earlier run")
        return there
    # Imported here: torch takes seconds.
    from model.fit import FitConfig, fit
    from model.training.train import EpochDone

    def on_progress(news: EpochDone | str) -> None:
        report(news if isinstance(news, str) else f"epoch {news.epoch}, loss {news.loss:.3f}")

    return fit(dataset, folders.bundle, FitConfig(cut=CUT), datetime.now(UTC), on_progress).bundle


def deploy_job(cluster: RunningCluster, folders: Folders, report: Progress) -> Deployment:
    """Deploy the job with empty state."""
    keep_compacted(cluster, folders.tables)
    return launch(cluster, load(overrides=places(folders)), report=report)


def places(folders: Folders) -> list[str]:
    """Return the settings that name the demonstration's folders, in the format of `--set`."""
    named = {
        "log.folder": folders.log,
        "tables.folder": folders.tables,
        "publish.lists_folder": folders.lists,
        "scoring.bundle": folders.bundle,
    }
    return [f"{name}={json.dumps(str(folder))}" for name, folder in named.items()]


def replay_through(dataset: Dataset, folders: Folders, on_progress: Count) -> None:
    """Replay all but the last 300 behaviours at full speed, and wait for the job's lists of them."""
    bulk = dataset.info.behaviors - SAMPLES
    with FilesTarget(folders.log, PARTITIONS) as log:
        replay(dataset, log, limit=bulk)
    _wait_for(folders, bulk, on_progress, timeout_s=300)


def measure_freshness(dataset: Dataset, folders: Folders, on_progress: Count) -> None:
    """Replay the last 300 behaviours at 10 a second, as a live log would grow."""
    bulk = dataset.info.behaviors - SAMPLES
    with FilesTarget(folders.log, PARTITIONS) as log:
        replay(dataset, log, pace=Pace(rate=SAMPLES_PER_S), on_progress=lambda there: on_progress(there - bulk))
    _wait_for(folders, dataset.info.behaviors, lambda _: None, timeout_s=60)


def count_files(folders: Folders) -> int:
    """Return the number of files of the tables; a compactor beside the job keeps them few."""
    return sum(1 for file in folders.tables.rglob("*") if file.is_file() and not file.name.startswith("."))


def ask(folders: Folders, sql: str) -> QueryResult:
    """Run a query over the tables."""
    from job.tables import duck  # the `recloop` command starts without it

    return duck.query(folders.tables, sql)


def offsets(folders: Folders) -> int:
    """Return the number of records in the log."""
    return sum(count_lines(partition_file(folders.log, partition)) for partition in range(PARTITIONS))


def _wait_for(folders: Folders, wanted: int, on_progress: Count, *, timeout_s: float) -> None:
    """Wait until the tables have a row for so many offsets, and a list for every applied behaviour.

    Raises:
        DemoError: they did not in time.
    """
    for _ in polls(timeout_s=timeout_s, poll_s=_POLL_S):
        seen = accounted(folders.tables)
        on_progress(seen)
        if seen >= wanted:
            return
    msg = f"only {seen:,} of {wanted:,} offsets were in the tables after {timeout_s:g} s: recloop status"
    raise DemoError(msg)
