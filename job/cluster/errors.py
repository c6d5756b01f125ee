"""Errors of a local cluster: one tree of exceptions.

ClusterError                  the root; its text says what to do
├── JavaNotFoundError         no Java 17 or 21
├── SettingRefusedError       a setting of ours or of Flink's that cannot work
├── StartFailedError          a process died or was not ready in time
├── UnfitClusterError         the job would fail later on this cluster
├── NotRunningError           no cluster runs in this folder
└── RestError                 a call of Flink's REST interface failed
    ├── UnreachableError      nobody answers
    ├── NotFlinkError         something other than a Flink JobManager answers
    ├── NotFoundError         Flink does not know this job, vertex or path
    ├── RefusedError          Flink refused the request; the text holds its reason
    │   └── FaultError        Flink itself is at fault
    └── TimedOutError         polling ended before Flink was done
"""

from model.errors import RecloopError


class ClusterError(RecloopError):
    """Anything wrong with a local Flink cluster."""


class JavaNotFoundError(ClusterError):
    """No Java 17 or 21 was found."""


class SettingRefusedError(ClusterError):
    """A setting cannot work; the text names it."""


class StartFailedError(ClusterError):
    """The cluster did not get ready; everything that was started has been ended."""


class NotRunningError(ClusterError):
    """No cluster runs in this folder."""


class UnfitClusterError(ClusterError):
    """The job would fail later on this cluster; each line of the text names a fault and its remedy."""


class RestError(ClusterError):
    """A call of Flink's REST interface failed."""


class UnreachableError(RestError):
    """Nobody answers at the REST address."""


class NotFlinkError(RestError):
    """Something other than Flink answers at the REST address: a proxy's page, a login, another service."""


class NotFoundError(RestError):
    """Flink does not know the job, vertex or path that was asked for."""


class RefusedError(RestError):
    """Flink refused the request; the text holds its reason."""


class FaultError(RefusedError):
    """Flink answered with an error of its own, as it does at the moment when tasks are cancelled."""


class TimedOutError(RestError):
    """An event that was polled for did not happen in time."""
