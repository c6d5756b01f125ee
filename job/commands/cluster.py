"""`recloop cluster start|status|stop`: a local Flink cluster from the installed package."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.table import Table

from job import cluster
from job.cluster.layout import Layout
from job.cluster.processes import marked
from job.commands.options import AsJson, ReadyWithin, parse_settings, tcp_port
from job.commands.output import Screen, print_line
from job.deployment.cluster_checks import advice

app = typer.Typer(help="A local Flink cluster: a JobManager and TaskManagers, supervised.", no_args_is_help=True)

_Directory = Annotated[Path, typer.Option("--dir", help="State folder: logs, checkpoints, ports.")]
_Gpus = Annotated[
    list[str] | None,
    typer.Option(
        metavar="DEVICE",
        help="One more TaskManager, for scoring, that sees this GPU alone: an index or UUID of nvidia-smi -L; "
        "repeatable.",
    ),
]
_StandInGpus = Annotated[
    bool, typer.Option("--stand-in-gpus", help="Take it that those GPUs are there, to try placement.")
]
_GpuSettings = Annotated[
    list[str] | None,
    typer.Option("--gpu-set", metavar="KEY=VALUE", help="A Flink setting of those TaskManagers; repeatable."),
]
_Ha = Annotated[
    Literal["zookeeper"] | None,
    typer.Option(help="A second JobManager takes over when the first dies; ZooKeeper knows who leads."),
]
_MetricsPort = Annotated[
    int | None,
    typer.Option(min=0, max=65_535, help="Where Prometheus reads the metrics; as above. 0: none are collected."),
]
_JsonLogs = Annotated[
    bool, typer.Option("--json-logs", help="Write Flink's logs a second time, a JSON object per line: *.log.jsonl.")
]


@dataclass(frozen=True)
class Status:
    """The report of `status`; its fields are those of the JSON."""

    state: str  # ready, starting or stopped
    directory: str
    rest_url: str | None
    metrics_url: str | None
    supervisor_pid: int | None
    job_manager_pid: int | None
    task_managers: list[cluster.TaskManagerProcess]
    jobs_running: int
    processes_left: int  # those of a cluster whose supervisor is gone


@app.command()
def start(
    directory: _Directory = cluster.DEFAULT_DIRECTORY,
    task_managers: Annotated[int, typer.Option("--task-managers", "-n", min=1, max=1_000, help="One slot each.")] = 1,
    gpu: _Gpus = None,
    stand_in_gpus: _StandInGpus = False,
    gpu_setting: _GpuSettings = None,
    rest_port: Annotated[int | None, tcp_port("The web page's port; a free one if not given.")] = None,
    rpc_port: Annotated[int | None, tcp_port("Where TaskManagers reach the JobManager; as above.")] = None,
    blob_port: Annotated[int | None, tcp_port("Where code is fetched from; as above.")] = None,
    ha: _Ha = None,
    metrics_port: _MetricsPort = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A Flink setting; repeatable.")
    ] = None,
    jar: Annotated[list[Path] | None, typer.Option(help="A connector's jar, for every process; repeatable.")] = None,
    json_logs: _JsonLogs = False,
    timeout_s: ReadyWithin = 60,
) -> None:
    """Start a cluster, or report that it runs.

    To keep scoring apart from all other operators: recloop cluster start -n 2 --gpu 0 --gpu 1, and then
    recloop deploy --set placement.scoring=gpu --set scoring.device=cuda --set flink.parallelism=2 ...
    """
    console = Screen(stderr=True)
    began = time.monotonic()
    with _stop_on_error(console):
        extra_config = parse_settings(setting or [])
        gpus = cluster.GpuTaskManagers(tuple(gpu or ()), stand_in_gpus, parse_settings(gpu_setting or []))
        spec = cluster.ClusterSpec(
            directory,
            task_managers,
            rest_port=rest_port,
            rpc_port=rpc_port,
            blob_port=blob_port,
            extra_config=extra_config,
            jars=tuple(jar or ()),
            gpus=gpus,
            high_availability=ha is not None,
            metrics_port=metrics_port,
            json_logs=json_logs,
        )
        if (running := cluster.find(directory)) is not None:
            console.print(f"A cluster already runs in {directory}: {running.rest_url}")
            return
        with console.status("starting") as spinner:
            started = cluster.start(spec, timeout_s=timeout_s, on_progress=spinner.update)
    with_gpus = f" and {len(gpus.devices)} with a GPU" if gpus.devices else ""
    ready_s = time.monotonic() - began
    console.print(f"Ready in {ready_s:.1f} s: {started.rest_url} with {task_managers} TaskManager(s){with_gpus}")
    if started.metrics_url is not None:
        console.print(f"Metrics for Prometheus: {started.metrics_url}")
    advise(console, started.rest_url)


@app.command()
def status(
    directory: _Directory = cluster.DEFAULT_DIRECTORY,
    as_json: AsJson = False,
) -> None:
    """Show the processes that run; exit with 1 if no cluster does."""
    found = read_status(directory)
    if as_json:
        print_line(json.dumps(asdict(found)))
    else:
        _show(found)
        if found.rest_url is not None:
            advise(Screen(stderr=True), found.rest_url)
    raise typer.Exit(1 if found.state == "stopped" else 0)


@app.command()
def stop(directory: _Directory = cluster.DEFAULT_DIRECTORY) -> None:
    """End every process of the cluster; checkpoints and logs stay."""
    console = Screen(stderr=True)
    with _stop_on_error(console):
        ended = cluster.stop(directory)
    console.print(f"Stopped: {ended:,} process(es) ended" if ended else "No cluster was running")


def read_status(directory: Path) -> Status:
    """Return the status of the cluster in a state folder."""
    layout = Layout(Path(directory).absolute())
    if (running := cluster.find(directory)) is None:
        return Status("stopped", str(layout.root), None, None, None, None, [], 0, len(marked(layout)))
    task_managers = running.task_managers()
    jobs_running = 0
    with suppress(cluster.RestError), running.rest() as rest:
        jobs_running = rest.overview().jobs_running
    return Status(
        state="ready" if all(each.resource_id for each in task_managers) else "starting",
        directory=str(layout.root),
        rest_url=running.rest_url,
        metrics_url=running.metrics_url,
        supervisor_pid=running.supervisor_pid,
        job_manager_pid=running.job_manager_pid,
        task_managers=task_managers,
        jobs_running=jobs_running,
        processes_left=0,
    )


def advise(console: Screen, rest_url: str) -> None:
    """Print advice that would make a job on the cluster faster, if there is any and the cluster answers."""
    with suppress(cluster.RestError), cluster.FlinkRest(rest_url) as rest:
        if found := advice(rest.task_managers()):
            console.print(found, soft_wrap=True)


def _show(found: Status) -> None:
    console = Screen()
    if found.state == "stopped":
        left = found.processes_left
        remark = f"; {left} process(es) were left behind: recloop cluster stop" if left else ""
        console.print(f"No cluster runs in {found.directory}{remark}")
        return
    console.print(f"{found.state}: {found.rest_url}, {found.jobs_running} job(s) running")
    if found.metrics_url is not None:
        console.print(f"metrics for Prometheus: {found.metrics_url}")
    table = Table("process", "pid", "starts", "registered as")
    table.add_row("jobmanager", str(found.job_manager_pid or "down"), "", "")
    for each in found.task_managers:
        row = (each.name, each.pid or "down", each.incarnation, each.resource_id or "not yet")
        table.add_row(*(str(cell) for cell in row))
    console.print(table)


@contextmanager
def _stop_on_error(console: Screen) -> Iterator[None]:
    try:
        yield
    except cluster.ClusterError as error:
        console.print(str(error), style="red", soft_wrap=True)
        raise typer.Exit(1) from error
