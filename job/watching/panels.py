"""The dashboard's content: rows of panels, each with its expressions and the question that it answers."""

from dataclasses import dataclass

from job.watching.flink_series import FlinkSeries
from job.watching.promql import highest, quantile, rate, ratio
from udfs.flink.metrics import Metric

CHOSEN = 'job_name=~"$job"'
"""The matcher of the jobs that are chosen on the dashboard."""
_WINDOW = "1m"


@dataclass(frozen=True, slots=True)
class Panel:
    """A graph.

    Attributes:
        title: its heading.
        text: what it shows and how to read it.
        unit: Grafana's name of the unit.
        lines: legend -> expression; a legend may name labels, as {{reason}}.
    """

    title: str
    text: str
    unit: str
    lines: dict[str, str]


@dataclass(frozen=True, slots=True)
class PanelRow:
    """Panels on one subject."""

    title: str
    panels: tuple[Panel, ...]


def _rate(metric: Metric, *by: str) -> str:
    return rate(metric, _WINDOW, by=by, where=CHOSEN)


def _ratio(part: Metric, whole: Metric) -> str:
    return ratio(part, whole, _WINDOW, where=CHOSEN)


def _flink(series: FlinkSeries, *by: str) -> str:
    return highest(series, by=by, where=CHOSEN)


_LISTS = PanelRow(
    "Lists",
    (
        Panel(
            "Freshness",
            "Time from a behaviour's append to the log until its list was made.",
            "ms",
            {
                f"p{share * 100:g}": quantile(share, Metric.FRESHNESS_MS, _WINDOW, where=CHOSEN)
                for share in (0.5, 0.95, 0.99)
            },
        ),
        Panel(
            "Lists a second",
            "One list a behaviour. Repeated event ids make none.",
            "ops",
            {
                "lists": _rate(Metric.LISTS),
                "behaviours applied": _rate(Metric.BEHAVIORS_APPLIED),
                "duplicates": _rate(Metric.DUPLICATES),
                "made without a withdrawn item": _rate(Metric.LISTS_SWEPT),
            },
        ),
        Panel(
            "Behind the log",
            "Age of the newest record that was read, while the log has more; 0 where all was read.",
            "ms",
            {
                "partition {{partition}}": highest(Metric.LOG_LAG_MS.series, by=["partition"], where=CHOSEN),
                "log does not answer": highest(Metric.LOG_SILENT_MS.series, where=CHOSEN),
            },
        ),
        Panel(
            "Reading",
            "Records read, by partition, and reads, most of which find nothing where little comes.",
            "ops",
            {
                "records of partition {{partition}}": _rate(Metric.NEXT_OFFSET, "partition"),
                "reads": _rate(Metric.POLLS),
            },
        ),
        Panel(
            "Dead letters",
            "Records that were no behaviour, by reason, and offsets that were gone before they were read.",
            "ops",
            {"{{reason}}": _rate(Metric.DEAD_LETTERS, "reason"), "offsets gone": _rate(Metric.OFFSETS_GONE)},
        ),
        Panel(
            "Churn",
            "Items that a behaviour brings into its user's list, on average.",
            "none",
            {"items a list": _ratio(Metric.ITEMS_CHANGED, Metric.LISTS)},
        ),
    ),
)
_MODEL = PanelRow(
    "Model",
    (
        Panel(
            "Fallback lists",
            "Share of the lists that were made without scores, by reason.",
            "percentunit",
            {"{{reason}}": f"{_rate(Metric.FALLBACKS, 'reason')} / on (job_name) group_left () {_rate(Metric.LISTS)}"},
        ),
        Panel(
            "Lists by variant and version",
            "During a swap two versions serve; in an A/B test each variant has its share of the users.",
            "ops",
            {
                "{{variant}} {{version}} {{source}}": _rate(Metric.LISTS_BY_MODEL, "variant", "version", "source"),
            },
        ),
        Panel(
            "Batch size",
            "Histories that the model scores in one call, on average. It rises with the load.",
            "none",
            {"mean": _ratio(Metric.BATCH_SIZES, Metric.HISTORIES_SCORED)},
        ),
        Panel(
            "Cache hits",
            "Share of the scored lists for which the model did not read the whole history.",
            "percentunit",
            {
                "one step from a kept state": _ratio(Metric.HISTORIES_STEPPED, Metric.HISTORIES_SCORED),
                "score cache": _ratio(Metric.SCORE_CACHE_HITS, Metric.HISTORIES_SCORED),
            },
        ),
        Panel(
            "Gaps between bundles",
            "Time in which a scorer had nothing under way, a gap, while the next was less than a second away.",
            "ms",
            {"mean gap": _ratio(Metric.BUNDLE_GAP_MS, Metric.BUNDLE_GAPS), "in a second": _rate(Metric.BUNDLE_GAP_MS)},
        ),
        Panel(
            "Garbage collection",
            "Full collections of each Python interpreter, which hold up all lists: their time and their number.",
            "none",
            {
                "{{interpreter}}: ms in a second": _rate(Metric.COLLECTION_MS, "interpreter"),
                "{{interpreter}}: collections in a second": _rate(Metric.COLLECTIONS, "interpreter"),
            },
        ),
        Panel(
            "Swaps",
            "Models that replaced another at a scorer, or did not load, in the last ten minutes.",
            "none",
            {
                "swapped": f"sum by (job_name) (increase({Metric.SWAPS.series}{{{CHOSEN}}}[10m]))",
                "failed": f"sum by (job_name) (increase({Metric.SWAP_FAILURES.series}{{{CHOSEN}}}[10m]))",
            },
        ),
    ),
)
_FLINK = PanelRow(
    "Flink",
    (
        Panel(
            "Checkpoints a minute",
            "Rows of the tables are seen when a checkpoint completes.",
            "none",
            {
                "completed": f"sum by (job_name) (increase({FlinkSeries.CHECKPOINTS_COMPLETED}{{{CHOSEN}}}[1m]))",
                "failed": f"sum by (job_name) (increase({FlinkSeries.CHECKPOINTS_FAILED}{{{CHOSEN}}}[1m]))",
            },
        ),
        Panel(
            "Time a checkpoint takes",
            "From its trigger until all subtasks have done their part.",
            "ms",
            {"last": _flink(FlinkSeries.CHECKPOINT_MS)},
        ),
        Panel(
            "State",
            "Size of all profiles and lists, and what the last checkpoint had to write of it.",
            "bytes",
            {"all": _flink(FlinkSeries.STATE_BYTES), "written": _flink(FlinkSeries.CHECKPOINT_BYTES)},
        ),
        Panel(
            "Restarts",
            "Since the job was deployed.",
            "none",
            {"restarts": _flink(FlinkSeries.RESTARTS)},
        ),
        Panel(
            "Busy",
            "Share of a second in which the busiest subtask of a task works. The first to reach 1 is the bottleneck.",
            "percentunit",
            {"{{task_name}}": f"{_flink(FlinkSeries.BUSY_MS, 'task_name')} / 1000"},
        ),
        Panel(
            "Processes",
            "TaskManagers that the JobManager knows, and the fullest heap of one.",
            "none",
            {
                "TaskManagers": f"max ({FlinkSeries.TASK_MANAGERS})",
                "fullest heap (share)": f"max ({FlinkSeries.HEAP_USED} / {FlinkSeries.HEAP_MAX})",
            },
        ),
    ),
)
ROWS = (_LISTS, _MODEL, _FLINK)
