"""The steps from a prepared data set to a measured bundle: train before the cut-off, export, evaluate after it."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from model.bundles.bundle import Bundle, Manifest, Training, with_metrics, write_bundle
from model.bundles.bundle_files import BUNDLE
from model.bundles.export import contents_of
from model.bundles.trial import try_bundle
from model.datasets.interactions import (
    Interactions,
    checked_cut_off,
    cut_off_at,
    load_interactions,
)
from model.datasets.prepared import Dataset
from model.datasets.reading import Item
from model.evaluation.evaluate import Evaluation, evaluate, rows_after, shared, targets_at, thinned
from model.evaluation.splits import AT_MOST
from model.folders import check_replaceable
from model.recommenders.kinds import DEFAULT_KIND, Learned, Progress, RecommenderSpec, Size, kind_named
from model.recommenders.learn import learn, training_set, vocabulary_of
from model.recommenders.popularity import Popularity
from model.records import EpochMs, ItemId
from model.training.checkpoint import remove_checkpoint
from model.training.train import TrainConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """The options of `fit`.

    Attributes:
        recommender: its kind, a name in `model.recommenders.kinds`, followed by the options that differ from the
            kind's own.
        cut: share of the behaviours that lie before the cut-off, unless `cut_off` is given.
        cut_off: epoch milliseconds; only older behaviours are trained on.
        size: size of the model.
        settings: options of the training; the kind's own if None.
        per_user: limit of one user's targets; None is the limit of `model.evaluation.evaluate.fair_limit`.
    """

    recommender: str = DEFAULT_KIND
    cut: float = 0.8
    cut_off: EpochMs | None = None
    size: Size = field(default_factory=lambda: Size(history_length=0))
    settings: TrainConfig | None = None
    per_user: int | None = None


@dataclass(frozen=True, slots=True)
class Fitted:
    """A written bundle with its accuracy.

    Attributes:
        bundle: the bundle, as written.
        model: accuracy of the trained model.
        popularity: accuracy of the baseline on the same targets.
        train_s: seconds of training.
        evaluate_s: seconds of evaluation, baseline included.
        asked_k: number of items asked for in a prediction; a prediction has no more than the vocabulary.
        left_out: number of targets left out by the limit per user.
    """

    bundle: Bundle
    model: Evaluation
    popularity: Evaluation
    train_s: float
    evaluate_s: float
    asked_k: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class _Read:
    """A data set in the vocabulary of the recommender, with `training` holding the behaviours before the cut-off."""

    spec: RecommenderSpec
    size: Size
    log: Interactions
    catalogue: Mapping[ItemId, Item]
    cut_off: EpochMs
    training: Interactions
    per_user: int | None


def fit(
    dataset: Dataset, out: Path, config: FitConfig, created_at: datetime, progress: Progress = lambda _: None
) -> Fitted:
    """Train a recommender, write it as the bundle `out`, and evaluate it.

    Args:
        dataset: the prepared data set.
        out: folder of the bundle; replaced if it exists. Its name becomes the model's name.
        config: the options.
        created_at: time zone aware; it also makes the bundle's version.
        progress: called with each stage's name and each finished epoch.

    Raises:
        ValueError: there is too little data before the cut-off, the cut is no share, or there is no such recommender.
        NotOursError: `out` holds something that is no bundle.
        BundleError: the trained model's answers cannot be served.
    """
    check_replaceable(out, BUNDLE)
    progress("reading")
    read = _read(dataset, config)
    progress("training")
    started = time.perf_counter()
    learned = _learn(read, config, progress)
    train_s = time.perf_counter() - started
    progress("writing the bundle")
    info = dataset.info
    manifest = Manifest(
        name=out.name,
        recommender=config.recommender,
        version=created_at.strftime("%Y%m%dT%H%M%S"),
        created_at=created_at.isoformat(timespec="seconds"),
        history_length=read.size.history_length,
        k=learned.recommender.k,
        training=Training(
            dataset=info.name, fingerprint=info.fingerprint, cut_off=read.cut_off, behaviors=len(read.training)
        ),
    )
    bundle = write_bundle(out, contents_of(learned, read.training, read.catalogue), manifest, try_bundle)
    if config.settings is not None and config.settings.checkpoints is not None:
        remove_checkpoint(config.settings.checkpoints.folder)
    return _measured(bundle, learned, read, train_s, progress)


def _measured(bundle: Bundle, learned: Learned, read: _Read, train_s: float, progress: Progress) -> Fitted:
    """Measure the trained model, and write its metrics into the manifest of the bundle that is already there."""
    progress("evaluating")
    started = time.perf_counter()
    rows = rows_after(read.log, read.cut_off)
    kept = shared(read.log, rows, read.per_user)
    targets = targets_at(read.log, thinned(kept, AT_MOST), read.size.history_length, cut_off=read.cut_off)
    popularity = Popularity(read.training.histories().counts(), learned.recommender.k)
    accuracy, baseline = (evaluate(model, targets) for model in (learned.recommender, popularity))
    metrics = metrics_of(accuracy)
    for name, value in metrics_of(baseline).items():
        if "targets" not in name:
            metrics[f"popularity_{name}"] = value
    return Fitted(
        bundle=with_metrics(bundle, metrics),
        model=accuracy,
        popularity=baseline,
        train_s=train_s,
        evaluate_s=time.perf_counter() - started,
        asked_k=read.size.k,
        left_out=len(rows) - len(kept),
    )


def fit_along(dataset: Dataset, config: FitConfig) -> None:
    """Train along in one of torchrun's other processes; the first process does the rest of `fit`.

    Raises:
        ValueError: for the same reasons as `fit`.
    """
    _learn(_read(dataset, config), config, lambda _: None)


def _read(dataset: Dataset, config: FitConfig) -> _Read:
    spec = kind_named(config.recommender)
    log, catalogue = load_interactions(dataset), dataset.items()
    cut_off = cut_off_at(log, config.cut) if config.cut_off is None else checked_cut_off(log, config.cut_off)
    log = log.with_vocabulary(vocabulary_of(spec, log.before(cut_off), catalogue))
    return _Read(
        spec=spec,
        size=spec.sized(config.size),
        log=log,
        catalogue=catalogue,
        cut_off=cut_off,
        training=log.before(cut_off),
        per_user=config.per_user,
    )


def _learn(read: _Read, config: FitConfig, progress: Progress) -> Learned:
    return learn(read.spec, training_set(read.training, read.catalogue), read.size, config.settings, progress)


def metrics_of(evaluation: Evaluation) -> dict[str, float]:
    """Return the accuracy as a manifest's metrics: name -> value, rounded to 6 places.

    An accuracy over no target is left out.
    """
    return {
        f"{measure}_{users}": round(value, 6)
        for users in ("known", "everyone")
        for measure in ("hr_10", "ndcg_10", "targets")
        if not math.isnan(value := float(getattr(getattr(evaluation, users), measure)))
    }
