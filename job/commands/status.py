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
    stop_on_errors,
)
from job.commands.output import print_line
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
    with stop_on_errors():
        url = jobmanager or running_cluster(directory).rest_url
        deployments = REMOTE_DEPLOYMENTS if jobmanager else directory / "deployments"
        with FlinkRest(url) as rest, console.status("measuring for 2 s"):
            job = find_job(rest, job_name)
            if job is None:
                fail(f"no job named {job_name} on {url}: recloop deploy")
            deployed = deployed_settings(deployments, job_name)
            found = read_status(rest, job.job_id, deployed)
    if as_json:
        print_line(json.dumps({**asdict(found), "lag": found.lag}))
        return
    _show(found, native=deployed is not None and deployed.reads_natively)


def _show(found: JobStatus, *, native: bool) -> None:
    table = Table(title=f"{found.name} {found.job_id}", show_header=False)
    table.add_row("state", f"{found.state}, {found.tasks} tasks, for {found.running_s:,.0f} s")
    table.add_row("lists a second", f"{found.lists_per_s:,.0f}")
    lag = found.log_problem or f"{found.lag:,} records in {len(found.partitions)} partitions"
    silent = f"; it has not answered the job for {found.log_silent_s:,.0f} s" if found.log_silent_s else ""
    table.add_row("behind the log", f"{lag}{silent}")
    checkpoint = "none yet"
    if found.checkpoint_age_s is not None and found.checkpoint_bytes is not None:
        size = f"{found.checkpoint_bytes / 1e6:.1f} MB"
        checkpoint = f"{found.checkpoint_age_s:.1f} s ago, took {found.checkpoint_ms} ms, {size}"
    table.add_row("last checkpoint", f"{checkpoint}, {found.checkpoints_failed} failed")
    last_failure = f" (last: {found.last_failure})" if found.last_failure else ""
    table.add_row("restarts", f"{found.restarts}{last_failure}")
    table.add_row("models", models_text(found.models))
    table.add_row("since the last start", _counts(found, native=native))
    console.print(table)


def _counts(found: JobStatus, *, native: bool) -> str:
    """Return the counters since the last start; if Flink's connector reads the log, gaps in it have two causes."""
    sources = {"by a step": found.stepped, "from the score cache": found.cached}
    shares = ", ".join(f"{count / found.scored:.0%} {source}" for source, count in sources.items() if count)
    reasons = ", ".join(f"{reason} {count:,}" for reason, count in found.fallback_reasons.items())
    parts = [
        f"{found.scored:,} histories scored" + (f" ({shares})" if shares else ""),
        f"{found.fallbacks:,} fallbacks" + (f" ({reasons})" if reasons else ""),
        f"{found.dead_letters:,} dead letters",
    ]
    if found.offsets_gone and native:
        parts.append(
            f"{found.offsets_gone:,} offsets without a record (removed, or transactions': the connector can't tell)"
        )
    elif found.offsets_gone:
        parts.append(f"{found.offsets_gone:,} offsets gone before they were read")
    if found.swaps or found.swap_failures:
        parts.append(f"{found.swaps:,} swaps of a scorer's model, {found.swap_failures:,} failed")
    return ", ".join(parts)


def models_text(models: ModelStatus) -> str:
    """Return a line for each served model, each that is not served yet everywhere, the last failure and a problem."""
    lines = [
        f"{each.variant}: {each.version} by {each.scorers}, since {_clock(each.since_ms)}" for each in models.served
    ]
    for variant, wanted in models.wanted.items():
        if {each.version for each in models.served if each.variant == variant} != {wanted}:
            lines.append(f"{variant}: {wanted} is to be served, and not every scorer has said so yet")
    if (failed := models.failed) is not None:
        lines.append(f"{failed.variant}: {failed.version} did not load at {_clock(failed.at_ms)}: {failed.problem}")
    if models.problem is not None:
        lines.append(models.problem)
    return "\n".join(lines) or "none has scored yet"


def _clock(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
