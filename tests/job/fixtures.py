"""What the tests on a real cluster share: real data as a log with known faults in it, a small bundle, and runs."""

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from job.cluster import FlinkRest, RefusedError, RunningCluster
from job.deployment.deploy import Deployment
from job.deployment.shipping import PROJECT
from job.replay.log_writer import PartitionWriter, create_log
from job.settings.job_settings import load
from job.tables import duck
from job.tables.compaction import Compactor, Policy
from job.trial import accounted, end_job, launch
from model.bundles.bundle import Bundle
from model.datasets.action_map import parse_action_map
from model.datasets.download import fetch_ml_100k
from model.datasets.json_lines import encode_behavior
from model.datasets.prepare import Request, prepare
from model.datasets.prepared import Dataset
from model.datasets.sources import SOURCES
from tests.job.waiting import wait_until
from udfs.hashing import stable_hash

PARTITIONS = 4
REPEATED = 1_000
BAD_LINES = (
    b"not json",
    b'{"user_id": "1", "action": "click", "item_id": "2"}',
    b'{"user_id": 1.5, "action": "click", "item_id": "2", "timestamp": 880000000000}',
    b'{"user_id": "1", "action": "gaze", "item_id": "2", "timestamp": 880000000000}',
    b'{"user_id": "", "action": "click", "item_id": "2", "timestamp": 880000000000}',
    b'{"user_id": "1", "action": "click", "item_id": "%s", "timestamp": 880000000000}' % (b"x" * 257),
    b'{"user_id": "1", "action": "click", "item_id": "2", "timestamp": -1}',
    b'{"user_id": "1", "action": "click", "item_id": "2", "timestamp": 4000000000000000}',
    b'{"user_id": "1", "action": "click", "item_id": "2", "timestamp": 1000}',
    b"\xff\xfe\x00",
)
BAD = 1_000


@dataclass(frozen=True, slots=True)
class Log:
    """A log on disk and what it holds."""

    folder: Path
    applied: int
    duplicates: int
    dead_letters: int

    @property
    def offsets(self) -> int:
        return self.applied + self.duplicates + self.dead_letters


@dataclass(frozen=True, slots=True)
class Run:
    """One deployment over a log, and its tables."""

    cluster: RunningCluster
    deployment: Deployment
    tables: Path

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        return list(duck.query(self.tables, sql).rows)

    def count(self, view: str, condition: str = "true") -> int:
        return int(str(self.rows(f"SELECT count(*) FROM {view} WHERE {condition}")[0][0]))

    def compact(self) -> None:
        """One pass over the tables, as a compactor beside the job makes it; also of few files."""
        Compactor(self.tables, Policy(max_small_files=4)).run_once(int(time.time() * 1000))

    def wait_for_offsets(self, offsets: int, *, timeout_s: float = 240) -> None:
        """Until the tables hold something of every offset, and a list of every applied behaviour.

        They are compacted meanwhile: no count may change by that, and no restore may stumble over it.
        """

        def there() -> bool:
            self.compact()
            return accounted(self.tables) >= offsets

        wait_until(there, timeout_s=timeout_s, what=f"{offsets:,} offsets in the tables")

    def wait_for_lists(self, lists: int, *, timeout_s: float = 60) -> None:
        """Until the table holds so many."""
        wait_until(lambda: self.count("recommendation_lists") >= lists, timeout_s=timeout_s, what=f"{lists:,} lists")


@pytest.fixture(scope="session")
def ml_100k(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """MovieLens-100K; the download is kept in the project's own cache."""
    path = fetch_ml_100k(Path(".recloop/cache").absolute())
    request = Request("ml-100k", "ml-100k", path, parse_action_map("", SOURCES["ml-100k"].actions))
    return prepare(request, tmp_path_factory.mktemp("data") / "ml-100k").dataset


@pytest.fixture(scope="session")
def bundle(ml_100k: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A SASRec of one epoch: real, and quickly trained."""
    from model.fit import FitConfig, fit  # light tests need no torch, which takes seconds
    from model.training.train import TrainConfig

    config = FitConfig(cut=0.5, settings=TrainConfig(epochs=1))
    return fit(ml_100k, tmp_path_factory.mktemp("bundle") / "quick", config, datetime.now(UTC)).bundle


@pytest.fixture(scope="session")
def faulty_log(ml_100k: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Log:
    """All of MovieLens-100K, with 1,000 bad lines and 1,000 repeated events mixed in."""
    folder = tmp_path_factory.mktemp("log")
    lines = list(_faulty_lines(ml_100k))
    write_log(folder, lines)
    return Log(folder, ml_100k.info.behaviors, REPEATED, BAD)


def write_log(folder: Path, lines: Sequence[tuple[int, bytes]]) -> None:
    """Writes (partition, line) pairs into an embedded log."""
    create_log(folder, PARTITIONS)
    for partition in range(PARTITIONS):
        writer = PartitionWriter(folder, partition)
        writer.append(line for its, line in lines if its == partition)
        writer.close()


def _faulty_lines(dataset: Dataset) -> Iterator[tuple[int, bytes]]:
    draw = random.Random(7)
    number_of = dataset.info.behaviors
    repeated = set(draw.sample(range(number_of), REPEATED))
    # Behind the first ten thousand, so that a time long before is late in every partition.
    bad_after = sorted(draw.sample(range(10_000, number_of), BAD))
    for number, behavior in enumerate(dataset.behaviors()):
        line = encode_behavior(replace(behavior, event_id=f"event-{number}"))
        partition = stable_hash(behavior.user_id) % PARTITIONS
        yield partition, line
        if number in repeated:
            yield partition, line
        while bad_after and bad_after[0] == number:
            yield draw.randrange(PARTITIONS), BAD_LINES[len(bad_after) % len(BAD_LINES)]
            del bad_after[0]


Deploy = Callable[..., Run]


@pytest.fixture
def run_job(cluster: RunningCluster, bundle: Bundle, tmp_path: Path) -> Iterator[Deploy]:
    """Deploys over a log, with tables of its own; whatever was deployed is cancelled in the end."""
    with jobs_on(cluster, bundle, tmp_path) as deployed:
        yield deployed


@contextmanager
def jobs_on(cluster: RunningCluster, bundle: Bundle, folder: Path) -> Iterator[Deploy]:
    """The same on any cluster; the tables are in the folder."""
    deployed: list[str] = []

    def deployed_run(
        log: Path | None, *settings: str, tables: str = "tables", fresh: bool = True, code: Path = PROJECT
    ) -> Run:
        overrides = [
            *([f"log.folder={json.dumps(str(log))}"] if log else []),
            f"tables.folder={json.dumps(str(folder / tables))}",
            f"scoring.bundle={json.dumps(str(bundle.path))}",
            *settings,
        ]
        done = launch(cluster, load(overrides=overrides), fresh=fresh, code=code)
        deployed.append(done.job_id)
        return Run(cluster, done, folder / tables)

    yield deployed_run
    with FlinkRest(cluster.rest_url) as rest:
        for job_id in deployed:
            with suppress(RefusedError):  # it is over already
                end_job(rest, job_id)
