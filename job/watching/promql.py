"""PromQL expressions over the job's metrics.

Every count begins anew at each start of its operator. `rate` and `increase` take that as a fresh beginning.
"""

from collections.abc import Iterable

from udfs.flink.metrics import Metric

_JOB = "job_name"


def rate(metric: Metric, window: str, *, by: Iterable[str] = (), where: str = "") -> str:
    """Return the rate of a count over a window, added up a job and for each value of some labels.

    Args:
        metric: a count.
        window: the time over which it is measured, as "1m".
        by: labels that stay apart.
        where: matchers of labels, as 'reason!="shed"'.
    """
    return f"sum by ({', '.join((_JOB, *by))}) (rate({metric.series}{_braces(where)}[{window}]))"


def ratio(part: Metric, whole: Metric, window: str, *, where: str = "", whole_where: str | None = None) -> str:
    """Return the ratio of two rates a job; `where` holds for both, unless the whole has matchers of its own."""
    below = rate(whole, window, where=where if whole_where is None else whole_where)
    return f"{rate(part, window, where=where)} / {below}"


def quantile(share: float, metric: Metric, window: str, *, where: str = "") -> str:
    """Return the value, over a window, that this share (0 to 1) of a histogram's values did not exceed."""
    return f"histogram_quantile({share:g}, {rate(metric, window, by=['le'], where=where)})"


def highest(series: str, *, by: Iterable[str] = (), where: str = "") -> str:
    """Return the highest value of a level, a job and for each value of some labels."""
    return f"max by ({', '.join((_JOB, *by))}) ({series}{_braces(where)})"


def _braces(where: str) -> str:
    return f"{{{where}}}" if where else ""
