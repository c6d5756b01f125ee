"""From a prepared data set to a measured bundle: train before the cut-off, evaluate after it, export."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from model.bundle import Bundle, Manifest, Training, write_bundle
from model.datasets.prepared import Dataset
from model.evaluate import Evaluation, Targets, evaluate, find_targets
from model.export import contents_of
from model.interactions import Interactions, cut_off_at, load_interactions, training_vocabulary
from model.popularity import Popularity
from model.records import EpochMs
from model.sasrec import SASRec, SASRecConfig
from model.train import EpochDone, TrainConfig, train

Progress = Callable[[EpochDone | str], None]
"""Told each stage's name and each finished epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """What to fit.

    Attributes:
        cut: share of the behaviours that lie before the cut-off, unless `cut_off` is given.
        cut_off: only older behaviours are trained on.
        size: of the model; its `items` are set from the data.
        how: optimiser and seed.
    """

    cut: float = 0.8
    cut_off: EpochMs | None = None
    size: SASRecConfig = field(default_factory=lambda: SASRecConfig(items=0))
    how: TrainConfig = field(default_factory=TrainConfig)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A bundle and how good it is.

    Attributes:
        bundle: as written.
        model: accuracy of the trained model.
        popularity: accuracy of the baseline on the same targets.
        train_s: seconds that training took.
        evaluate_s: seconds that evaluating took, baseline included.
    """

    bundle: Bundle
    model: Evaluation
    popularity: Evaluation
    train_s: float
    evaluate_s: float


def fit(
    dataset: Dataset, out: Path, config: FitConfig, created_at: datetime, progress: Progress = lambda _: None
) -> Fitted:
    """Trains, evaluates and writes the bundle `out`.

    Args:
        dataset: prepared.
        out: folder of the bundle; replaced if it exists. Its name becomes the model's name.
        config: what to fit.
        created_at: time zone aware; also makes the bundle's version.
        progress: told what happens.

    Raises:
        ValueError: there is too little data before the cut-off, or the cut is no share.
    """
    progress("reading")
    log = load_interactions(dataset)
    cut_off = cut_off_at(log, config.cut) if config.cut_off is None else config.cut_off
    log = log.with_vocabulary(training_vocabulary(log.before(cut_off)))
    training = log.before(cut_off)
    size = replace(config.size, items=log.items)
    progress("training")
    started = time.perf_counter()
    model = train(training, size, config.how, progress)
    train_s = time.perf_counter() - started
    progress("evaluating")
    started = time.perf_counter()
    accuracy, baseline = _evaluate(model.to("cpu"), training, find_targets(log, cut_off, size.history_length))
    evaluate_s = time.perf_counter() - started
    progress("writing the bundle")
    manifest = Manifest(
        name=out.name,
        version=created_at.strftime("%Y%m%dT%H%M%S"),
        created_at=created_at.isoformat(timespec="seconds"),
        history_length=size.history_length,
        k=model.k,
        training=_describe(dataset, cut_off, len(training)),
        metrics=_metrics(accuracy, baseline),
    )
    bundle = write_bundle(out, contents_of(model, model.item.weight, training, dataset.items()), manifest)
    return Fitted(bundle, accuracy, baseline, train_s, evaluate_s)


def _evaluate(model: SASRec, training: Interactions, targets: Targets) -> tuple[Evaluation, Evaluation]:
    baseline = Popularity(training.histories().counts(), model.k)
    return evaluate(model, targets), evaluate(baseline, targets)


def _describe(dataset: Dataset, cut_off: EpochMs, behaviors: int) -> Training:
    info = dataset.info
    return Training(dataset=info.name, fingerprint=info.fingerprint, cut_off=cut_off, behaviors=behaviors)


def _metrics(model: Evaluation, baseline: Evaluation) -> dict[str, float]:
    return {
        f"{name}{measure}_{users}": round(float(getattr(getattr(evaluation, users), measure)), 6)
        for name, evaluation in (("", model), ("popularity_", baseline))
        for users in ("known", "everyone")
        for measure in ("hr_10", "ndcg_10", "targets")
        if not (name and measure == "targets")
    }
