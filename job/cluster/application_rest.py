"""The REST interface of an application cluster, which answers only as long as its job runs."""

from job.cluster.application import end_of
from job.cluster.config import flink_configuration
from job.cluster.errors import NotFoundError, UnreachableError
from job.cluster.layout import Layout
from job.cluster.records import JobDetail, JobSummary
from job.cluster.rest import FlinkRest
from job.cluster.running import find
from job.cluster.spec import ClusterSpec
from model.waiting import wait_until

_END_S = 10.0
"""The time in which a supervisor has ended what is left when the JobManager is over: 2 s of grace on a busy machine."""
_POLL_S = 0.05


class ApplicationRest(FlinkRest):
    """A client of the cluster of one application; where no cluster runs, it knows no job.

    Args:
        spec: the cluster, with its ports.
    """

    def __init__(self, url: str, spec: ClusterSpec) -> None:
        super().__init__(url)
        self._spec = spec

    def jobs(self) -> list[JobSummary]:
        """Return the application's job; nothing where no cluster runs."""
        return super().jobs() if self._runs else []

    def job(self, job_id: str) -> JobDetail:
        """Return the job with its vertices.

        Raises:
            NotFoundError: the cluster does not know it, or has ended; the text says why it ended.
        """
        try:
            return super().job(job_id)
        except UnreachableError as error:
            # The REST interface ends with the job, some time before the cluster is known not to run.
            if not wait_until(lambda: not self._runs, timeout_s=_END_S, poll_s=_POLL_S):
                raise
            raise NotFoundError(self._end) from error

    def configuration(self) -> dict[str, str]:
        """Return the settings that the JobManager was started with, or will be."""
        return super().configuration() if self._runs else flink_configuration(self._spec)

    @property
    def _runs(self) -> bool:
        return find(self._spec.directory) is not None

    @property
    def _end(self) -> str:
        return end_of(Layout(self._spec.directory)) or f"no cluster runs in {self._spec.directory}"
