"""The training of a candidate: fine-tuned from the served model, or trained anew, on a round's behaviours."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np

from model.bundles.bundle import Bundle, Manifest, Training, write_bundle
from model.bundles.export import contents_of
from model.bundles.trial import try_bundle
from model.compression.methods import CompressionError
from model.compression.rebuild import Sized, kind_of, rebuilt
from model.datasets.interactions import Interactions, training_vocabulary
from model.datasets.reading import Item
from model.learning.rounds import Round, tuning_rows
from model.recommenders.kinds import Learned, Progress, RecommenderSpec, Size, kind_named
from model.recommenders.learn import learn, training_set
from model.records import ItemId
from model.training.checkpoint import remove_checkpoint
from model.training.train_config import Checkpoints, Start, TrainConfig

Method = Literal["tune", "retrain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """The options of a candidate's training.

    Attributes:
        method: tune goes on from the served model's weights, with the new behaviours and as many older ones; retrain
            begins anew, with the whole window. A kind that is not trained in steps is retrained in any case.
        epochs: passes over the data; None takes `TUNE_EPOCHS`, or those of the kind where it is retrained.
        rate: share of the kind's learning rate that a fine-tuning has at its peak.
        seed: of everything random.
    """

    method: Method = "tune"
    epochs: int | None = None
    rate: float = 0.25
    seed: int = 0


TUNE_EPOCHS = 3
"""Passes over the data in a fine-tuning."""
_OF_TRAINING = frozenset({"epochs", "learning_rate"})
"""The options of a kind that are in its settings already, and that a fine-tuning replaces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """The name and the origin of a candidate.

    Attributes:
        name: of the model.
        version: of this candidate.
        created_at: time zone aware.
        source: the log that its behaviours are from.
    """

    name: str
    version: str
    created_at: datetime
    source: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A candidate that is asked for.

    Attributes:
        log: all behaviours, in time order.
        round: the behaviours to train on.
        served: the bundle that serves, whose kind and size the candidate has.
        lessons: the options of the training.
        named: the candidate's name.
        checkpoints: a folder for the training's checkpoints, from which it goes on; None keeps none.
    """

    log: Interactions
    round: Round
    served: Bundle
    lessons: Lessons
    named: Named
    checkpoints: Path | None = None


def write_candidate(folder: Path, asked: Asked, progress: Progress = lambda _: None) -> Bundle:
    """Train a candidate, and write its bundle; a folder that holds a bundle is replaced.

    Items that the window has and the served model does not get a row; items that left the window lose theirs.

    Raises:
        TooLittleDataError: no user of the window has two items.
        TrainingError: the kind cannot be trained on this data.
        BundleError: the trained model's answers cannot be served.
    """
    training = asked.log.where(asked.round.training)
    training = training.with_vocabulary(training_vocabulary(training))
    catalogue = _catalogue_of(asked.served)
    learned = _learned(asked, training, catalogue, progress)
    manifest, named = asked.served.manifest, asked.named
    full = Manifest(
        name=named.name,
        recommender=manifest.recommender,
        version=named.version,
        created_at=named.created_at.isoformat(timespec="seconds"),
        history_length=manifest.history_length,
        k=learned.recommender.k,
        training=Training(
            dataset=named.source,
            fingerprint=_fingerprint(training),
            cut_off=asked.round.cut_off,
            behaviors=len(training),
        ),
    )
    bundle = write_bundle(folder, contents_of(learned, training, catalogue), full, try_bundle)
    if asked.checkpoints is not None:
        remove_checkpoint(asked.checkpoints)
    return bundle


def _learned(asked: Asked, training: Interactions, catalogue: Mapping[ItemId, Item], progress: Progress) -> Learned:
    """Fine-tune the served model, or train one of its kind and size anew where it cannot be or is not to be."""
    served, lessons = asked.served, asked.lessons
    spec = kind_named(served.manifest.recommender)
    layers = _layers_of(served)
    settings, data = _settings_of(spec, lessons, tuned=False), training
    if layers is not None and lessons.method == "tune":
        length = served.manifest.history_length
        every = np.ones(len(training), dtype=np.bool_)
        rows = tuning_rows(training, every, served.manifest.training.cut_off, length, lessons.seed)
        if rows.any():
            start = Start(served.hash, served.vocabulary, layers.model.state_dict())
            settings, data = replace(_settings_of(spec, lessons, tuned=True), start=start), training.where(rows)
    if spec.trained_on_windows and asked.checkpoints is not None:
        settings = replace(settings, checkpoints=Checkpoints(folder=asked.checkpoints, resume=True))
    trained = replace(spec, options={name: spec.options[name] for name in spec.options.keys() - _OF_TRAINING})
    return learn(trained, training_set(data, catalogue), _size_of(served, layers), settings, progress)


def _settings_of(spec: RecommenderSpec, lessons: Lessons, *, tuned: bool) -> TrainConfig:
    """Return the training's settings: the kind's own, with its options laid over them, and those of the lessons."""
    usual = spec.settings()
    usual = replace(usual, seed=lessons.seed, epochs=lessons.epochs or (TUNE_EPOCHS if tuned else usual.epochs))
    return replace(usual, learning_rate=usual.learning_rate * lessons.rate) if tuned else usual


def _layers_of(served: Bundle) -> Sized | None:
    """Return the layers of the served model, or None if it has none that a training can go on from."""
    kind = kind_of(served)
    if kind == "hybrid" or not kind_named(kind).trained_on_windows:
        return None
    try:
        return rebuilt(served).layers
    except CompressionError:
        return None


def _size_of(served: Bundle, layers: Sized | None) -> Size:
    """Return the size of the served model; a catalogue may have outgrown a model that returns all of its items."""
    manifest, usual = served.manifest, Size()
    return Size(
        history_length=manifest.history_length,
        dim=usual.dim if layers is None else layers.config.dim,
        layers=getattr(layers and layers.config, "layers", usual.layers),
        k=manifest.k if manifest.k < manifest.items else max(manifest.k, usual.k),
    )


def _catalogue_of(served: Bundle) -> Mapping[ItemId, Item]:
    items = zip(served.vocabulary, served.titles, served.groups, strict=True)
    return {item_id: Item(item_id, title, group) for item_id, title, group in items}


def _fingerprint(training: Interactions) -> str:
    digest = hashlib.sha256(repr(training.vocabulary).encode())
    for column in (training.user, training.item, training.timestamp):
        digest.update(column.tobytes())
    return digest.hexdigest()
