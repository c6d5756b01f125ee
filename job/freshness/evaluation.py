"""`recloop evaluate --live`, whole: the runs on a temporary cluster, and the report on their lists."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from job.cluster import ClusterSpec
from job.cluster.running import Progress
from job.freshness.live_run import LiveRun, check_settings, run_job
from job.freshness.traces import read_traces
from job.settings.job_settings import JobSettings
from job.topology.rules import action_table
from job.trial import WATCHED, trial_cluster
from model.bundles.bundle import Bundle
from model.datasets.prepared import Dataset
from model.evaluation.freshness import Question, look_up
from model.evaluation.freshness_report import Freshness, Run, Subject, report_on
from model.files import replace_file
from model.folders import FolderKind, claim_folder
from model.pictures import can_draw

REPORT, PICTURE = "freshness.json", "freshness.png"
_OUT = FolderKind("a live evaluation's folder", REPORT, frozenset(), ())


@dataclass(frozen=True, slots=True)
class Order:
    """The order of a measurement.

    Attributes:
        dataset: a prepared data set.
        bundle: trained on what is older than its cut-off.
        settings: of the job; its bundle is `bundle`.
        out: the folder of the report; runs work in it.
        trends: whether there is a second run, with trends.
        top: items that are served.
        per_user: limit of one user's targets; None is a fair one.
    """

    dataset: Dataset
    bundle: Bundle
    settings: JobSettings
    out: Path
    trends: bool = True
    top: int = 10
    per_user: int | None = None


def evaluate_live(order: Order, report: Progress) -> Freshness:
    """Run the job over the data set, without trends and with them, and look each behaviour up in its user's list.

    Raises:
        LiveError: the job could not be measured.
        NothingToFindError: no user does anything new after the cut-off.
        ClusterError: the cluster did not start.
        DeployError: Flink refused the job, or it did not start.
    """
    check_settings(order.settings)
    out = order.out.absolute()
    claim_folder(out, _OUT)
    question = Question(
        cut_off=order.bundle.manifest.training.cut_off,
        popular=tuple(item_id for item_id, _ in order.bundle.popularity),
        top=order.top,
        per_user=order.per_user,
    )
    subject = Subject(
        dataset=order.dataset.info.name,
        recommender=order.bundle.manifest.recommender,
        model_hash=order.bundle.hash,
        vocabulary=frozenset(order.bundle.vocabulary),
    )
    work = out / "work"
    shutil.rmtree(work, ignore_errors=True)
    try:
        measured = report_on(subject, question, _runs(order, question, work, report))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    _write(measured, out)
    return measured


def _runs(order: Order, question: Question, work: Path, report: Progress) -> list[Run]:
    """Run the job once or twice on one cluster, and look the targets up in the lists of each run."""
    runs = []
    with trial_cluster(ClusterSpec(work / "cluster", extra_config=WATCHED), report=report) as cluster:
        for trends in (False, True) if order.trends else (False,):
            name = f"trends {'on' if trends else 'off'}"
            run = LiveRun(order.dataset, order.settings, question.cut_off, order.top, trends, work / name)
            run_job(run, cluster, lambda news, name=name: report(f"{name}: {news}"))  # type: ignore[misc]
            traces, fallbacks = read_traces(run.tables, question.cut_off, action_table(order.settings))
            runs.append(Run(trends=trends, fallbacks=fallbacks, looked_up=look_up(traces, question)))
    return runs


def _write(measured: Freshness, out: Path) -> None:
    """Write the figures and, where matplotlib is installed, the picture."""
    replace_file(out / REPORT, msgspec.json.format(msgspec.json.encode(measured)) + b"\n")
    if can_draw():
        # Imported here: matplotlib is an extra.
        from job.freshness.picture import draw

        draw(measured, out / PICTURE)


def actions_of(dataset: Dataset) -> Mapping[str, Any]:
    """Return the action table that a data set was prepared with, as settings; empty if it is the built-in one."""
    return {
        name: {"code": row.code, "kind": row.kind, "weight": row.weight, "half_life": f"PT{row.half_life_s}S"}
        for name, row in dataset.info.action_table.items()
    }
