"""Faults of processes: TaskManagers and Python workers that are killed or stopped."""

import os
import signal
from contextlib import suppress
from functools import partial
from typing import ClassVar

import psutil

from job.cluster import NotRunningError
from job.cluster.processes import marked
from job.cluster.running import TaskManagerProcess
from job.drills.evidence import Expectation
from job.drills.faults.fault import Fault, Injected
from job.drills.footprint import WORKER, kind_of
from job.drills.site import Site, now_ms

_KILLS = 10
_REGISTERED_S = 60.0
_BACKLOG = 1_000


class KillTaskManager(Fault):
    """End a TaskManager's JVM with SIGKILL; its Python workers go with it, and a new one takes its place."""

    name = "kill-task-manager"

    def inject(self, site: Site) -> Injected:
        """Kill the first TaskManager that has tasks."""
        victim, at_ms = _busy(site), now_ms()
        pid = site.cluster.kill_task_manager(victim.index, signal.SIGKILL)
        return Injected(at_ms, f"{victim.name} (process {pid}) got SIGKILL")


class KillPythonWorker(Fault):
    """End a Python worker, which calls the model, with SIGKILL; its TaskManager lives on."""

    name = "kill-python-worker"

    def inject(self, site: Site) -> Injected:
        """Kill every worker process of one TaskManager."""
        victim, at_ms = _busy(site), now_ms()
        workers = [process for process in marked(site.cluster.layout) if _is_worker(process, victim.pgid)]
        if not workers:
            msg = f"score-candidates has no Python worker on {victim.name}"
            raise NotRunningError(msg)
        for worker in workers:
            with suppress(psutil.NoSuchProcess):
                worker.kill()
        return Injected(at_ms, f"the Python worker of {victim.name} ({len(workers)} processes) got SIGKILL")


class FreezeTaskManager(Fault):
    """Stop a TaskManager past its heartbeat, and let it go on when another does its work: it may commit nothing."""

    name = "freeze-task-manager"
    touches = "a frozen TaskManager"
    expects = Expectation(stands=False)

    def prepare(self, site: Site) -> None:
        """Start another TaskManager, to take over."""
        site.cluster.scale(len(site.cluster.task_managers()) + 1)
        site.cluster.wait_until_ready(timeout_s=_REGISTERED_S)

    def inject(self, site: Site) -> Injected:
        """Stop the JVM and the workers of a TaskManager that has tasks."""
        victim, at_ms = _busy(site), now_ms()
        os.killpg(victim.pgid or 0, signal.SIGSTOP)
        self._group = victim.pgid or 0
        return Injected(at_ms, f"{victim.name} (process {victim.pid}) got SIGSTOP, and SIGCONT once the job ran again")

    def evidence(self, site: Site, injected: Injected) -> str | None:
        """Wait until all tasks run elsewhere, so that the TaskManager wakes beside its successor."""
        detected_ms, restarted_ms = site.watcher.outage(injected.at_ms)
        if detected_ms is None or restarted_ms is None:
            return None
        return f"its tasks were given up {detected_ms - injected.at_ms} ms after it stopped, and ran elsewhere"

    def mend(self, site: Site) -> None:
        """Let it go on."""
        with suppress(ProcessLookupError):
            os.killpg(self._group, signal.SIGCONT)


class KillFullBatch(Fault):
    """Kill a TaskManager while a call of the model is out, and more behaviours wait than a batch holds."""

    name = "kill-full-batch"
    combines = False

    def is_moment(self, site: Site) -> bool:
        """Have the model hang from the usual moment on, until so much has piled up."""
        if not super().is_moment(site):
            return False
        site.setup.gate.shut()
        appended = site.feeder.appended
        return site.wait(lambda: site.feeder.appended >= appended + _BACKLOG, timeout_s=_REGISTERED_S)

    def inject(self, site: Site) -> Injected:
        """Kill the first TaskManager, then let the model answer."""
        at_ms = now_ms()
        pid = site.cluster.kill_task_manager(0, signal.SIGKILL)
        site.setup.gate.open()
        return Injected(at_ms, f"TaskManager 0 (process {pid}) got SIGKILL with {_BACKLOG:,} behaviours in flight")


class KillAgainAndAgain(Fault):
    """Kill TaskManagers ten times in a row, each as soon as it is back, in every phase of the restart."""

    name = "kill-again-and-again"
    combines = False
    mends_within_s: ClassVar[float] = 300.0

    def inject(self, site: Site) -> Injected:
        """Kill one TaskManager after the other."""
        at_ms = now_ms()
        number = len(site.cluster.task_managers())
        for kill in range(_KILLS):
            site.wait(partial(_is_registered, site, kill % number), timeout_s=_REGISTERED_S)
            site.cluster.kill_task_manager(kill % number, signal.SIGKILL)
        return Injected(at_ms, f"{number} TaskManagers in turn got SIGKILL {_KILLS} times")


def _busy(site: Site) -> TaskManagerProcess:
    """Return the first living TaskManager that has tasks: others are spare.

    Raises:
        NotRunningError: there is none.
        RestError: the JobManager does not answer.
    """
    vertices = site.rest.job(site.job_id).vertices
    busy = {name for each in vertices for name in site.rest.task_managers_of(site.job_id, each.vertex_id)}
    found = next((each for each in site.cluster.task_managers() if each.resource_id in busy and each.pgid), None)
    if found is None:
        msg = "no TaskManager of the cluster has tasks of the job now"
        raise NotRunningError(msg)
    return found


def _is_registered(site: Site, index: int) -> bool:
    return site.cluster.task_managers()[index].resource_id is not None


def _is_worker(process: psutil.Process, group: int | None) -> bool:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied, ProcessLookupError):
        return kind_of(process.cmdline()) == WORKER and os.getpgid(process.pid) == group
    return False
