"""From a prepared data set to a measured bundle: train before the cut-off, evaluate after it, export."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from model.bundle import Bundle, Manifest, Training, write_bundle
from model.datasets.prepared import Dataset
from model.datasets.reading import Item
from model.errors import RecloopError
from model.evaluate import Evaluation, evaluate, find_targets
from model.export import contents_of
from model.interactions import Interactions, cut_off_at, load_interactions, training_vocabulary
from model.kinds import DEFAULT_KIND, Kind, Learned, Progress, Size, TrainingSet, kind_named
from model.recommenders.popularity import Popularity
from model.records import EpochMs, ItemId
from model.train import TrainConfig
from model.training_checkpoint import remove_checkpoint


class MissingLibraryError(RecloopError, ValueError):
    """A recommender is trained by a package that is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """What to fit.

    Attributes:
        recommender: its kind, a name in `model.kinds`, with options behind it if others than its own are wanted.
        cut: share of the behaviours that lie before the cut-off, unless `cut_off` is given.
        cut_off: only older behaviours are trained on.
        size: of the model.
        how: optimiser and seed; the kind's own if None.
    """

    recommender: str = DEFAULT_KIND
    cut: float = 0.8
    cut_off: EpochMs | None = None
    size: Size = field(default_factory=lambda: Size(history_length=0))
    how: TrainConfig | None = None


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


@dataclass(frozen=True, slots=True)
class _Read:
    """A data set in the vocabulary of the recommender that is trained on what is older than the cut-off."""

    kind: Kind
    size: Size
    log: Interactions
    catalogue: Mapping[ItemId, Item]
    cut_off: EpochMs
    training: Interactions


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
        ValueError: there is too little data before the cut-off, the cut is no share, or there is no such recommender.
    """
    progress("reading")
    read = _read(dataset, config)
    progress("training")
    started = time.perf_counter()
    learned = _learn(read, config, progress)
    train_s = time.perf_counter() - started
    progress("evaluating")
    started = time.perf_counter()
    accuracy, baseline = _evaluate(learned, read)
    evaluate_s = time.perf_counter() - started
    progress("writing the bundle")
    manifest = Manifest(
        name=out.name,
        recommender=config.recommender,
        version=created_at.strftime("%Y%m%dT%H%M%S"),
        created_at=created_at.isoformat(timespec="seconds"),
        history_length=read.size.history_length,
        k=learned.recommender.k,
        training=_describe(dataset, read.cut_off, len(read.training)),
        metrics={**metrics_of(accuracy), **_baseline(baseline)},
    )
    bundle = write_bundle(out, contents_of(learned, read.training, read.catalogue), manifest)
    if config.how is not None and config.how.checkpoints is not None:
        remove_checkpoint(config.how.checkpoints.folder)
    return Fitted(bundle, accuracy, baseline, train_s, evaluate_s)


def fit_along(dataset: Dataset, config: FitConfig) -> None:
    """What torchrun's other processes do of `fit`: they train along with the first one, which does all the rest.

    Raises:
        ValueError: as `fit`.
    """
    _learn(_read(dataset, config), config, lambda _: None)


def learn(kind: Kind, data: TrainingSet, size: Size, how: TrainConfig | None, progress: Progress) -> Learned:
    """Trains one recommender of that kind; in its kind's own way if `how` is None.

    Raises:
        MissingLibraryError: it is trained by a package that is not installed.
        ValueError: it cannot be trained on this data, or not in this size.
    """
    try:
        return kind.learn(data, size, how, progress)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        msg = f"training {kind.summary} needs the package {package}; install it with: pip install {package}"
        raise MissingLibraryError(msg) from error


def vocabulary_of(kind: Kind, training: Interactions, catalogue: Mapping[ItemId, Item]) -> tuple[ItemId, ...]:
    """The items that a recommender of that kind knows after `training`, sorted by id."""
    learned = training_vocabulary(training)
    return tuple(sorted({*learned, *catalogue})) if kind.whole_catalogue else learned


def training_set(training: Interactions, catalogue: Mapping[ItemId, Item]) -> TrainingSet:
    """The behaviours and the titles of their vocabulary."""
    return TrainingSet(training, tuple(catalogue[i].title if i in catalogue else i for i in training.vocabulary))


def _read(dataset: Dataset, config: FitConfig) -> _Read:
    kind = kind_named(config.recommender)
    log, catalogue = load_interactions(dataset), dataset.items()
    cut_off = cut_off_at(log, config.cut) if config.cut_off is None else config.cut_off
    log = log.with_vocabulary(vocabulary_of(kind, log.before(cut_off), catalogue))
    return _Read(kind, kind.sized(config.size), log, catalogue, cut_off, log.before(cut_off))


def _learn(read: _Read, config: FitConfig, progress: Progress) -> Learned:
    return learn(read.kind, training_set(read.training, read.catalogue), read.size, config.how, progress)


def _evaluate(learned: Learned, read: _Read) -> tuple[Evaluation, Evaluation]:
    targets = find_targets(read.log, read.cut_off, read.size.history_length)
    baseline = Popularity(read.training.histories().counts(), learned.recommender.k)
    return evaluate(learned.recommender, targets), evaluate(baseline, targets)


def _describe(dataset: Dataset, cut_off: EpochMs, behaviors: int) -> Training:
    info = dataset.info
    return Training(dataset=info.name, fingerprint=info.fingerprint, cut_off=cut_off, behaviors=behaviors)


def metrics_of(evaluation: Evaluation) -> dict[str, float]:
    """The accuracy as a manifest has it."""
    return {
        f"{measure}_{users}": round(float(getattr(getattr(evaluation, users), measure)), 6)
        for users in ("known", "everyone")
        for measure in ("hr_10", "ndcg_10", "targets")
    }


def _baseline(evaluation: Evaluation) -> dict[str, float]:
    return {f"popularity_{name}": value for name, value in metrics_of(evaluation).items() if "targets" not in name}
