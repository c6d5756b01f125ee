"""A cluster with the job on it, for the control and for the runs with faults; both are stopped afterwards."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

from job.cluster import ClusterSpec, FlinkRest, RestError
from job.cluster.running import Progress
from job.deployment.keep_running import keep_running
from job.drills.brokers import Brokers
from job.drills.errors import DrillError
from job.drills.feeder import Feeder
from job.drills.run_log import FilesLog, RunLog
from job.drills.site import MODEL, Needs, Setup, Site
from job.drills.surroundings import Surroundings, surroundings
from job.drills.topic_log import TopicLog
from job.drills.watcher import Watcher
from job.settings.groups import FlinkSettings, ListSettings, LogSettings, ScoringSettings, TableSettings
from job.settings.job_settings import JobSettings
from job.settings.kafka import KafkaSettings, PublishSettings
from job.settings.models import ModelsSettings
from job.trial import WATCHED, accounted, launch, trial_cluster
from model.registry.registry import Registry
from model.waiting import counts_up_to, wait_until

_JOB_NAME = "recloop-drill"
_CHECKPOINT_INTERVAL = timedelta(seconds=1)
_POLL_INTERVAL = timedelta(seconds=1)
_MOMENT_S = 90.0
_PATIENCE_S = 60.0
_POLL_S = 0.05
_TABLES_POLL_S = 1.0


@contextmanager
def live_site(setup: Setup, folder: Path, needs: Needs, report: Progress) -> Iterator[Site]:
    """Deploy the job over FOLDER/log, still empty, on a new cluster in FOLDER/cluster; stop both after the block.

    Raises:
        ClusterError: the cluster did not start, or the job did not run.
        KafkaToolError: the brokers of its log did not start.
        DeployError: Flink refused the job.
    """
    scale = setup.scale
    setup.gate.open()
    with (
        surroundings(needs, folder, scale, report) as around,
        trial_cluster(_spec(setup, folder, needs, around), report=report) as cluster,
        FlinkRest(cluster.rest_url) as rest,
        Feeder(setup.log, _run_log(setup, folder, around.brokers), scale.rate) as feeder,
    ):
        settings = _settings(setup, folder, needs, around.brokers)
        deployed = launch(cluster, settings, code=setup.code, report=report)
        keep_running(cluster, _JOB_NAME)
        with Watcher(cluster.rest_url, _JOB_NAME, deployed.job_id) as watcher:
            yield Site(cluster, rest, settings, setup, watcher, feeder, report, kafka=around.brokers)


def _spec(setup: Setup, folder: Path, needs: Needs, around: Surroundings) -> ClusterSpec:
    return ClusterSpec(
        folder / "cluster",
        task_managers=setup.scale.parallelism,
        extra_config={**WATCHED, **around.extra_config},
        high_availability=needs is Needs.HIGH_AVAILABILITY,
        metrics_port=around.metrics_port,
        processes=around.processes,
    )


def _run_log(setup: Setup, folder: Path, brokers: Brokers | None) -> RunLog:
    if brokers is None:
        return FilesLog(folder / "log", setup.scale.partitions)
    return TopicLog(brokers.connection, brokers.topic, setup.scale.partitions)


def _settings(setup: Setup, folder: Path, needs: Needs, brokers: Brokers | None) -> JobSettings:
    """Return the settings of a replayable job, so that runs can be compared; none are from the environment.

    A job that follows a registry cannot be replayable, and gets what makes its lists alike.
    """
    scale = setup.scale
    log = LogSettings(folder=folder / "log", partitions=scale.partitions)
    kafka, publish = KafkaSettings(), PublishSettings(lists_folder=folder / "lists")
    if brokers is not None:
        log, kafka, publish = brokers.settings
    base = JobSettings(
        job_name=_JOB_NAME,
        preset="replayable",
        log=log,
        kafka=kafka,
        publish=publish,
        scoring=ScoringSettings(bundle=setup.bundle),
        tables=TableSettings(folder=folder / "tables"),
        flink=FlinkSettings(parallelism=scale.parallelism, checkpoint_interval=_CHECKPOINT_INTERVAL),
    )
    if needs is not Needs.REGISTRY:
        return base
    registry = Registry(folder / "registry")
    registry.promote(MODEL, registry.register(setup.bundle, MODEL).id)
    followed = ModelsSettings(
        url=str(folder / "registry"), name=MODEL, cache=folder / "bundles", poll_interval=_POLL_INTERVAL
    )
    return JobSettings(
        job_name=_JOB_NAME,
        log=base.log,
        publish=base.publish,
        scoring=ScoringSettings(fixed_batch=True),
        models=followed,
        lists=ListSettings(trend_weight=0.0),
        tables=base.tables,
        flink=base.flink,
    )


def settle(site: Site) -> bool:
    """Wait until the tables account for all records that were appended, and then for two more checkpoints.

    Rows that those two commit are judged as well.

    Returns:
        True once that is reached; False if nothing changed for a minute.
    """
    records = site.feeder.appended
    for seen in counts_up_to(records, partial(accounted, site.tables), stalled_s=_PATIENCE_S, poll_s=_TABLES_POLL_S):
        site.report(f"{seen:,} of {records:,} records in the tables")
    if seen < records:
        return False
    site.report("waiting for two more checkpoints")
    return all(site.completes_another(timeout_s=_PATIENCE_S) for _ in range(2))


def feed_at_once(site: Site, segments: Iterable[int]) -> None:
    """Append segments of the log, and wait until that is done."""
    for segment in segments:
        site.feeder.begin(segment)
        site.feeder.hurry()
        site.feeder.finish()


def wait_for_moment(site: Site, is_moment: Callable[[], bool]) -> None:
    """Wait for the moment of a fault.

    Raises:
        DrillError: it did not come in time.
    """
    site.report("waiting for checkpoints, and for rows after them")
    if not wait_until(is_moment, timeout_s=_MOMENT_S, poll_s=_POLL_S):
        msg = f"no moment for a fault in {_MOMENT_S:g} s: look at {site.cluster.layout.logs}"
        raise DrillError(msg)


def cause_of_failure(site: Site) -> str:
    """Return the job's last failure in brackets; nothing if it had none, or Flink does not answer."""
    try:
        failures = site.rest.exceptions(site.job_id)
    except RestError:
        return ""
    return f" ({failures[0].root_cause})" if failures else ""
