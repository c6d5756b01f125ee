"""The picture of a report: size, speed and accuracy of all methods side by side."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from model.compression.outcomes import BATCH, GOAL_FASTER, Outcome, Report
from model.evaluation.measures import Interval

BEFORE, KEPT, REFUSED = "#8a939b", "#2a78b5", "#c8553d"
TEXT, FAINT = "#222222", "#dfe3e6"


def draw(report: Report, path: Path) -> None:
    """Draw a report and write it as PNG, to a path that ends in .png."""
    figure = Figure(figsize=(13, 2.3 + 0.42 * len(report.outcomes)), dpi=150, layout="constrained")
    panels = figure.subplots(1, 4, sharey=True, width_ratios=(1, 1.2, 1.2, 1.6))
    sizes = [f.model_bytes / 1e6 for f in (report.before, *(o.figures for o in report.outcomes))]
    _bars(panels[0], sizes, report.outcomes, [f"{size:.2f}" for size in sizes])
    panels[0].set_title("model file\nMB", fontsize=10, loc="left")
    _speeds(panels[1], report, [report.before.users_per_s, *(o.figures.users_per_s for o in report.outcomes)], BATCH)
    alone = [report.before.users_per_s_alone, *(o.figures.users_per_s_alone for o in report.outcomes)]
    _speeds(panels[2], report, alone, 1)
    _accuracy(panels[3], report)
    panels[0].set_yticks(range(len(report.outcomes) + 1), ["before", *(o.way for o in report.outcomes)])
    panels[0].invert_yaxis()
    for axes in panels:
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0, labelsize=10)
        axes.tick_params(axis="x", labelsize=8, colors="#666666")
        axes.locator_params(axis="x", nbins=5)
        axes.grid(axis="x", color=FAINT, linewidth=0.6)
        axes.set_axisbelow(True)
    foreseen = f"{report.targets:,} behaviours of {report.users:,} users"
    title = f"{report.recommender} on {report.dataset}, compressed; accuracy over {foreseen}"
    figure.suptitle(title, fontsize=12, x=0.01, ha="left")
    shown = [(BEFORE, "before"), (KEPT, "kept"), (REFUSED, f"refused: loses more than {100 * report.max_loss:g} %")]
    handles = [Patch(color=color, label=label) for color, label in shown]
    figure.legend(handles=handles, loc="outside lower left", ncols=3, frameon=False, fontsize=9)
    figure.savefig(path)


def _speeds(axes: Axes, report: Report, rates: Sequence[float], batch: int) -> None:
    ratios = [o.faster if batch > 1 else o.faster_alone for o in report.outcomes]
    labels = [f"{rates[0]:,.0f}", *(f"{r:,.0f} ({x:.1f} x)" for r, x in zip(rates[1:], ratios, strict=True))]
    _bars(axes, rates, report.outcomes, labels)
    goal = GOAL_FASTER * rates[0]
    axes.axvline(goal, color=TEXT, linewidth=0.9, linestyle=":", zorder=0)
    axes.set_xlim(right=max(1.1 * goal, axes.get_xlim()[1]))
    asked = f"in batches of {batch}" if batch > 1 else "one by one"
    axes.set_title(f"users a second {asked}\none thread; dotted: {GOAL_FASTER:g} x", fontsize=10, loc="left")


def _accuracy(axes: Axes, report: Report) -> None:
    """Draw the gains of NDCG@10, in percent of the original's, with their 95 % intervals."""
    percent = 100.0 / report.before.ndcg_10
    axes.axvline(0.0, color=BEFORE, linewidth=0.9)
    axes.axvline(-100.0 * report.max_loss, color=REFUSED, linewidth=0.9, linestyle=":")
    _point(axes, 0, Interval(0.0, 0.0, 0.0), color=BEFORE, label=f"{report.before.ndcg_10:.4f}")
    for row, outcome in enumerate(report.outcomes, start=1):
        gained = Interval(
            difference=percent * outcome.ndcg.difference,
            low=percent * outcome.ndcg.low,
            high=percent * outcome.ndcg.high,
        )
        _point(axes, row, gained, color=_color(outcome), label=f"{gained.difference:+.1f} %")
    axes.margins(x=0.22)
    title = f"gained NDCG@10, %, with its 95 % interval\ndotted: the bound, {-100 * report.max_loss:g} %"
    axes.set_title(title, fontsize=10, loc="left")


def _point(axes: Axes, row: int, gained: Interval, *, color: str, label: str) -> None:
    axes.plot([gained.low, gained.high], [row, row], color=color, linewidth=2.5, alpha=0.45)
    axes.plot([gained.difference], [row], "o", color=color, markersize=7)
    axes.annotate(label, (gained.high, row), (8, 0), textcoords="offset points", va="center", fontsize=9, color=TEXT)


def _bars(axes: Axes, values: Sequence[float], outcomes: Sequence[Outcome], labels: Sequence[str]) -> None:
    bars = axes.barh(range(len(values)), values, color=[BEFORE, *map(_color, outcomes)], height=0.62)
    texts = axes.bar_label(bars, labels, padding=4, fontsize=9, color=TEXT)
    for text in texts:
        text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 1.0, "alpha": 0.85})
    axes.set_xlim(0, max(values) * 1.55)


def _color(outcome: Outcome) -> str:
    return REFUSED if outcome.refused else KEPT
