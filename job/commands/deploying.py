"""The parts that the commands share which replace a job: their options, the cluster, the request and its report."""

import json
import re
import shlex
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.status import Status
from rich.text import Text

from job.cluster import ClusterSpec, find
from job.commands.comparison_output import print_comparison
from job.commands.options import LONGEST_S, console, running_cluster
from job.commands.output import print_line
from job.deployment.compacting import keep_compacted
from job.deployment.deploy import REMOTE_DEPLOYMENTS, Deployment, DeployRequest, Target
from job.deployment.keep_running import keep_running
from job.settings.job_settings import JobSettings

CheckpointsFolder = Annotated[
    Path | None, typer.Option("--checkpoints", help="That cluster's checkpoint folder, where this machine sees it.")
]
Wait = Annotated[
    float,
    typer.Option(
        "--wait", min=1, max=LONGEST_S, help="Seconds for all tasks to run and the first checkpoint; then the old job."
    ),
]
JobName = Annotated[str, typer.Option("--job-name", help="The job's name.")]


@dataclass(frozen=True, slots=True)
class Place:
    """A cluster that a command deploys to.

    Attributes:
        target: the cluster.
        local: the folder of a cluster on this machine, which may be started by the deployment; else None.
    """

    target: Target
    local: Path | None

    @classmethod
    def of(cls, directory: Path, jobmanager: str | None, checkpoints: Path | None) -> "Place":
        """Return the cluster in a folder, or the one elsewhere.

        Raises:
            NotRunningError: no cluster runs in the folder.
            DeployError: the one elsewhere cannot be deployed to from here.
        """
        if jobmanager:
            return cls(Target.remote(jobmanager, REMOTE_DEPLOYMENTS, checkpoints), None)
        return cls(Target.local(running_cluster(directory)), directory)

    @classmethod
    def of_application(cls, spec: ClusterSpec) -> "Place":
        """Return the cluster that a deployment starts for its job alone.

        Raises:
            DeployError: a session cluster runs in its folder.
            ClusterError: the cluster cannot be as it is specified.
        """
        return cls(Target.for_application(spec), spec.directory)

    def request(self, settings: JobSettings, spinner: Status, wait_s: float) -> DeployRequest:
        """Return the request to deploy with these settings, whose progress is shown."""
        command = shlex.join(["recloop", *sys.argv[1:]])
        return DeployRequest(
            target=self.target,
            settings=settings,
            wait_s=wait_s,
            retry=re.sub(r"://[^/\s]*@", "://", command),  # without user names and passwords in URLs
            on_progress=spinner.update,
            on_comparison=print_comparison,
        )

    def keep_up(self, settings: JobSettings) -> None:
        """Let the supervisor of a local cluster keep the job running, and its tables in few files."""
        if self.local is not None and (cluster := find(self.local)) is not None:
            keep_compacted(cluster, settings.tables.folder)
            keep_running(cluster, settings.job_name)

    def report(self, done: Deployment, *, as_json: bool, **more: object) -> None:
        """Print the job that runs now."""
        if as_json:
            print_line(json.dumps({**asdict(done), **more}, default=str))
            return
        state = f"went on from {done.restored_from}" if done.restored_from else "began with empty state"
        console.print(Text.assemble("Job ", (done.job_id, "bold"), f" runs; it {state}"))
        console.print(f"code {done.code}, settings {done.settings}, web page {self.target.rest_url}")
