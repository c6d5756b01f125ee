"""The dashboard as JSON for Grafana, which `docker/grafana` holds."""

from collections.abc import Iterator

from grafana_foundation_sdk.builders import dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import VisibilityMode
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from job.watching.panels import ROWS, Panel
from udfs.flink.metrics import Metric

_SOURCE = DataSourceRef(type_val="prometheus", uid="${source}")
_COLUMNS = 3
_WIDTH, _HEIGHT = 24 // _COLUMNS, 8


def dashboard_json() -> str:
    """Return the dashboard, as Grafana imports it."""
    built = (
        dashboard.Dashboard("recloop")
        .uid("recloop")
        .description("Freshness, lag, models and checkpoints of recloop jobs; what to do: docs/runbook.md.")
        .tags(["recloop"])
        .refresh("10s")
        .time("now-30m", "now")
        .timezone("browser")
        .with_variable(dashboard.DatasourceVariable("source").label("Prometheus").type("prometheus"))
        .with_variable(
            dashboard.QueryVariable("job")
            .label("job")
            .datasource(_SOURCE)
            .query(f"label_values({Metric.LISTS.series}, job_name)")
            .multi(True)
            .include_all(True)
        )
    )
    for row in ROWS:
        built = built.with_row(dashboard.Row(row.title))
        for panel in row.panels:
            built = built.with_panel(_graph(panel))
    return f"{JSONEncoder(sort_keys=True, indent=2).encode(built.build())}\n"


def expressions() -> Iterator[str]:
    """Yield every expression of the dashboard."""
    for row in ROWS:
        for panel in row.panels:
            yield from panel.lines.values()


def _graph(panel: Panel) -> timeseries.Panel:
    graph = (
        timeseries.Panel()
        .title(panel.title)
        .description(panel.text)
        .unit(panel.unit)
        .datasource(_SOURCE)
        .min(0)
        .span(_WIDTH)
        .height(_HEIGHT)
        .show_points(VisibilityMode.NEVER)
    )
    for number, (legend, expression) in enumerate(panel.lines.items()):
        query = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(chr(ord("A") + number))
        graph = graph.with_target(query)
    return graph
