"""Pictures of a bench, small enough to be committed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from job.bench.freshness import Freshness
from job.bench.results import Results
from model.pictures import can_draw

_SIZE = (6.4, 2.8)
_DPI = 80
_OURS, _THEIRS = "#2a6f97", "#bbbbbb"
_SMALL = 0.01
_COLLECTION = "collection"
_TRACED = {
    "barrier": "#e9c46a",
    "alignment": "#f4a261",
    "standing still": "#e76f51",
    "writing": _THEIRS,
    _COLLECTION: "#6a4c93",
}


def draw(results: Results, out: Path) -> list[Path]:
    """Draw a picture of each part with results, and return the files; none without matplotlib."""
    if not can_draw():
        return []
    # Imported here: it takes a second. Figure without pyplot opens no window.
    from matplotlib.figure import Figure

    pictures: dict[str, Callable[[Any, Results], bool]] = {
        "speed": _speed,
        "freshness": _freshness,
        "checkpoints": _checkpoints,
        "cpu": _cpu,
    }
    drawn = []
    for name, picture in pictures.items():
        figure = Figure(figsize=_SIZE, layout="constrained")
        if picture(figure, results):
            figure.savefig(out / f"{name}.png", dpi=_DPI)
            drawn.append(out / f"{name}.png")
    return drawn


def _speed(figure: Any, results: Results) -> bool:
    axes = figure.subplots()
    bars: list[tuple[str, float, str]] = []
    if results.model is not None:
        bars.append(("the model alone", results.model.best.users_per_s, _THEIRS))
    for name, job in (("recloop, files", results.job), ("recloop, Kafka", results.kafka_job)):
        if job is not None:
            bars.append((name, job.best.events_per_s, _OURS))
    if results.plain_pyflink is not None:
        bars.append(("plain PyFlink", results.plain_pyflink.best.events_per_s, _THEIRS))
    for name, peer in (("Quix Streams", results.quixstreams), ("plain loop", results.plain_loop)):
        if peer is not None:
            bars.append((name, peer.documented_per_s, _THEIRS))
            bars.append((f"{name}, batched", peer.batched_per_s, _THEIRS))
    bars.reverse()
    names, values, colors = zip(*bars, strict=True) if bars else ((), (), ())
    axes.bar_label(axes.barh(names, values, color=colors), fmt="{:,.0f}", padding=2)
    axes.margins(x=0.15)
    axes.set_xlabel("histories scored and listed a second, 2 cores")
    return bool(bars)


def _freshness(figure: Any, results: Results) -> bool:
    if results.freshness is None:
        return False
    axes = figure.subplots()
    loads = results.freshness.loads
    places = range(len(loads))
    for name, values, color in (
        ("p99", [load.p99_ms for load in loads], _THEIRS),
        ("p50", [load.p50_ms for load in loads], _OURS),
    ):
        axes.bar_label(axes.bar(places, values, color=color, label=name), fmt="{:,.0f}")
    axes.set_xticks(places, [f"{load.name}\n{load.per_s:,.0f}/s" for load in loads])
    axes.set_ylabel("append to new list, ms")
    axes.legend()
    return True


def _checkpoints(figure: Any, results: Results) -> bool:
    """Draw each wait at half load, and below it, on the same scale, phases of checkpoints and full collections."""
    fresh = results.freshness
    if fresh is None or not fresh.half_load:
        return False
    axes, trace = figure.subplots(2, sharex=True, height_ratios=(2, 1))
    seconds, waits = zip(*fresh.half_load, strict=True)
    axes.plot(seconds, waits, ".", color=_OURS, markersize=2)
    for each in fresh.checkpoints:
        axes.axvline((each.trigger_ms - fresh.began_ms) / 1000, color=_THEIRS, linewidth=0.8)
    axes.set_ylabel("append to new list, ms")
    axes.set_ylim(bottom=0)
    for place, (name, spans) in enumerate(_trace(fresh).items()):
        trace.broken_barh(spans, (place - 0.4, 0.8), color=_TRACED[name])
    trace.set_yticks(range(len(_TRACED)), list(_TRACED), fontsize="small")
    trace.set_ylim(len(_TRACED) - 0.5, -0.5)
    trace.set_xlabel("seconds at half load; lines: a checkpoint is triggered")
    return True


def _trace(fresh: Freshness) -> dict[str, list[tuple[float, float]]]:
    """Return (begin, length) in seconds of what may hold lists up; phases of a checkpoint come one after the other."""
    spans: dict[str, list[tuple[float, float]]] = {name: [] for name in _TRACED}
    for each in fresh.checkpoints:
        begin = (each.trigger_ms - fresh.began_ms) / 1000
        phases = (each.delay_ms, each.alignment_ms, each.sync_ms, each.async_ms)
        for name, ms in zip(_TRACED, phases, strict=False):
            spans[name].append((begin, ms / 1000))
            begin += ms / 1000
    for found in fresh.collections:
        took = found.took_ms / 1000
        spans[_COLLECTION].append(((found.at_ms - fresh.began_ms) / 1000 - took, took))
    return spans


def _cpu(figure: Any, results: Results) -> bool:
    if results.job is None:
        return False
    axes = figure.subplots()
    by_part = results.job.as_set.cpu_s_per_1000
    total = sum(by_part.values())
    parts = [(name, spent) for name, spent in by_part.items() if spent >= _SMALL * total]
    names, values = zip(*reversed(parts), strict=True)
    axes.bar_label(axes.barh(names, values, color=_OURS), fmt="{:.3f}", padding=2)
    axes.margins(x=0.15)
    axes.set_xlabel("CPU seconds a 1,000 events, at the job's limit")
    return True
