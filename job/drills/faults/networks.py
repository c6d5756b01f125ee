"""Faults of the network between the processes of a cluster: packets of some do not arrive for a while."""

from typing import ClassVar

from job.drills.evidence import Expectation
from job.drills.faults.fault import Fault, Injected
from job.drills.network import JOB_MANAGER, Network, why_no_network
from job.drills.site import Needs, Site, now_ms

_CUT_MS = 15_000
_FIRST, _SECOND = JOB_MANAGER + 1, JOB_MANAGER + 2
"""The numbers of two TaskManagers."""


class _Cut(Fault):
    """Two members of the network that are cut off from each other.

    Attributes:
        ends: their numbers.
        description: the same in words.
    """

    needs = Needs.NETWORK
    combines = False  # a TaskManager that another fault starts has no place in the network
    ends: ClassVar[tuple[int, int]]
    description: ClassVar[str]

    def unavailable(self) -> str | None:
        """Return why there is no network of its own."""
        return why_no_network()

    def inject(self, site: Site) -> Injected:
        """Cut them off."""
        at_ms = now_ms()
        _network(site).cut(*self.ends)
        return Injected(at_ms, f"no packet passed between {self.description}")

    def mend(self, site: Site) -> None:
        """Let packets through."""
        _network(site).join(*self.ends)


class CutJobManager(_Cut):
    """Cut the network between the JobManager and a TaskManager until that is given up, and join it again."""

    name = "cut-job-manager"
    ends = (JOB_MANAGER, _FIRST)
    description = "the JobManager and TaskManager 0"

    def evidence(self, site: Site, injected: Injected) -> str | None:
        """Wait until the JobManager has given the TaskManager up, which lives."""
        stopped, victim = super().evidence(site, injected), site.cluster.task_managers()[0]
        if stopped is None or victim.resource_id is not None or victim.pid is None:
            return None
        return f"TaskManager 0 (process {victim.pid}) lived on, and was given up; {stopped}"


class CutTaskManagers(_Cut):
    """Cut the network between two TaskManagers for 15 s: no checkpoint completes meanwhile, and nothing restarts."""

    name = "cut-task-managers"
    expects = Expectation(restarts=False, reprocesses=False)
    ends = (_FIRST, _SECOND)
    description = f"TaskManagers 0 and 1 for {_CUT_MS / 1000:g} s"

    def evidence(self, site: Site, injected: Injected) -> str | None:
        """Wait until the time is over, in which no checkpoint that began after the cut completed."""
        if now_ms() < injected.at_ms + _CUT_MS:
            return None
        history = site.rest.checkpoints(site.job_id).history
        begun = [each for each in history if each.trigger_ms > injected.at_ms]
        if not begun or any(each.status == "COMPLETED" for each in begun):
            return None
        first = begun[-1]
        return f"checkpoint {first.checkpoint_id} stood at {first.acknowledged} of {first.subtasks} subtasks"


def _network(site: Site) -> Network:
    return Network(site.cluster.directory.parent, site.setup.scale.parallelism)
