"""The workload of all contenders: the same behaviours, the same model, the same histories.

The model is a SASRec of 64 dimensions and 2 blocks that reads 50 items and returns 20. It is trained briefly, as its
speed does not depend on its quality. Histories have the lengths that result from the behaviours.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from job.bench.peers.histories import apply
from job.bench.scale import Scale
from job.cluster.running import Progress
from model.bundles.bundle import Bundle, Manifest, Training, write_bundle
from model.datasets.generate import Synthetic, generate
from model.datasets.prepared import Dataset
from model.records import ItemId, UserBehavior, UserId

if TYPE_CHECKING:
    from model.networks.sequence import SequenceConfig

HISTORY, BIG_HISTORY = 50, 200
_DIM = 64
_BLOCKS = 2
_BIG_DIM, _BIG_BLOCKS, _BIG_HEADS = 256, 4, 4
_Kind = Literal["sasrec", "gru", "big"]
LISTED = 20
"""The items in a list, and in the model's answer."""
_EXCLUDED = 128
"""The columns of `exclude`: a kept history, padded as in the job."""
_CALLS = 4_096
_LEARNED_FROM = 50_000
_EPOCHS = 1
_NEGATIVES = 256


@dataclass(frozen=True, slots=True)
class Workload:
    """The workload, ready to measure.

    Attributes:
        scale: the sizes and times of the bench.
        folder: the folder of all files of the bench.
        dataset: the behaviours; the first `scale.past` are the past.
        bundle: the model.
        overrides: settings of the job, in the format of `--set`.
        report: called at each step.
    """

    scale: Scale
    folder: Path
    dataset: Dataset
    bundle: Bundle
    overrides: tuple[str, ...]
    report: Progress

    def past(self) -> Iterator[UserBehavior]:
        """Return the behaviours before timing begins."""
        return islice(self.dataset.behaviors(), self.scale.past)

    def timed(self) -> Iterator[UserBehavior]:
        """Return the behaviours after the past."""
        return islice(self.dataset.behaviors(), self.scale.past, None)


def make_workload(scale: Scale, folder: Path, overrides: tuple[str, ...], report: Progress) -> Workload:
    """Generate behaviours and train the model; equal scales give equal results."""
    report("generating behaviours")
    shape = Synthetic(users=scale.users, items=scale.items, behaviors=scale.past + scale.timed)
    dataset = generate(shape, folder / "data", "bench")
    report("training the model briefly")
    return Workload(scale, folder, dataset, train_briefly(scale, folder, report), overrides, report)


def train_briefly(scale: Scale, folder: Path, report: Progress, kind: _Kind = "sasrec") -> Bundle:
    """Train a model briefly on every item, and write its bundle.

    A GRU and a big SASRec keep their initial weights, as they are slow to train.
    """
    # Imported here: torch takes seconds.
    from model.bundles.export import contents_of
    from model.datasets.interactions import load_interactions
    from model.recommenders.kinds import Learned
    from model.recommenders.neighbors import nearest_neighbors
    from model.training.train import EpochDone, TrainConfig, train

    shape = Synthetic(scale.users, scale.items, min(_LEARNED_FROM, scale.past + scale.timed))
    dataset = generate(shape, folder / "learned", "learned")
    items = dataset.items()
    training = load_interactions(dataset).with_vocabulary(tuple(sorted(items)))
    config = _config(kind, len(items))

    def on_epoch(news: EpochDone) -> None:
        report(f"training the model briefly: epoch {news.epoch} of {news.epochs}")

    if kind == "sasrec":
        model = train(training, config, TrainConfig(epochs=_EPOCHS, negatives=_NEGATIVES), on_epoch)
    else:
        model = config.build(training.histories().counts())
    learned = Learned(model, lambda count: nearest_neighbors(model.item.weight, count))
    info = dataset.info
    described = Training(
        dataset=info.name, fingerprint=info.fingerprint, cut_off=info.last_timestamp + 1, behaviors=len(training)
    )
    now = datetime.now(UTC)
    manifest = Manifest(
        name="bench",
        recommender="gru" if kind == "gru" else "sasrec",
        version=now.strftime("%Y%m%dT%H%M%S"),
        created_at=now.isoformat(timespec="seconds"),
        history_length=config.history_length,
        k=LISTED,
        training=described,
    )
    return write_bundle(folder / f"bundle-{kind}", contents_of(learned, training, items), manifest)


def _config(kind: _Kind, items: int) -> "SequenceConfig":
    from model.networks.gru import GRUConfig
    from model.networks.sasrec import SASRecConfig

    if kind == "gru":
        return GRUConfig(items=items, dim=_DIM, state=2 * _DIM, k=LISTED)
    if kind == "big":
        return SASRecConfig(
            items=items, history_length=BIG_HISTORY, dim=_BIG_DIM, layers=_BIG_BLOCKS, heads=_BIG_HEADS, k=LISTED
        )
    return SASRecConfig(items=items, history_length=HISTORY, dim=_DIM, layers=_BLOCKS, k=LISTED)


def model_inputs(workload: Workload) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the model's inputs history (N, 50) and exclude (N, 128) for the first timed behaviours."""
    kept = histories_after(workload.past())
    index_of = workload.bundle.index_of
    count = min(_CALLS, workload.scale.timed)
    history = np.zeros((count, HISTORY), dtype=np.int64)
    exclude = np.zeros((count, _EXCLUDED), dtype=np.int64)
    for row, behavior in enumerate(islice(workload.timed(), count)):
        items = kept[behavior.user_id]
        apply(items, behavior.action, behavior.item_id)
        indexes = [index_of[item] for item in items]
        if indexes:
            newest = indexes[-HISTORY:]
            history[row, -len(newest) :] = newest
            exclude[row, : len(indexes)] = indexes
    return history, exclude


def histories_after(behaviors: Iterator[UserBehavior]) -> dict[UserId, list[ItemId]]:
    """Return each user's kept history after these behaviours."""
    kept: dict[UserId, list[ItemId]] = defaultdict(list)
    for behavior in behaviors:
        apply(kept[behavior.user_id], behavior.action, behavior.item_id)
    return kept
