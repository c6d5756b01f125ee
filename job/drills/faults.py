"""The faults that a drill can inject: each one small class, found by its name."""

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

from job.cluster import FlinkRest, RunningCluster
from job.drills.evidence import Expectation


@dataclass(frozen=True, slots=True)
class RunningJob:
    """What a fault may lay hands on beside the cluster.

    Attributes:
        rest: a client of the cluster's REST interface.
        job_id: Flink's id.
        log: the folder of the behaviour log.
        tables: the folder of the output tables.
    """

    rest: FlinkRest
    job_id: str
    log: Path
    tables: Path


@dataclass(frozen=True, slots=True)
class Injected:
    """When a fault struck, epoch ms, and what it struck, in words."""

    at_ms: int
    what: str


class Fault(ABC):
    """One way to break a running job; the class's docstring says it in one line.

    Attributes:
        name: on the command line, in verdict.json and as the run's folder.
        expects: what it does to a job that recovers as it should.
    """

    name: ClassVar[str]
    expects: ClassVar[Expectation] = Expectation()

    @property
    def doc(self) -> str:
        """What it does, in one line."""
        return (type(self).__doc__ or "").splitlines()[0]

    @abstractmethod
    def inject(self, cluster: RunningCluster, job: RunningJob) -> Injected:
        """Breaks it, now; the moment is taken just before.

        Raises:
            ClusterError: there is nothing to break.
        """


class KillTaskManager(Fault):
    """End a TaskManager's JVM with SIGKILL; its Python workers go with it, and a new one takes its place."""

    name = "kill-task-manager"

    def inject(self, cluster: RunningCluster, job: RunningJob) -> Injected:
        """Kills the first TaskManager."""
        at_ms = now_ms()
        pid = cluster.kill_task_manager(0, signal.SIGKILL)
        return Injected(at_ms, f"TaskManager 0 (process {pid}) got SIGKILL")


def now_ms() -> int:
    """The clock, epoch ms."""
    return int(time.time() * 1000)


FAULTS: Mapping[str, Fault] = MappingProxyType({fault.name: fault for fault in (KillTaskManager(),)})
"""All faults by name, in the order in which a drill of all of them takes them."""
SMOKE_FAULTS = (KillTaskManager.name,)
"""What `recloop drill --smoke` injects."""
