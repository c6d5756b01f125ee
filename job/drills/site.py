"""The site of a fault: a running job, its cluster, its growing log, and those that watch it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from job.cluster import FlinkRest, RestError, RunningCluster
from job.cluster.running import Progress
from job.deployment.deploy import DeployRequest, Target, deploy
from job.deployment.shipping import PROJECT
from job.drills.brokers import Brokers
from job.drills.collect import read_checkpoints, read_output
from job.drills.drill_log import DrillLog, Scale
from job.drills.errors import DrillError
from job.drills.evidence import CompletedCheckpoint, Output, Restore
from job.drills.feeder import Feeder
from job.drills.gate import Gate
from job.drills.published import published_lists
from job.drills.uncommitted import uncommitted_behaviors
from job.drills.watcher import Watcher
from job.settings.job_settings import JobSettings
from job.tables import duck
from job.trial import silent
from model.waiting import wait_until

_POLL_S = 0.1
MODEL = "drill"
"""The name of the model in a registry."""


class Needs(StrEnum):
    """The kind of cluster and job that a fault needs; faults of the same kind share one."""

    PLAIN = "plain"
    REGISTRY = "registry"
    HIGH_AVAILABILITY = "ha"
    SMALL_DISKS = "small disks"
    NETWORK = "network"
    CLOCKS = "clocks"
    KAFKA = "kafka"


@dataclass(frozen=True, slots=True)
class Setup:
    """The setup that all runs of a drill share.

    Attributes:
        scale: the sizes of the drill.
        log: the finished log; each run gets a copy of it.
        bundle: the folder of the bundle.
        trained: the folder of the same model without its gate.
        gate: the gate of its model.
        code: the folder that holds the packages of the deployed job.
    """

    scale: Scale
    log: DrillLog
    bundle: Path
    trained: Path
    gate: Gate
    code: Path = PROJECT


@dataclass(slots=True)
class Site:
    """A running job that faults are injected into, one after the other.

    Attributes:
        cluster: its cluster.
        rest: a client of the cluster's REST interface.
        settings: the settings that the job was deployed with last.
        setup: what all runs share.
        watcher: the job's watcher, which knows its present id.
        feeder: the writer of its log.
        segment: the number of the log's segment that is being fed.
        report: called at each step.
        kafka: the brokers of its log and of what it publishes; None where these are files.
    """

    cluster: RunningCluster
    rest: FlinkRest
    settings: JobSettings
    setup: Setup
    watcher: Watcher
    feeder: Feeder
    report: Progress
    segment: int = 0
    kafka: Brokers | None = None

    @property
    def brokers(self) -> Brokers:
        """The brokers of a run over Kafka.

        Raises:
            DrillError: it is over files.
        """
        if self.kafka is None:
            msg = "this fault needs a run over Kafka"
            raise DrillError(msg)
        return self.kafka

    @property
    def job_id(self) -> str:
        """Flink's id of the job that runs, or ran last."""
        return self.watcher.job_id

    @property
    def tables(self) -> Path:
        """The folder of the output tables."""
        return self.settings.tables.folder

    def wait(self, wanted: Callable[[], object], *, timeout_s: float) -> bool:
        """Wait until something is so; return False if it is not in time."""
        return bool(wait_until(wanted, timeout_s=timeout_s, poll_s=_POLL_S))

    def count(self, sql: str) -> int:
        """Return the number that a query over the tables gives."""
        return int(str(duck.query(self.tables, sql).rows[0][0]))

    def in_segment(self) -> str:
        """Return the SQL condition that rows are of records of the present segment."""
        starts = enumerate(self.setup.log.start(self.segment))
        return " OR ".join(f"(log_partition = {partition} AND log_offset >= {start})" for partition, start in starts)

    def read_output(self) -> Output:
        """Return all rows that the judges need, by the numbers of their records."""
        log = self.feeder.log
        ends = dict(enumerate(log.lengths()))
        return read_output(ends, self.tables, published_lists(self.settings)).numbered(log.number_of)

    def checkpoints(self) -> tuple[tuple[CompletedCheckpoint, ...], Restore | None]:
        """Return the present job's completed checkpoints, and its newest restore."""
        return read_checkpoints(self.rest, self.job_id)

    def newest_checkpoint(self) -> CompletedCheckpoint | None:
        """Return the newest completed checkpoint of the present job, or None."""
        return max(self.checkpoints()[0], key=lambda each: each.checkpoint_id, default=None)

    def completes_another(self, *, timeout_s: float) -> bool:
        """Wait until the job completes a checkpoint that begins from now on; return False if it is not in time."""
        try:
            history = self.rest.checkpoints(self.job_id).history
        except RestError:
            return False
        begun = max((each.checkpoint_id for each in history), default=0)
        return self.wait(partial(self._completed_after, begun), timeout_s=timeout_s)

    def _completed_after(self, checkpoint_id: int) -> bool:
        try:
            return any(each.checkpoint_id > checkpoint_id for each in self.checkpoints()[0])
        except RestError:  # it may answer the next time
            return False

    def uncommitted_since(self, moment_ms: int) -> int:
        """Return how many behaviours were processed after a moment and are in no checkpoint."""
        return sum(row.written_at > moment_ms for row in uncommitted_behaviors(self.tables))

    def redeploy(self, parallelism: int | None = None, on_step: Progress = silent) -> None:
        """Deploy the job again, from its newest state.

        Args:
            parallelism: another one than before, which stays.
            on_step: called with each step of the deployment when it is done.

        Raises:
            DeployError: the job did not come up.
        """
        if parallelism is not None:
            flink = self.settings.flink.model_copy(update={"parallelism": parallelism})
            self.settings = self.settings.model_copy(update={"flink": flink})
        request = DeployRequest(
            target=Target.local(self.cluster),
            settings=self.settings,
            code=self.setup.code,
            on_progress=self.report,
            on_step=on_step,
        )
        deploy(request)


def now_ms() -> int:
    """Return the current time, epoch ms."""
    return int(time.time() * 1000)
