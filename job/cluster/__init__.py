"""A local Flink cluster from the installed apache-flink: a JobManager and TaskManagers, supervised."""

from job.cluster.errors import (
    ClusterError,
    JavaNotFoundError,
    NotFlinkError,
    NotFoundError,
    NotRunningError,
    RefusedError,
    RestError,
    SettingRefusedError,
    StartFailedError,
    TimedOutError,
    UnfitClusterError,
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
    "NotFlinkError",
    "NotFoundError",
    "NotRunningError",
    "RefusedError",
    "RestError",
    "RunningCluster",
    "SettingRefusedError",
    "StartFailedError",
    "TaskManagerProcess",
    "TimedOutError",
    "UnfitClusterError",
    "UnreachableError",
    "find",
    "start",
    "stop",
]
