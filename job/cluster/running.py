"""A running cluster: its processes, its REST interface, and the operations on them."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from job.cluster.application import Application
from job.cluster.config import LOOPBACK
from job.cluster.errors import NotRunningError, RestError, StartFailedError
from job.cluster.high_availability import leader
from job.cluster.java import find_java
from job.cluster.jvm import environment
from job.cluster.layout import JOB_MANAGER, STANDBY, Layout, flink_home, has_gpu, is_task_manager
from job.cluster.logs import first_error
from job.cluster.plan import add_service, read_spec, read_started_spec, write_plan
from job.cluster.processes import Supervised, SupervisorState, end_all, exclusive, read_state
from job.cluster.rest import FlinkRest
from model.waiting import polls, wait_until

_POLL_S = 0.05
_REACTION_S = 2.0

Progress = Callable[[str], None]


@dataclass(frozen=True)
class TaskManagerProcess:
    """A TaskManager of a running cluster.

    Attributes:
        index: its number, from 0; those with a GPU come after the others.
        name: its name, which its files carry too.
        pid: the JVM's process id; None while it is down.
        pgid: the group of the JVM and its Python workers; None while it is down.
        incarnation: how many times it was started.
        resource_id: the id it is registered under; None while it is not registered.
    """

    index: int
    name: str
    pid: int | None
    pgid: int | None
    incarnation: int
    resource_id: str | None


@dataclass(frozen=True)
class RunningCluster:
    """A cluster whose supervisor lives.

    Attributes:
        directory: its state folder.
        rest_url: the address of its REST interface and web page.
        supervisor_pid: the process id of its supervisor.
        metrics_url: the address that Prometheus reads the metrics at; None if none are collected.
        application: the one job that its JobManager runs itself; None if it is a session cluster.
    """

    directory: Path
    rest_url: str
    supervisor_pid: int
    metrics_url: str | None = None
    application: Application | None = None

    @property
    def layout(self) -> Layout:
        """The paths in the state folder."""
        return Layout(self.directory)

    @property
    def job_manager_pid(self) -> int | None:
        """The JobManager's process id; None while it is down."""
        return _pid(self._state(), JOB_MANAGER)

    def rest(self) -> FlinkRest:
        """Return a client of the REST interface; close it, or use it in a with statement."""
        return FlinkRest(self.rest_url)

    def task_managers(self) -> list[TaskManagerProcess]:
        """Return the TaskManagers, by index.

        Raises:
            NotRunningError: if the cluster has been stopped.
        """
        members = _task_managers(self._state())
        registered = self._registered() or set()
        return [
            TaskManagerProcess(
                index=index,
                name=member.name,
                pid=member.pid,
                pgid=member.pid,
                incarnation=member.incarnation,
                resource_id=_resource_id(member) if _resource_id(member) in registered else None,
            )
            for index, member in enumerate(members)
        ]

    def kill_task_manager(self, index: int, signal: int = signal.SIGKILL) -> int:
        """Send a signal to the JVM of a TaskManager and to no other process; the supervisor ends its workers.

        After a SIGKILL this returns when the supervisor has noticed, within a tenth of a second.

        Returns:
            The process id that was signalled.

        Raises:
            NotRunningError: if there is no such TaskManager, or it is down.
        """
        member = dict(enumerate(_task_managers(self._state()))).get(index)
        if member is None or member.pid is None:
            msg = f"TaskManager {index} of {self.directory} is not running"
            raise NotRunningError(msg)
        killed = member.pid
        os.kill(killed, signal)
        if signal == _KILL:
            self._await(lambda state: (state.member(member.name) or member).pid != killed)
        return killed

    def kill_job_manager(self) -> int:
        """End the leading JobManager with SIGKILL, and return its process id; the supervisor starts another.

        Raises:
            NotRunningError: it is down.
        """
        state = self._state()
        job_managers = [pid for name in (JOB_MANAGER, STANDBY) if (pid := _pid(state, name)) is not None]
        killed = leader(job_managers, [each.pid for each in _task_managers(state) if each.pid])
        if killed is None:
            msg = f"no JobManager of {self.directory} leads"
            raise NotRunningError(msg)
        os.kill(killed, _KILL)
        self._await(lambda state: killed not in (_pid(state, JOB_MANAGER), _pid(state, STANDBY)))
        return killed

    def wait_until_ready(self, *, timeout_s: float = 60.0, on_progress: Progress | None = None) -> None:
        """Wait until the present start of every TaskManager is registered.

        Raises:
            StartFailedError: if that takes too long; the text holds the log's first error.
            NotRunningError: if the cluster is stopped meanwhile.
        """
        self.wait_for_registration(timeout_s, on_progress or (lambda _: None), forgive_deaths=True)

    def wait_for_registration(self, timeout_s: float, on_progress: Progress, *, forgive_deaths: bool) -> None:
        """Wait like wait_until_ready(), but fail at once if a process died, unless deaths are forgiven."""
        for _ in polls(timeout_s=timeout_s, poll_s=_POLL_S):
            state = self._state()
            dead = [each for each in state.members if each.exit_status is not None]
            if dead and not forgive_deaths:
                status = dead[0].exit_status or 0
                end = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
                fault = f"{dead[0].name} {end}"
                raise _failure(fault, self.layout, dead[0].name)
            wanted = {_resource_id(each) for each in state.members if is_task_manager(each.name)}
            registered = self._registered()
            if registered is not None and wanted <= registered:
                return
            on_progress(_waiting_for(registered, wanted))
        late = JOB_MANAGER if registered is None else min(wanted - registered).rpartition("-")[0]
        fault = f"not ready in {timeout_s:.0f} s, {_waiting_for(registered, wanted)}"
        raise _failure(fault, self.layout, late)

    def scale(self, task_managers: int) -> None:
        """Change the number of TaskManagers without a GPU; those of the highest index go first.

        This returns when the supervisor has taken up the change; wait_until_ready() waits for the new ones.
        """
        with exclusive(self.layout):
            spec = read_spec(self.layout, task_managers=task_managers)
            write_plan(spec, find_java(os.environ), flink_home())
            os.kill(self._state().pid, _RELOAD)
            self._await(lambda state: _without_gpu(state) == task_managers)

    def supervise(self, name: str, command: list[str]) -> None:
        """Run a command beside Flink's processes until the cluster is stopped; do nothing if it already runs.

        The command is started again when it ends, and its output goes to the cluster's log folder. When this returns it
        has been started, unless that takes longer than 2 s.
        """
        with exclusive(self.layout):
            if self._state().member(name) is not None:
                return
            add_service(self.layout, name, command)
            spec = read_spec(self.layout, task_managers=_without_gpu(self._state()))
            write_plan(spec, find_java(os.environ), flink_home())
            os.kill(self._state().pid, _RELOAD)
            self._await(lambda state: any(each.name == name and each.incarnation > 0 for each in state.members))

    def stop(self) -> int:
        """End every process of the cluster.

        Returns:
            The number of processes.
        """
        with exclusive(self.layout):
            return end_all(self.layout)

    def environment(self) -> dict[str, str]:
        """Return the environment variables under which `flink run` works with this cluster."""
        return {**os.environ, **environment(find_java(os.environ), self.layout, flink_home())}

    def _state(self) -> SupervisorState:
        state = read_state(self.layout)
        if state is None:
            msg = f"no cluster runs in {self.directory}: recloop cluster start"
            raise NotRunningError(msg)
        return state

    def _await(self, wanted: Callable[[SupervisorState], bool]) -> None:
        wait_until(lambda: wanted(self._state()), timeout_s=_REACTION_S, poll_s=_POLL_S / 10)

    def _registered(self) -> set[str] | None:
        """Return the ids of the TaskManagers whose slots the JobManager knows; None while it does not answer."""
        try:
            with self.rest() as rest:
                return {each.resource_id for each in rest.task_managers() if each.slots}
        except RestError:
            return None


_KILL = signal.SIGKILL
_RELOAD = signal.SIGHUP


def find(directory: Path) -> RunningCluster | None:
    """Return the cluster that runs in a state folder, ready or not; None if none does.

    Raises:
        ClusterError: one runs, and the record of its processes or ports is damaged, or that of its ports is missing.
    """
    layout = Layout(Path(directory).absolute())
    state = read_state(layout)
    if state is None:
        return None
    started = read_started_spec(layout)
    return RunningCluster(
        directory=layout.root,
        rest_url=f"http://{LOOPBACK}:{started.rest_port}",
        supervisor_pid=state.pid,
        metrics_url=f"http://{LOOPBACK}:{started.metrics_port}/metrics" if started.metrics_port else None,
        application=started.application,
    )


def _pid(state: SupervisorState, name: str) -> int | None:
    member = state.member(name)
    return member.pid if member else None


def _task_managers(state: SupervisorState) -> list[Supervised]:
    """Return the TaskManagers, those with a GPU last."""
    return [each for each in state.members if is_task_manager(each.name)]


def _without_gpu(state: SupervisorState) -> int:
    return sum(not has_gpu(each.name) for each in _task_managers(state))


def _resource_id(member: Supervised) -> str:
    """Return the id of the present start, or of the next one while the process is down."""
    return f"{member.name}-{member.incarnation if member.pid else member.incarnation + 1}"


def _waiting_for(registered: set[str] | None, wanted: set[str]) -> str:
    if registered is None:
        return "waiting for the JobManager"
    return f"{len(wanted & registered)} of {len(wanted)} TaskManagers registered"


def _failure(fault: str, layout: Layout, name: str) -> StartFailedError:
    line = first_error((layout.log(name), layout.out(name)))
    return StartFailedError(f"the cluster did not start: {fault}\n{line or f'no error in {layout.log(name)}'}")
