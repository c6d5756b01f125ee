"""Starting, finding and stopping a local cluster: the interface for commands, tests and drills."""

import fcntl
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from job.cluster import processes
from job.cluster.config import LOOPBACK, flink_configuration, render
from job.cluster.errors import ClusterError, NotRunningError, RestError, StartFailedError
from job.cluster.java import Java, find_java
from job.cluster.jvm import environment, job_manager_command, task_manager_command
from job.cluster.layout import JOB_MANAGER, Layout, flink_home, task_manager_name
from job.cluster.logs import first_error
from job.cluster.ports import PORT_NAMES, with_ports
from job.cluster.records import Overview
from job.cluster.rest import FlinkRest
from job.cluster.spec import ClusterSpec

_POLL_S = 0.05
_LOCK_WAIT_S = 60.0

Progress = Callable[[str], None]


@dataclass(frozen=True)
class TaskManagerProcess:
    """A TaskManager of a running cluster.

    Attributes:
        index: its number, from 0.
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
        rest_url: where its REST interface and web page are.
        supervisor_pid: the process id of its supervisor.
    """

    directory: Path
    rest_url: str
    supervisor_pid: int

    @property
    def layout(self) -> Layout:
        """The paths in the state folder."""
        return Layout(self.directory)

    @property
    def job_manager_pid(self) -> int | None:
        """The JobManager's process id; None while it is down."""
        member = self._state().member(JOB_MANAGER)
        return member.pid if member else None

    def rest(self) -> FlinkRest:
        """A client of the REST interface; close it."""
        return FlinkRest(self.rest_url)

    def task_managers(self) -> list[TaskManagerProcess]:
        """The TaskManagers, by index.

        Raises:
            NotRunningError: if the cluster has been stopped.
        """
        registered = self._registered()
        members = [each for each in self._state().members if each.name != JOB_MANAGER]
        return [_task_manager(index, member, registered) for index, member in enumerate(members)]

    def kill_task_manager(self, index: int, number: int = signal.SIGKILL) -> int:
        """Signals the JVM of a TaskManager, whose workers its supervisor then ends.

        Returns:
            The process id that was signalled.

        Raises:
            NotRunningError: if there is no such TaskManager, or it is down.
        """
        member = self._state().member(task_manager_name(index))
        if member is None or member.pid is None:
            msg = f"TaskManager {index} of {self.directory} is not running"
            raise NotRunningError(msg)
        os.kill(member.pid, number)
        return member.pid

    def wait_until_ready(self, *, timeout_s: float = 15.0, on_progress: Progress | None = None) -> Overview:
        """Waits until every TaskManager that should run is registered.

        Raises:
            StartFailedError: if that takes too long; the text holds the log's first error.
        """
        return _wait_until_ready(self, timeout_s, on_progress or (lambda _: None), forgive_deaths=True)

    def scale(self, task_managers: int) -> None:
        """Changes how many TaskManagers run; those of the highest index go first. Returns at once."""
        with _exclusive(self.layout):
            spec = _read_settings(self.directory, task_managers)
            _write_plan(spec, find_java(os.environ), flink_home())
            os.kill(self._state().pid, signal.SIGHUP)

    def stop(self) -> int:
        """Ends every process of the cluster; see stop()."""
        return stop(self.directory)

    def environment(self) -> dict[str, str]:
        """The environment variables under which `flink run` works with this cluster."""
        return {**os.environ, **environment(find_java(os.environ), self.layout, flink_home())}

    def _state(self) -> processes.SupervisorState:
        state = processes.read_state(self.layout)
        if state is None:
            msg = f"no cluster runs in {self.directory}: recloop cluster start"
            raise NotRunningError(msg)
        return state

    def _registered(self) -> set[str]:
        try:
            with self.rest() as rest:
                return {each.resource_id for each in rest.task_managers()}
        except RestError:
            return set()


def start(
    spec: ClusterSpec, *, timeout_s: float = 15.0, on_progress: Progress | None = None
) -> RunningCluster:
    """Starts a cluster and waits until it is ready; one that runs already is returned as it is.

    Args:
        spec: the cluster that is wanted.
        timeout_s: how long it may take.
        on_progress: is told in a few words what is waited for.

    Raises:
        JavaNotFoundError: if there is no Java that runs Flink.
        StartFailedError: if a port is taken, a process died or time ran out; nothing is left running.
    """
    layout = Layout(spec.directory)
    layout.root.mkdir(parents=True, exist_ok=True)
    with _exclusive(layout):
        if (running := find(spec.directory)) is not None:
            return running
        processes.sweep(layout)
        try:
            return _start(spec, layout, timeout_s, on_progress or (lambda _: None))
        except BaseException:
            _end_all(layout)
            raise


def find(directory: Path) -> RunningCluster | None:
    """The cluster that runs in a state folder, ready or not; None if none does."""
    layout = Layout(Path(directory).absolute())
    state = processes.read_state(layout)
    if state is None:
        return None
    return RunningCluster(layout.root, _rest_url(_remembered_ports(layout)["rest_port"]), state.pid)


def stop(directory: Path) -> int:
    """Ends every process of the cluster in a folder, whoever of them still lives; does nothing if none does.

    Returns:
        How many processes there were.
    """
    layout = Layout(Path(directory).absolute())
    if not layout.root.is_dir():
        return 0
    with _exclusive(layout):
        return _end_all(layout)


def _start(spec: ClusterSpec, layout: Layout, timeout_s: float, on_progress: Progress) -> RunningCluster:
    java, home = find_java(os.environ), flink_home()
    spec = with_ports(spec, _remembered_ports(layout))
    on_progress(f"Java {java.version} from {java.home}")
    layout.prepare(home)
    _write_plan(spec, java, home)
    processes.start_supervisor(layout, environment(java, layout, home))
    deadline = time.monotonic() + timeout_s
    while (running := find(layout.root)) is None:
        if time.monotonic() > deadline:
            raise StartFailedError(_told("the supervisor did not come up", layout, "supervisor"))
        time.sleep(_POLL_S)
    _wait_until_ready(running, deadline - time.monotonic(), on_progress, forgive_deaths=False)
    return running


def _wait_until_ready(
    cluster: RunningCluster, timeout_s: float, on_progress: Progress, *, forgive_deaths: bool
) -> Overview:
    deadline = time.monotonic() + timeout_s
    with cluster.rest() as rest:
        while True:
            state = cluster._state()
            dead = [each for each in state.members if each.exit_status is not None]
            if dead and not forgive_deaths:
                what = f"{dead[0].name} ended with status {dead[0].exit_status}"
                raise StartFailedError(_told(what, cluster.layout, dead[0].name))
            wanted = len(state.members) - 1
            overview = _overview(rest)
            if overview is not None and overview.task_managers == wanted == overview.slots_total:
                return overview
            on_progress(_waiting_for(overview, wanted))
            if time.monotonic() > deadline:
                late = JOB_MANAGER if overview is None else task_manager_name(0)
                what = f"not ready in {timeout_s:.0f} s, {_waiting_for(overview, wanted)}"
                raise StartFailedError(_told(what, cluster.layout, late))
            time.sleep(_POLL_S)


def _overview(rest: FlinkRest) -> Overview | None:
    try:
        return rest.overview()
    except RestError:
        return None


def _waiting_for(overview: Overview | None, wanted: int) -> str:
    if overview is None:
        return "waiting for the JobManager"
    return f"{overview.task_managers} of {wanted} TaskManagers registered"


def _told(what: str, layout: Layout, name: str) -> str:
    line = first_error((layout.log(name), layout.out(name)))
    return f"the cluster did not start: {what}\n{line or f'no error in {layout.log(name)}'}"


def _write_plan(spec: ClusterSpec, java: Java, home: Path) -> None:
    layout = Layout(spec.directory)
    configuration = flink_configuration(spec, home)
    (layout.conf / "config.yaml").write_text(render(configuration))
    commands = {JOB_MANAGER: job_manager_command(java, layout, configuration)}
    for index in range(spec.task_managers):
        commands[task_manager_name(index)] = task_manager_command(java, layout, configuration, index)
    plan = [
        {"name": name, "argv": argv, "scratch": str(layout.scratch(name)), "out": str(layout.out(name))}
        for name, argv in commands.items()
    ]
    layout.plan.write_text(json.dumps(plan, indent=1))
    settings = {name: getattr(spec, name) for name in (*PORT_NAMES, "task_managers")}
    layout.settings.write_text(json.dumps({**settings, "extra_config": dict(spec.extra_config)}, indent=1))


def _read_settings(directory: Path, task_managers: int) -> ClusterSpec:
    stored = json.loads(Layout(directory).settings.read_text())
    return ClusterSpec(directory, **{**stored, "task_managers": task_managers})


def _remembered_ports(layout: Layout) -> Mapping[str, int]:
    try:
        stored = json.loads(layout.settings.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return {name: int(stored[name]) for name in PORT_NAMES if name in stored}


def _rest_url(port: int) -> str:
    return f"http://{LOOPBACK}:{port}"


def _task_manager(index: int, member: processes.Supervised, registered: set[str]) -> TaskManagerProcess:
    resource_id = f"{member.name}-{member.incarnation}"
    known = resource_id if resource_id in registered else None
    return TaskManagerProcess(index, member.name, member.pid, member.pid, member.incarnation, known)


def _end_all(layout: Layout) -> int:
    count = len(processes.marked(layout))
    processes.stop_supervisor(layout)
    processes.sweep(layout)
    layout.state.unlink(missing_ok=True)
    return count


@contextmanager
def _exclusive(layout: Layout) -> Iterator[None]:
    """Lets one start or stop at a time work on a folder."""
    deadline = time.monotonic() + _LOCK_WAIT_S
    with layout.start_lock.open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    msg = f"another start or stop has been at work in {layout.root} for {_LOCK_WAIT_S:.0f} s"
                    raise ClusterError(msg) from None
            time.sleep(_POLL_S)
        yield
