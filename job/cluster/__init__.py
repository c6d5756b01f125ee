"""A local Flink cluster from the installed apache-flink: a JobManager and TaskManagers, supervised."""

from job.cluster.errors import (
    ClusterError,
    JavaNotFoundError,
    NotFoundError,
    NotRunningError,
    RefusedError,
    RestError,
    SettingRefusedError,
    StartFailedError,
    TimedOutError,
    UnreachableError,
)
from job.cluster.gpus import GpuTaskManagers
from job.cluster.lifecycle import start, stop
from job.cluster.rest import FlinkRest
from job.cluster.running import RunningCluster, TaskManagerProcess, find
from job.cluster.spec import DEFAULT_DIRECTORY, ClusterSpec

__all__ = [
    "DEFAULT_DIRECTORY",
    "ClusterError",
    "ClusterSpec",
    "FlinkRest",
    "GpuTaskManagers",
    "JavaNotFoundError",
    "NotFoundError",
    "NotRunningError",
    "RefusedError",
    "RestError",
    "RunningCluster",
    "SettingRefusedError",
    "StartFailedError",
    "TaskManagerProcess",
    "TimedOutError",
    "UnreachableError",
    "find",
    "start",
    "stop",
]
