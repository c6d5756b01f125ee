"""The status of a job as a table, as a line, and live in a terminal."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from rich.live import Live
from rich.table import Table

from job.cluster import FlinkRest
from job.commands.output import Screen
from job.deployment.model_status import ModelStatus, read_models
from job.deployment.status import JobStatus, Sample, counted, status_of
from job.settings.job_settings import JobSettings

_EVERY_S = 2.0
"""Flink reads metrics at most once a second."""
_MODELS_EVERY_S = 20.0
"""Time from one reading of the table of models to the next: it takes longer than all else."""


def status_table(found: JobStatus, *, native: bool) -> Table:
    """Return the whole status; `native` if Flink's own connector reads the log."""
    table = Table(title=f"{found.name} {found.job_id}", show_header=False)
    table.add_row("state", f"{found.state}, {found.tasks} tasks, for {found.running_s:,.0f} s")
    table.add_row("lists a second", f"{found.lists_per_s:,.0f}")
    table.add_row("freshness", freshness_text(found))
    silent = f"; it has not answered the job for {found.log_silent_s:,.0f} s" if found.log_silent_s else ""
    table.add_row("behind the log", f"{_lag(found)}{silent}")
    table.add_row("last checkpoint", f"{_checkpoint(found)}, {found.checkpoints_failed} failed")
    last_failure = f" (last: {found.last_failure})" if found.last_failure else ""
    table.add_row("restarts", f"{found.restarts}{last_failure}")
    table.add_row("models", models_text(found.models))
    table.add_row("since the last start", _counts(found, native=native))
    return table


def status_line(found: JobStatus, now: datetime) -> str:
    """Return the status in a line, for a log or another program."""
    return (
        f"{now:%H:%M:%S} {found.state} {found.tasks}: {found.lists_per_s:,.0f} lists/s, freshness "
        f"{freshness_text(found)}, {_lag(found)} behind, checkpoint {_checkpoint(found)}, "
        f"{found.fallbacks:,} fallbacks, {found.dead_letters:,} dead letters, {found.restarts} restarts"
    )


def freshness_text(found: JobStatus) -> str:
    """Return the freshness of the last seconds' lists."""
    if found.freshness_p50_ms is None or found.freshness_p95_ms is None:
        return "no list was timed"
    return f"p50 {found.freshness_p50_ms:,.0f} ms, p95 {found.freshness_p95_ms:,.0f} ms"


def show_live(rest: FlinkRest, job_id: str, settings: JobSettings | None, *, native: bool) -> None:
    """Show the status until the job is over, or Ctrl-C; a line each time where the output is no terminal."""
    screen = Screen()
    if not screen.is_terminal:
        for found in samples(rest, job_id, settings):
            screen.print(status_line(found, datetime.now(UTC)), soft_wrap=True)
        return
    with Live(console=screen, auto_refresh=False, transient=False) as live:
        for found in samples(rest, job_id, settings):
            live.update(status_table(found, native=native), refresh=True)


def samples(
    rest: FlinkRest,
    job_id: str,
    settings: JobSettings | None,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[JobStatus]:
    """Yield the status every two seconds, until the job is over."""
    before, began = counted(rest, rest.job(job_id)), clock()
    models, models_at = read_models(settings), began
    while not (job := rest.job(job_id)).is_over:
        pause(_EVERY_S)
        after, now = counted(rest, job), clock()
        if now - models_at >= _MODELS_EVERY_S:
            models, models_at = read_models(settings), now
        yield status_of(rest, job_id, settings, Sample(before, after, now - began), models)
        before, began = after, now


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


def _lag(found: JobStatus) -> str:
    return found.log_problem or f"{found.lag:,} records in {len(found.partitions)} partitions"


def _checkpoint(found: JobStatus) -> str:
    if found.checkpoint_age_s is None or found.checkpoint_bytes is None:
        return "none yet"
    size = f"{found.checkpoint_bytes / 1e6:.1f} MB"
    return f"{found.checkpoint_age_s:.1f} s ago, took {found.checkpoint_ms} ms, {size}"


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


def _clock(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
