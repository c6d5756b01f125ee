"""One run of the job over a whole data set: what came before the cut-off at once, what came after it as asked."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from job.cluster import FlinkRest, RunningCluster
from job.cluster.running import Progress
from job.freshness.errors import LiveError
from job.freshness.feed import Feed
from job.freshness.handled import Handled
from job.replay.log_writer import LogWriter
from job.settings.groups import LogSettings
from job.settings.job_settings import JobSettings
from job.settings.kafka import PublishSettings
from job.trial import accounted, end_job, launch
from model.datasets.prepared import Dataset
from model.records import EpochMs
from udfs.lists.list_rules import Policy

_PARTITIONS = 1
"""Of the log: its behaviours are processed in order of event time."""
_CHECKPOINTS = timedelta(seconds=5)
_WAIT_MS = 1
"""The longest that a poll and a bundle wait for more: steps are short of behaviours, and many."""
_TREND_INTERVAL = timedelta(milliseconds=10)
"""A step takes some ten milliseconds, and stands for up to a minute: trends have to keep up with it."""
_DEADLINE_MS = 200.0
"""The longest that a live job may have; few behaviours are under way at a time, so a quick model is never late."""


@dataclass(frozen=True, slots=True)
class LiveRun:
    """A run that is asked for.

    Attributes:
        dataset: the behaviours.
        settings: of the job, as of a deployment.
        cut_off: from here on lists are judged.
        top: items that are served of a list.
        trends: whether trends are blended in.
        folder: for the log and the tables.
    """

    dataset: Dataset
    settings: JobSettings
    cut_off: EpochMs
    top: int
    trends: bool
    folder: Path

    @property
    def tables(self) -> Path:
        """The folder of the job's tables."""
        return self.folder / "tables"


def run_job(run: LiveRun, cluster: RunningCluster, report: Progress) -> None:
    """Run the job over the data set, until its tables hold a list of every behaviour; then end it.

    Without trends, lists do not depend on when the job made them, and the log is appended as fast as it goes. With
    trends the behaviours after the cut-off are appended in steps, each after the lists of the step before.

    Raises:
        LiveError: it came to a halt, or was restarted.
        DeployError: Flink refused the job, or it did not start.
    """
    settings = job_settings(run)
    with LogWriter(settings.log.folder, _PARTITIONS) as log, FlinkRest(cluster.rest_url) as rest:
        job = launch(cluster, settings, report=report)
        feed = Feed(log, Handled(run.tables), report)
        feed.append_whole(behavior for behavior in run.dataset.behaviors() if behavior.timestamp < run.cut_off)
        later = (behavior for behavior in run.dataset.behaviors() if behavior.timestamp >= run.cut_off)
        feed.append_in_steps(later) if run.trends else feed.append_whole(later)
        report("waiting for the last checkpoint")
        feed.wait_for(lambda: accounted(run.tables))
        if failures := rest.exceptions(job.job_id):
            msg = f"the job was restarted ({failures[0].root_cause}), so the run counts for nothing: run it again"
            raise LiveError(msg)
        end_job(rest, job.job_id)


def job_settings(run: LiveRun) -> JobSettings:
    """Return the deployment's settings with a log and tables of their own, and lists as long as the candidates.

    A longer list begins with the items of a shorter one, and a server that leaves some out can fill up from the rest;
    but not where a list depends on the one before it or on what is left beside it, as by `lists.max_new_items`.
    """
    given = run.settings
    length = given.lists.length
    if given.lists.max_new_items is None and not given.lists.hysteresis and not given.lists.explore_share:
        length = max(length, run.top, given.scoring.candidates)
    log = LogSettings(
        folder=run.folder / "log",
        partitions=_PARTITIONS,
        poll_interval_ms=_WAIT_MS,
        allowed_lateness=given.log.allowed_lateness,
    )
    scoring = given.scoring.model_copy(
        update={"score_deadline_ms": _DEADLINE_MS, "shed_after_ms": None, "coalesce": False, "linger_ms": 0.0}
    )
    flink = given.flink.model_copy(
        update={"parallelism": 1, "checkpoint_interval": _CHECKPOINTS, "bundle_time_ms": _WAIT_MS}
    )
    own = {
        "job_name": "recloop-live",
        "preset": "live" if run.trends else "replayable",
        "log": log,
        "publish": PublishSettings(),
        "scoring": scoring,
        "lists": given.lists.model_copy(update={"length": length}),
        "trends": given.trends.model_copy(update={"interval": _TREND_INTERVAL}),
        "tables": given.tables.model_copy(update={"folder": run.tables, "prediction_sample_rate": 0.0}),
        "flink": flink,
    }
    return given.model_copy(update=own)


def check_settings(settings: JobSettings) -> None:
    """Refuse settings under which nothing can be measured.

    Raises:
        LiveError: lists are of what users have had.
    """
    if settings.lists.policy is Policy.HISTORY:
        msg = "lists.policy=history lists what users have had, and nothing new can be found there: take recommend"
        raise LiveError(msg)
