"""Faults of deployments: a TaskManager dies in the middle of one, and the job goes on with another parallelism."""

import signal
from typing import ClassVar

from job.deployment.deploy import DeployError
from job.drills.errors import DrillError
from job.drills.evidence import Expectation
from job.drills.faults.fault import Fault, Injected
from job.drills.site import Site, now_ms

_READY_S = 90.0


class _KillWhile(Fault):
    """A TaskManager killed at a step of a deployment; one that fails of it is repeated.

    Attributes:
        step: the step, of `job.deployment.steps.STEPS`.
    """

    step: ClassVar[str]
    combines = False
    mends_within_s: ClassVar[float] = 300.0

    def inject(self, site: Site) -> Injected:
        """Deploy the job again, and kill the first TaskManager at the step."""
        killed: list[int] = []

        def kill(step: str) -> None:
            if step == self.step and not killed:
                killed.append(now_ms())
                site.cluster.kill_task_manager(0, signal.SIGKILL)

        outcome = "which succeeded all the same"
        try:
            site.redeploy(on_step=kill)
        except DeployError:
            site.cluster.wait_until_ready(timeout_s=_READY_S)
            site.redeploy()
            outcome = "which failed, and was repeated"
        if not killed:
            msg = f"no deployment came to the step {self.step!r}"
            raise DrillError(msg)
        return Injected(killed[0], f"TaskManager 0 got SIGKILL at the step {self.step!r} of a deployment, {outcome}")


class KillWhileSaving(_KillWhile):
    """Kill a TaskManager while a deployment stops the job with a savepoint."""

    name = "kill-while-saving"
    step = "stopping"


class KillWhileDeploying(_KillWhile):
    """Kill a TaskManager when a deployment has just submitted the job."""

    name = "kill-while-deploying"
    step = "submitted"
    expects = Expectation(reprocesses=False)


class RescaleUp(Fault):
    """Deploy the job with one subtask more of each operator."""

    name = "rescale-up"
    combines = False
    expects = Expectation(reprocesses=False, stands=False)

    def prepare(self, site: Site) -> None:
        """Start another TaskManager."""
        site.cluster.scale(site.settings.flink.parallelism + 1)
        site.cluster.wait_until_ready(timeout_s=_READY_S)

    def inject(self, site: Site) -> Injected:
        """Deploy it."""
        return _rescale(site, site.settings.flink.parallelism + 1)


class RescaleDown(Fault):
    """Deploy the job with one subtask fewer of each operator."""

    name = "rescale-down"
    combines = False
    expects = Expectation(reprocesses=False, stands=False)

    def inject(self, site: Site) -> Injected:
        """Deploy it."""
        return _rescale(site, site.settings.flink.parallelism - 1)


def _rescale(site: Site, parallelism: int) -> Injected:
    before, stopped = site.settings.flink.parallelism, [now_ms()]

    def note(step: str) -> None:
        if step == "stopping":
            stopped.append(now_ms())

    site.redeploy(parallelism, on_step=note)
    return Injected(stopped[-1], f"the job was deployed with parallelism {parallelism} in place of {before}")
