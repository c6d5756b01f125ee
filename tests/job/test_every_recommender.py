"""Every kind of recommender, trained on real data, is served by the same job, and answers there as it does offline."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from job.cluster import FlinkRest, RunningCluster
from job.deployment.status import fresh_counts
from job.replay.log_writer import LogWriter
from model.bundles.bundle import Bundle, load_module
from model.compression.compress import Compressing, compress
from model.datasets.interactions import Interactions, Ints, load_interactions
from model.datasets.prepared import Dataset, write_behaviors, write_catalogue, write_info
from model.evaluation.evaluate import Targets, pad_right, rows_after, targets_at
from model.fit import FitConfig, fit
from model.recommenders.kinds import KINDS, kind_named
from model.records import UserBehavior
from tests.job.fixtures import Deploy, Run, jobs_on
from tests.job.waiting import wait_until
from tests.unit.model.planted import LIBRARIES
from udfs.flink.metrics import Metric

pytestmark = [pytest.mark.cluster, pytest.mark.slow]  # fourteen models on one cluster: minutes

BEHAVIORS, CUT, EPOCHS = 6_000, 0.9, 3
QUICKEST = "hybrid"
"""It has a recurrent, a closed-form and a factorising member; the others are in make test-all."""
STEPPING = ("gru", "sasrec:steps=1")
WITHOUT_A_DEADLINE = "preset=replayable"
"""A machine under load makes no fallback of it. Every history is scored as a whole, too."""
SETTINGS = (
    "scoring.neighbors_of_disliked=0",  # the evaluation masks what was met, and no neighbours of it
    "tables.prediction_sample_rate=1.0",
    "flink.checkpoint_interval=PT1S",  # rows are seen sooner
)
Answer = dict[str, float]


@dataclass(frozen=True, slots=True)
class Sample:
    """The first behaviours of MovieLens-100K, and those of them that no bundle was trained on."""

    dataset: Dataset
    later: list[UserBehavior]


@pytest.fixture(scope="module")
def sample(ml_100k: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    folder = tmp_path_factory.mktemp("sample")
    with ml_100k.behaviors_path.open("rb") as lines:
        fingerprint = write_behaviors(folder, islice(lines, BEHAVIORS))
    write_catalogue(folder, ml_100k.items().values())
    write_info(folder, replace(ml_100k.info, name="sample", behaviors=BEHAVIORS, fingerprint=fingerprint))
    dataset = Dataset.open(folder)
    return Sample(dataset, list(dataset.behaviors())[int(CUT * BEHAVIORS) :])


def trained(kind: str, sample: Sample, folder: Path) -> Bundle:
    if library := LIBRARIES.get(kind):
        pytest.importorskip(library)
    how = replace(kind_named(kind).recipe().SETTINGS, epochs=EPOCHS)
    config = FitConfig(recommender=kind, cut=CUT, settings=how)
    return fit(sample.dataset, folder / kind, config, datetime.now(UTC)).bundle


@pytest.fixture(
    params=[pytest.param(k, marks=() if k == QUICKEST else pytest.mark.slow) for k in (*KINDS, "gru in int8")]
)
def served(request: pytest.FixtureRequest, sample: Sample, tmp_path: Path) -> Bundle:
    kind, _, bits = request.param.partition(" in ")
    bundle = trained(kind, sample, tmp_path)
    if not bits:
        return bundle
    wanted = Compressing(methods=(bits,), max_loss=1.0, created_at=datetime.now(UTC))
    compress(bundle, sample.dataset, tmp_path / "compressed", wanted)
    return Bundle.load(tmp_path / "compressed" / bits)


@pytest.fixture
def run_served(cluster: RunningCluster, served: Bundle, tmp_path: Path) -> Iterator[Deploy]:
    with jobs_on(cluster, served, tmp_path) as deployed:
        yield deployed


def test_every_recommender_is_served_as_it_is_evaluated(
    run_served: Deploy, served: Bundle, sample: Sample, tmp_path: Path
) -> None:
    with LogWriter(tmp_path / "log") as writer:
        writer.append(sample.later)
    run = run_served(tmp_path / "log", WITHOUT_A_DEADLINE, *SETTINGS)
    wait_until(lambda: whole(run, len(sample.later)), timeout_s=120, what="lists and predictions of all behaviours")

    assert_scored_by(run, served, len(sample.later))
    live, offline = live_answers(run), offline_answers(served, sample)
    assert len(offline) > 100
    for behavior, answer in offline.items():
        assert_same(live[behavior], answer)


@pytest.mark.slow
@pytest.mark.parametrize("served", STEPPING, indirect=True)
def test_steps_answer_as_the_evaluation_does(
    run_served: Deploy, served: Bundle, sample: Sample, tmp_path: Path
) -> None:
    with LogWriter(tmp_path / "log") as writer:
        writer.append(sample.later)
    run = run_served(tmp_path / "log", *SETTINGS)
    wait_until(lambda: run.count("recommendation_lists") == len(sample.later), timeout_s=120, what="all lists")
    with FlinkRest(run.cluster.rest_url) as rest:
        counts = fresh_counts(rest, run.deployment.job_id)
    scored = counts.total(Metric.HISTORIES_SCORED)
    assert counts.total(Metric.HISTORIES_STEPPED) > 0.5 * scored > 0.25 * len(sample.later)
    wait_until(lambda: run.count("prediction_results", "rank = 0") == scored, timeout_s=30, what="their predictions")

    live, offline = live_answers(run), offline_answers(served, sample)
    both = live.keys() & offline.keys()
    assert len(both) > 100
    for behavior in both:
        assert_same(live[behavior], offline[behavior])


def whole(run: Run, behaviors: int) -> bool:
    tables = {"recommendation_lists": "true", "user_behavior": "true", "prediction_results": "rank = 0"}
    return all(run.count(table, condition) >= behaviors for table, condition in tables.items())


def assert_scored_by(run: Run, bundle: Bundle, behaviors: int) -> None:
    """Every behaviour has one list, full and scored by that very bundle, and nothing in it was met before."""
    told = run.rows(
        "SELECT model_version, model_hash, source, fallback_reason, len(items), count(*), count(DISTINCT (user_id, "
        "user_seq)) FROM recommendation_lists GROUP BY ALL"
    )
    assert told == [(bundle.manifest.version, bundle.hash, "scored", None, 10, behaviors, behaviors)]
    met = run.rows(
        "SELECT count(*) FROM recommendation_lists l JOIN user_behavior b USING (user_id) "
        "WHERE b.user_seq <= l.user_seq AND list_contains(l.items, b.item_id)"
    )
    assert met == [(0,)]


def live_answers(run: Run) -> dict[tuple[str, int], Answer]:
    """(user, how many behaviours he had) -> what the model proposed to the job, best first."""
    answers: dict[tuple[str, int], Answer] = {}
    for user, seq, item, score in run.rows(
        "SELECT user_id, user_seq, item_id, score FROM prediction_results ORDER BY rank"
    ):
        answers.setdefault((str(user), int(str(seq))), {})[str(item)] = float(str(score))
    return answers


def offline_answers(bundle: Bundle, sample: Sample) -> dict[tuple[str, int], Answer]:
    """The same by the protocol of the evaluation, before each of its targets.

    Only where the job keeps the whole history still, up to 99 items. The evaluation tells how old items are at the
    target, the job at the behaviour before it; no recommender looks at that.
    """
    log = load_interactions(sample.dataset).with_vocabulary(bundle.vocabulary)
    users = list(dict.fromkeys(behavior.user_id for behavior in sample.dataset.behaviors()))
    later = log.where(np.arange(len(log)) >= len(log) - len(sample.later))
    before = positions(later)
    rows = rows_after(later, 0)
    rows = rows[before[rows] < 100]
    items, scores = answered(bundle, targets_at(later, rows, bundle.manifest.history_length))
    names = [None, *bundle.vocabulary]
    return {
        (users[later.user[row]], int(at)): {str(names[i]): s for i, s in zip(its, whose, strict=True) if i}
        for row, at, its, whose in zip(rows, before[rows], items.tolist(), scores.tolist(), strict=True)
    }


def answered(bundle: Bundle, targets: Targets) -> tuple[torch.Tensor, torch.Tensor]:
    inputs = (targets.history, targets.weight, targets.age_s, pad_right(targets.seen))
    with torch.inference_mode():
        items, scores = load_module(bundle)(*map(torch.from_numpy, inputs))
    return items, scores


def positions(log: Interactions) -> Ints:
    """How many behaviours of the same user lie before each. (N,)."""
    before = np.zeros(len(log), dtype=np.int64)
    for _, rows in log.rows_by_user():
        before[rows] = np.arange(len(rows))
    return before


def assert_same(live: Answer, offline: Answer) -> None:
    """The best scores are the same, and every item has its own; of equal ones others may be the last."""
    assert list(live.values()) == pytest.approx(list(offline.values())[: len(live)], rel=1e-5, abs=1e-5)
    lowest = min(live.values())
    for item, score in live.items():
        assert offline.get(item, lowest) == pytest.approx(score, rel=1e-5, abs=1e-5), item
