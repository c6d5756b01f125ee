"""`recloop status`: the state, rate, lag and models of the job."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from job.cluster import FlinkRest
from job.commands.options import (
    DEFAULT_CLUSTER,
    AsJson,
    ClusterDirectory,
    console,
    fail,
    running_cluster,
    told_errors,
)
from job.commands.output import say
from job.deployment.deploy import REMOTE_DEPLOYMENTS, deployed_settings
from job.deployment.model_status import ModelStatus
from job.deployment.status import JobStatus, find_job, read_status


def status(
    directory: ClusterDirectory = DEFAULT_CLUSTER,
    jobmanager: Annotated[str | None, typer.Option(metavar="URL", help="A cluster elsewhere.")] = None,
    job_name: Annotated[str, typer.Option(help="The job's name.")] = "recloop",
    as_json: AsJson = False,
) -> None:
    """Show the job's state, rate, last checkpoint, restarts, its models, and lag behind the log it was deployed with.

    A scorer reports its models with its next behaviour, so for an idle job the models that it served last are shown.
    """
    with told_errors():
        url = jobmanager or running_cluster(directory).rest_url
        deployments = REMOTE_DEPLOYMENTS if jobmanager else directory / "deployments"
        with FlinkRest(url) as rest, console.status("measuring for 2 s"):
            job = find_job(rest, job_name)
            if job is None:
                fail(f"no job named {job_name} on {url}: recloop deploy")
            deployed = deployed_settings(deployments, job_name)
            told = read_status(rest, job.job_id, deployed)
    if as_json:
        say(json.dumps({**asdict(told), "lag": told.lag}))
    else:
        console.print(_table(told, native=deployed is not None and deployed.reads_natively))


def _table(told: JobStatus, *, native: bool) -> Table:
    table = Table(title=f"{told.name} {told.job_id}", show_header=False)
    rows = {
        "state": f"{told.state}, {told.tasks} tasks, for {told.running_s:,.0f} s",
        "lists a second": f"{told.lists_per_s:,.0f}",
        "behind the log": _lag(told),
        "last checkpoint": _checkpoint(told),
        "restarts": f"{told.restarts}" + (f" (last: {told.last_failure})" if told.last_failure else ""),
        "models": models_told(told.models),
        "since the last start": _counted(told, native=native),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _lag(told: JobStatus) -> str:
    lag = told.log_problem or f"{told.lag:,} records in {len(told.partitions)} partitions"
    silent = f"; it has not answered the job for {told.log_silent_s:,.0f} s" if told.log_silent_s else ""
    return f"{lag}{silent}"


def _fallbacks(told: JobStatus) -> str:
    why = ", ".join(f"{reason} {count:,}" for reason, count in told.fallback_reasons.items())
    return f"{told.fallbacks:,} fallbacks" + (f" ({why})" if why else "")


def _scored(told: JobStatus) -> str:
    ways = {"by a step": told.stepped, "from the score cache": told.cached}
    shares = ", ".join(f"{count / told.scored:.0%} {way}" for way, count in ways.items() if count)
    return f"{told.scored:,} histories scored" + (f" ({shares})" if shares else "")


def _counted(told: JobStatus, *, native: bool) -> str:
    gone = _gone(told, native=native)
    return f"{_scored(told)}, {_fallbacks(told)}, {told.dead_letters:,} dead letters{gone}{_swaps(told)}"


def _gone(told: JobStatus, *, native: bool) -> str:
    if not told.offsets_gone:
        return ""
    if native:
        return f", {told.offsets_gone:,} offsets without a record (removed, or transactions': the connector can't tell)"
    return f", {told.offsets_gone:,} offsets gone before they were read"


def _swaps(told: JobStatus) -> str:
    if not (told.swaps or told.swap_failures):
        return ""
    return f", {told.swaps:,} swaps of a scorer's model, {told.swap_failures:,} failed"


def models_told(told: ModelStatus) -> str:
    """Return a line for each served model, each that is not served yet everywhere, the last failure and a problem."""
    lines = [f"{each.variant}: {each.version} by {each.scorers}, since {_clock(each.since_ms)}" for each in told.served]
    for variant, wanted in told.wanted.items():
        if {each.version for each in told.served if each.variant == variant} != {wanted}:
            lines.append(f"{variant}: {wanted} is to be served, and not every scorer has said so yet")
    if (failed := told.failed) is not None:
        lines.append(f"{failed.variant}: {failed.version} did not load at {_clock(failed.at_ms)}: {failed.problem}")
    if told.problem is not None:
        lines.append(told.problem)
    return "\n".join(lines) or "none has scored yet"


def _clock(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _checkpoint(told: JobStatus) -> str:
    if told.checkpoint_age_s is None or told.checkpoint_bytes is None:
        return f"none yet, {told.checkpoints_failed} failed"
    return (
        f"{told.checkpoint_age_s:.1f} s ago, took {told.checkpoint_ms} ms, "
        f"{told.checkpoint_bytes / 1e6:.1f} MB, {told.checkpoints_failed} failed"
    )
