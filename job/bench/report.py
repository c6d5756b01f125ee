"""The measurements as tables: for the command's screen, and for report.md, from which docs/bench.md is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from job.bench.goals import judge
from job.bench.results import COMPARED, Kept, Results, figures, void_reasons


@dataclass(frozen=True, slots=True)
class Grid:
    """A table: its title, its columns, its rows as text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def grids(results: Results) -> list[Grid]:
    """Return the tables that have rows, the goals first."""
    makers = (goals_grid, _speeds, _freshness, _peaks, _reads, _catalogues, _cpu, _size)
    return [grid for make in makers if (grid := make(results)).rows]


def goals_grid(results: Results) -> Grid:
    """Return the table of goals, with each one's figure and verdict."""
    rows = []
    for judged in judge(figures(results)):
        goal = judged.goal
        bounds = ", then ".join(goal.bound(step) for step in goal.steps)
        measured, verdict = "-", judged.verdict
        if judged.value is not None:
            form = ",.0f" if abs(judged.value) >= 100 else ".4g"
            measured = f"{judged.value:{form}}{goal.unit}"
        if goal.figure == "cost_ratio_million_over_thousand_users" and results.users is not None:
            many = results.users.many.users
            verdict += f", with {many:,} users only" if many < 1_000_000 else ""
        rows.append((goal.title, measured, bounds, verdict))
    return Grid("goals", ("what", "measured", "goal", "verdict"), tuple(rows))


def notes(results: Results, kept: Mapping[str, Kept]) -> list[str]:
    """Return the caveats that a reader of these figures has to know."""
    caveats = [f"VOID, {reason}" for reason in void_reasons(results)]
    if not caveats and results.job is not None:
        named = ", ".join(f"{key}={value}" for key, value in results.job.as_set.shortcuts.items())
        caveats.append(
            "Every list was scored anew: fallback share 0, cache hit share 0; "
            + (f"settings: {named}" if named else "the job has no score cache, coalescing or shedding")
        )
    for parts in COMPARED:
        runs = {part: kept[part].run for part in parts if part in kept}
        if len(set(runs.values())) > 1:
            apart = ", ".join(f"{part} {run}" for part, run in runs.items())
            caveats.append(f"Not of one run, so ratios between them may tell of the machine: {apart}")
    if small := sorted({each.scale for each in kept.values() if each.scale != "full"}):
        many = "" if results.users is None else f"; many users are {results.users.many.users:,}"
        caveats.append(f"Not at full size ({', '.join(small)}): shorter times, fewer samples{many}")
    if results.model is not None:
        caveats.append(
            f"Histories hold {results.model.history_mean:.0f} items on the mean of at most 50, in all contenders alike."
        )
    return caveats


def write_report(results: Results, kept: Mapping[str, Kept], path: Path) -> None:
    """Write the notes and tables as Markdown."""
    lines = [*(f"- {note}" for note in notes(results, kept)), ""]
    for grid in grids(results):
        lines += [f"### {grid.title}", "", _line(grid.columns), _line(["---"] * len(grid.columns))]
        lines += [*map(_line, grid.rows), ""]
    path.write_text("\n".join(lines))


def _speeds(results: Results) -> Grid:
    rows: list[tuple[str, ...]] = []
    model, job, kafka, flink = results.model, results.job, results.kafka_job, results.plain_pyflink
    if model is not None:
        best = model.best
        layout = f"{best.processes} process(es), {best.threads} thread(s), batches of {best.batch_size}"
        rows.append(("the model alone", f"{best.users_per_s:,.0f}", layout))
    for name, part in (("the job, from files", job), ("the job, from Kafka", kafka)):
        for timed in () if part is None else part.tried:
            form = f"{timed.scorers} scorer(s), batches of {timed.batch_size_mean:.0f} on the mean"
            if timed.fallback_share:
                form += f"; {timed.fallback_share:.1%} of its lists were fallback lists, so it does not count"
            rows.append((name, f"{timed.events_per_s:,.0f}", form))
    if (both := results.incremental) is not None:
        share = f"{both.stepped_share:.1%} by a step"
        rows.append(("the job with a GRU, kept states", f"{both.stepped.events_per_s:,.0f}", f"from files; {share}"))
        rows.append(("the job with a GRU", f"{both.passed.events_per_s:,.0f}", "from files; each history as a whole"))
    if (big := results.big_model) is not None:
        best = big.model.best
        layout = f"{best.processes} process(es), {best.threads} thread(s), batches of {best.batch_size}"
        rows.append(("a big model alone", f"{best.users_per_s:,.1f}", f"{big.items:,} items; {layout}"))
        form = f"from files; {big.job.scorers} scorers, batches of {big.job.batch_size_mean:.0f} on the mean"
        rows.append(("the job with it", f"{big.job.events_per_s:,.1f}", form))
    if flink is not None:
        for tried in flink.tried:
            form = f"from a file; {tried.call}, parallelism {tried.parallelism}"
            rows.append(("plain PyFlink", f"{tried.events_per_s:,.0f}", form))
    for name, peer in (("Quix Streams", results.quixstreams), ("a plain loop", results.plain_loop)):
        if peer is not None:
            rows.append((name, f"{peer.documented_per_s:,.0f}", "from Kafka; 2 processes, as documented"))
            rows.append((name, f"{peer.batched_per_s:,.0f}", "from Kafka; 2 processes, with our batching"))
    return Grid("histories scored and listed", ("who", "a second", "how"), tuple(rows))


def _freshness(results: Results) -> Grid:
    loads = () if results.freshness is None else results.freshness.loads
    rows = tuple(
        (
            load.name,
            f"{load.per_s:,.0f}",
            f"{load.samples:,}",
            f"{load.p50_ms:.0f}",
            f"{load.p99_ms:.0f}",
            f"{load.max_ms:.0f}",
        )
        for load in loads
    )
    return Grid("freshness, append to new list", ("load", "a second", "lists", "p50 ms", "p99 ms", "longest ms"), rows)


def _reads(results: Results) -> Grid:
    serving = results.serving
    loads = (
        ()
        if serving is None
        else (
            (f"recloop serve, {serving.users:,} users, at a rate", serving.at_rate),
            ("recloop serve at its limit", serving.at_limit),
            ("a bare ASGI application at its limit", serving.bare_at_limit),
        )
    )
    rows = tuple(
        (
            name,
            f"{load.per_s:,.0f}",
            f"{load.bytes_mean:,.0f}",
            f"{load.p50_ms:.1f}",
            f"{load.p99_ms:.1f}",
            f"{load.max_ms:.0f}",
        )
        for name, load in loads
    )
    if serving is not None:
        own = serving.own_writes
        name = f"recloop serve with a job, {own.samples:,} behaviours and the lists that have seen them"
        rows += ((name, f"{own.per_s:,.0f}", "", f"{own.p50_ms:.1f}", f"{own.p99_ms:.1f}", f"{own.max_ms:.0f}"),)
    return Grid("reads of lists", ("who", "a second", "bytes", "p50 ms", "p99 ms", "longest ms"), rows)


def _peaks(results: Results) -> Grid:
    fresh = results.freshness
    rows = []
    for peak in () if fresh is None else fresh.peaks:
        checkpoint, phases = "none", ""
        if (found := peak.checkpoint) is not None:
            at_s = (found.trigger_ms - peak.at_ms) / 1000
            checkpoint = f"{found.duration_ms} ms, triggered {abs(at_s):.2f} s {'later' if at_s > 0 else 'earlier'}"
            phases = (
                f"barrier {found.delay_ms} ({found.slowest}), alignment {found.alignment_ms},"
                f" standing still {found.sync_ms}, writing {found.async_ms} ms"
            )
        collections = f"{peak.collections_ms} ms" if peak.collections_ms else "none"
        rows.append((f"{peak.wait_ms} ms", checkpoint, phases, collections))
    columns = ("wait", "checkpoint under way", "its longest phases", "full collections within 2 s")
    return Grid("the longest waits at half load", columns, tuple(rows))


def _catalogues(results: Results) -> Grid:
    rows = []
    for each in results.catalogues or ():
        for scored in (each.exact, *each.in_cells):
            exact = not scored.probes
            rows.append(
                (
                    f"{each.items:,}",
                    "all" if exact else f"those of {scored.probes} cells",
                    f"{scored.cpu_us:,.0f}",
                    "1" if exact else f"{scored.recall:.3f}",
                    f"{scored.load_s:.2f}",
                    f"{scored.resident_mb:,.0f}",
                    f"neighbours {each.neighbors_s:,.1f}" if exact else f"cells {each.cells_s:,.1f}",
                )
            )
    columns = ("items", "items scored", "CPU a list, µs", "recall", "loaded in s", "memory, MB", "made in s")
    return Grid("catalogues, the model alone on one thread", columns, tuple(rows))


def _cpu(results: Results) -> Grid:
    if results.job is None:
        return Grid("", (), ())
    by_part = results.job.as_set.cpu_s_per_1000
    total = sum(by_part.values())
    parts = [
        (name, f"{spent:.3f}", f"{spent / total:.0%}") for name, spent in by_part.items() if spent / total >= 0.005
    ]
    rows = (("all", f"{total:.3f}", "100%"), *parts)
    return Grid("CPU of the job at its limit", ("part", "seconds a 1,000 events", "share"), rows)


def _size(results: Results) -> Grid:
    rows: list[tuple[str, ...]] = []
    if results.job is not None:
        job = results.job.as_set
        rows.append(("cores used at the limit", f"{job.cores:.2f} of 2"))
        rows.append(("the model's thread works", f"{job.model_busy:.0%} of the time"))
        rows.append(
            ("CPU beside it", f"{job.beside_model_us:.0f} µs a list, {job.compiling_us:.0f} in Java's compilers")
        )
        rows.append(
            ("CPU until timing began", f"{job.before_s:.1f} s, {job.compiling_before_s:.1f} in Java's compilers")
        )
        rows.append(("bytes a list, to the worker and back", f"{job.sent_bytes:,.0f}, {job.returned_bytes:,.0f}"))
        rows += [(f"memory: {name}", f"{size:,.0f} MB") for name, size in job.rss_mb.items()]
        rows.append(("a checkpoint at the limit", f"{job.checkpoint_mb:.1f} MB in {job.checkpoint_ms:,.0f} ms"))
    if results.freshness is not None and (stall := results.freshness.stalls) is not None:
        rows.append(("it holds events back by, median and p90", f"{stall.median_ms:.0f}, {stall.p90_ms:.0f} ms"))
    if (users := results.users) is not None:
        for cost in (users.few, users.many):
            rows.append((f"an event with {cost.users:,} users", f"{cost.cpu_ms_per_event:.3f} ms of CPU"))
    if (state := results.state) is not None:
        size = f"{state.users:,} users, {state.behaviors} behaviours each"
        rows.append((f"state per user, uncompressed ({size})", f"{state.bytes_per_user:,.0f} bytes"))
        rows += [
            (f"of it {each.operator}: {each.name}", f"{each.bytes / state.users:,.0f} bytes") for each in state.families
        ]
        rows.append(("the checkpoint a user", f"{state.checkpoint_bytes_per_user:,.0f} bytes"))
    if (both := results.incremental) is not None:
        spent = f"{both.step_cpu_us:.0f} and {both.pass_cpu_us:.0f} µs of CPU"
        rows.append(("the scorer alone with a GRU, by steps and in full", spent))
    return Grid("sizes and costs", ("what", "measured"), tuple(rows))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
