"""The picture of a report: the hit rate of each rule, with and without trends, as stored and as filtered."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from model.evaluation.freshness import Serving
from model.evaluation.freshness_report import Freshness, Row

_COLORS = {False: "#2a78b5", True: "#c8553d"}
_LABELS = {False: "trends off", True: "trends on"}
_TITLES = {
    Serving.STORED: "the list as it was stored",
    Serving.FILTERED: "without what its user has taken since",
}
_FAINT = "#dfe3e6"


def draw(report: Freshness, path: Path) -> None:
    """Draw a report and write it as PNG, to a path that ends in .png."""
    figure = Figure(figsize=(11, 3.6), dpi=150, layout="constrained")
    panels = figure.subplots(1, len(Serving), sharey=True)
    for axes, serving in zip(panels, Serving, strict=True):
        _panel(axes, [row for row in report.rows if row.serving is serving], report.top)
        axes.set_title(_TITLES[serving], fontsize=10, loc="left")
    panels[0].invert_yaxis()
    panels[0].legend(*panels[0].get_legend_handles_labels(), frameon=False, fontsize=8, loc="lower right")
    title = f"{report.recommender} on {report.dataset}: {report.targets:,} behaviours of {report.users:,} users"
    figure.suptitle(title, fontsize=11, x=0.01, ha="left")
    figure.savefig(path)


def _panel(axes: Axes, rows: Sequence[Row], top: int) -> None:
    """Draw a bar for each rule and run."""
    rules = list(dict.fromkeys(row.refreshed for row in rows))
    runs = list(dict.fromkeys(row.trends for row in rows))
    height = 0.8 / len(runs)
    for number, trends in enumerate(runs):
        rates = [row.hr for row in rows if row.trends is trends]
        places = [place + height * (number - (len(runs) - 1) / 2) for place in range(len(rules))]
        bars = axes.barh(places, rates, height=height * 0.9, color=_COLORS[trends], label=_LABELS[trends])
        axes.bar_label(bars, [f"{rate:.3f}" for rate in rates], padding=3, fontsize=8)
    axes.set_yticks(range(len(rules)), rules)
    axes.set_xlabel(f"HR@{top}", fontsize=9)
    axes.margins(x=0.15)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0, labelsize=9)
    axes.tick_params(axis="x", labelsize=8, colors="#666666")
    axes.grid(axis="x", color=_FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
