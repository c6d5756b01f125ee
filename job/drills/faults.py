"""The faults that a drill can inject: a small class for each, found by its name."""

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
    """The parts of a running job that a fault may use, besides the cluster.

    Attributes:
        rest: a client of the cluster's REST interface.
        job_id: Flink's id of the job.
        log: the folder of the behaviour log.
        tables: the folder of the output tables.
    """

    rest: FlinkRest
    job_id: str
    log: Path
    tables: Path


@dataclass(frozen=True, slots=True)
class Injected:
    """The moment a fault was injected, epoch ms, and a description of what it hit."""

    at_ms: int
    description: str


class Fault(ABC):
    """A method to break a running job; the first line of the class's docstring is shown to users.

    Attributes:
        name: the fault's name on the command line and in verdict.json, and the name of the run's folder.
        expects: its effect on a job that recovers correctly.
    """

    name: ClassVar[str]
    expects: ClassVar[Expectation] = Expectation()

    @property
    def doc(self) -> str:
        """The description of the fault, in one line."""
        return (type(self).__doc__ or "").splitlines()[0]

    @abstractmethod
    def inject(self, cluster: RunningCluster, job: RunningJob) -> Injected:
        """Inject the fault now; the recorded moment is taken just before.

        Raises:
            ClusterError: there is nothing to break.
        """


class KillTaskManager(Fault):
    """End a TaskManager's JVM with SIGKILL; its Python workers go with it, and a new one takes its place."""

    name = "kill-task-manager"

    def inject(self, cluster: RunningCluster, job: RunningJob) -> Injected:
        """Kill the first TaskManager."""
        at_ms = now_ms()
        pid = cluster.kill_task_manager(0, signal.SIGKILL)
        return Injected(at_ms, f"TaskManager 0 (process {pid}) got SIGKILL")


def now_ms() -> int:
    """Return the current time, epoch ms."""
    return int(time.time() * 1000)


FAULTS: Mapping[str, Fault] = MappingProxyType({fault.name: fault for fault in (KillTaskManager(),)})
"""All faults by name, in the order in which a drill of all of them injects them."""
SMOKE_FAULTS = (KillTaskManager.name,)
"""The faults that `recloop drill --smoke` injects."""
